"""Breaks the rules of the domains on purpose, one by one, to see whether their unit tests notice."""
