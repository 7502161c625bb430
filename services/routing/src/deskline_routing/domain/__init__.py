"""Routing by rules alone: no clock, no database, no random source."""
