"""Texts of our mails: the defaults, and the sandbox in which they and an admin's own are rendered."""
