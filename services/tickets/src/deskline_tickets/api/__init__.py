"""HTTP's door: requests become commands and queries."""
