"""HTTP's door: forms, lines and contacts; requests become commands and queries."""
