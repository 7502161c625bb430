"""Intake's commands: load, act, save."""
