"""The Ticket aggregate: threading, commands, history."""
