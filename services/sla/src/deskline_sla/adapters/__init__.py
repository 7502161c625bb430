"""The ports over PostgreSQL and the chassis."""
