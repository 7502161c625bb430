"""What intake's handlers need, on PostgreSQL, an object store and a child process."""
