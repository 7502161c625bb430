"""The chassis alone: a service that only announces, and one that only counts what it reads."""
