"""What every service stands on: event log, relay, reader, personal data, process."""
