"""Ways by which people are told."""
