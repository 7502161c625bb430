"""Row → answer: lists, one ticket, its timeline, search and reports; each says how fresh it is."""

from deskline_analytics.queries.answering import Answer, AsOf, freshness
from deskline_analytics.queries.reports import (
    Days,
    daily_flow,
    operator_load,
    sla_report,
    total,
    total_load,
    zone_exists,
)
from deskline_analytics.queries.searching import Search, compile_words, search
from deskline_analytics.queries.tickets import (
    list_tickets,
    routing_decisions,
    ticket_by_number,
    ticket_is_visible,
    ticket_version,
    timeline,
)
from deskline_analytics.queries.visibility import Reach, reach_of

__all__ = [
    "Answer",
    "AsOf",
    "Days",
    "Reach",
    "Search",
    "compile_words",
    "daily_flow",
    "freshness",
    "list_tickets",
    "operator_load",
    "reach_of",
    "routing_decisions",
    "search",
    "sla_report",
    "ticket_by_number",
    "ticket_is_visible",
    "ticket_version",
    "timeline",
    "total",
    "total_load",
    "zone_exists",
]
