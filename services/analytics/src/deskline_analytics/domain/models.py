"""The read models by name."""

from typing import Final

MODELS: Final = (
    "open_tickets",
    "ticket_timeline",
    "ticket_documents",
    "routing_decisions",
    "sla_outcomes",
    "notifications",
    "operators",
    "teams",
    "queues",
    "lines",
    "daily_flow",
    "operator_load",
    "freshness",
)
