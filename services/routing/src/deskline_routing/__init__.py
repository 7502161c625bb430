"""Operators, queues and the choice of who is offered a ticket."""
