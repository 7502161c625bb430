"""One function per command: look under the lock, decide, save."""
