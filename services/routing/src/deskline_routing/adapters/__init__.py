"""What routing stands on: rows in PostgreSQL."""
