"""Policies, calendars and the clocks of tickets."""
