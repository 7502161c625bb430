"""HTTP: what was told of a ticket, and the texts that it is told in."""
