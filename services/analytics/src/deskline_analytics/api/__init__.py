"""HTTP → query: tickets, a ticket's timeline and the flow report, for those whose roles allow it."""
