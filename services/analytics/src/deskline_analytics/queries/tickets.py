"""Row → answer: lists of tickets, one of them, its timeline and the decisions on it."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from deskline_analytics.domain.cursors import Place
from deskline_analytics.queries.answering import Answer, dicts
from deskline_analytics.queries.visibility import Reach
from deskline_chassis.postgres import Conn

_TICKET: Final = (
    "ticket_id, number, subject, stage, priority, level, cycle, line_id, line_name, channel, contact_id,"
    " company_id, tier, locale, open, opened_at, changed_at, first_customer_at, last_customer_at,"
    " first_operator_at, last_operator_at, last_message_kind, customer_messages, operator_messages,"
    " automatic_messages, notes, reopened, resolved_at, closed_at, closing_reason, waiting_until,"
    " assignment_no, queue_id, team_id, routed_at, assignee_id, assigned_at, offer_id, offer_operator_id,"
    " offer_until, escalations, routing_decision, routing_decided_at, first_response_due_at,"
    " first_response_at, first_response_breached, resolution_due_at, resolution_met_at, resolution_breached,"
    " acknowledged_at, last_notified_at, notifications_sent, notifications_failed, version"
)
_CONDITIONS: Final = {
    "stage": "stage = %(stage)s",
    "priority": "priority = %(priority)s",
    "level": "level = %(level)s",
    "line_id": "line_id = %(line_id)s",
    "queue_id": "queue_id = %(queue_id)s",
    "team_id": "team_id = %(team_id)s",
    "assignee_id": "assignee_id = %(assignee_id)s",
    "open": "open = %(open)s",
    "number": "number = %(number)s",
    "opened_from": "opened_at >= %(opened_from)s",
    "opened_to": "opened_at < %(opened_to)s",
}


def list_tickets(
    connection: Conn, filters: Mapping[str, Any], reach: Reach, after: Place | None, limit: int
) -> tuple[list[Answer], Place | None]:
    """A page in the order (opened_at, ticket_id), and the place to go on from where there is more.

    `filters` maps names of `_CONDITIONS` to values; what is None doesn't filter.
    """
    given = {name: value for name, value in filters.items() if value is not None}
    conditions = [reach.condition, *(_CONDITIONS[name] for name in given)]
    if after is not None:
        conditions.append("(opened_at, ticket_id) > (%(after_time)s, %(after_id)s)")
        given |= {"after_time": after.moment, "after_id": after.id}
    rows = dicts(
        connection,
        f"SELECT {_TICKET} FROM open_tickets WHERE {' AND '.join(conditions)}"
        " ORDER BY opened_at, ticket_id LIMIT %(one_more)s",
        {**given, **reach.values, "one_more": limit + 1},
    )
    return _page(rows, limit, "opened_at", "ticket_id")


def ticket_by_number(connection: Conn, number: int, reach: Reach) -> Answer | None:
    """The ticket of this number."""
    rows = dicts(
        connection,
        f"SELECT {_TICKET} FROM open_tickets WHERE number = %(number)s AND {reach.condition}"
        " ORDER BY ticket_id LIMIT 1",
        {"number": number, **reach.values},
    )
    return rows[0] if rows else None


def ticket_is_visible(connection: Conn, ticket_id: UUID, reach: Reach) -> bool:
    """Whether the ticket is known here and within reach."""
    found = connection.execute(
        f"SELECT FROM open_tickets WHERE ticket_id = %(ticket_id)s AND {reach.condition}",
        {"ticket_id": ticket_id, **reach.values},
    )
    return found.fetchone() is not None


def ticket_version(connection: Conn, ticket_id: UUID) -> int | None:
    """The sequence of the ticket's latest event that is applied here; None before the first."""
    found = connection.execute(
        "SELECT version FROM open_tickets WHERE ticket_id = %s AND version IS NOT NULL", (ticket_id,)
    ).fetchone()
    return None if found is None else int(found[0])


def timeline(connection: Conn, ticket_id: UUID, after: int, limit: int) -> tuple[list[Answer], bool]:
    """Events of a ticket above a sequence, and whether there are more."""
    rows = dicts(
        connection,
        "SELECT sequence, event_id, type, time, actor_kind, actor_id, causation_id, correlation_id, details"
        " FROM ticket_timeline WHERE ticket_id = %(ticket_id)s AND sequence > %(after)s"
        " ORDER BY sequence LIMIT %(one_more)s",
        {"ticket_id": ticket_id, "after": after, "one_more": limit + 1},
    )
    return rows[:limit], len(rows) > limit


def routing_decisions(
    connection: Conn, ticket_id: UUID, after: Place | None, limit: int
) -> tuple[list[Answer], Place | None]:
    """A page of routing's decisions on a ticket in the order (decided_at, decision_id)."""
    beyond = "" if after is None else " AND (decided_at, decision_id) > (%(after_time)s, %(after_id)s)"
    rows = dicts(
        connection,
        "SELECT decision_id, kind, decided_at, event_id, assignment_no, attempt, queue_id, operator_id,"
        " offer_id, reason, candidates, basis, outcome, outcome_reason, outcome_at FROM routing_decisions"
        f" WHERE ticket_id = %(ticket_id)s AND kind IS NOT NULL{beyond}"
        " ORDER BY decided_at, decision_id LIMIT %(one_more)s",
        {
            "ticket_id": ticket_id,
            "one_more": limit + 1,
            **({} if after is None else {"after_time": after.moment, "after_id": after.id}),
        },
    )
    return _page(rows, limit, "decided_at", "decision_id")


def _page(rows: list[Answer], limit: int, moment: str, id_: str) -> tuple[list[Answer], Place | None]:
    page = rows[:limit]
    return page, Place(page[-1][moment], page[-1][id_]) if len(rows) > limit else None
