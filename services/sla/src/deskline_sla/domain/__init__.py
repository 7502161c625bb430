"""Pure: calendars, policies and clocks; time, ids and rules come as arguments."""
