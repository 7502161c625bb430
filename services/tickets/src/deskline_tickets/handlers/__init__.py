"""One function per command: load, act, save."""
