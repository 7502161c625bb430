"""Answers about tickets: what was asked becomes a query, its rows what the caller may see."""

from typing import Any
from uuid import UUID

from deskline_analytics import queries
from deskline_analytics.api.access import is_staff, reach
from deskline_analytics.api.asking import DecisionPage, Search, TicketFilter, TimelinePage
from deskline_analytics.domain.cursors import (
    BadCursorError,
    read_cursor,
    read_found,
    write_cursor,
    write_found,
)
from deskline_analytics.queries import AsOf
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Conn


def page(connection: Conn, asked: TicketFilter, caller: Identity) -> dict[str, Any]:
    """A page of the list."""
    filters = asked.canonical()
    try:
        after = None if asked.cursor is None else read_cursor(asked.cursor, filters)
    except BadCursorError as error:
        raise _bad_cursor(error) from None
    seen = reach(connection, caller)
    items, last = queries.list_tickets(connection, asked.values(), seen, after, asked.limit)
    return {
        "items": [_shown(item, caller) for item in items],
        "next_cursor": None if last is None else write_cursor(last, filters),
    }


def found(connection: Conn, asked: Search, caller: Identity, as_of: AsOf) -> dict[str, Any]:
    """A page of a search; it goes on among the messages that the first page knew."""
    terms = asked.canonical()
    try:
        after = None if asked.cursor is None else read_found(asked.cursor, terms)
    except BadCursorError as error:
        raise _bad_cursor(error) from None
    until = as_of["tickets"] if after is None else after.until
    words = queries.compile_words(connection, asked.text)
    if until is None or not words:
        return {"items": [], "next_cursor": None}
    wanted = queries.Search(words, until, asked.open)
    items, last = queries.search(connection, wanted, reach(connection, caller), after, asked.limit)
    return {"items": items, "next_cursor": None if last is None else write_found(last, terms)}


def by_number(connection: Conn, number: int, caller: Identity, as_of: AsOf) -> dict[str, Any]:
    """The ticket of a number."""
    ticket = queries.ticket_by_number(connection, number, reach(connection, caller))
    if ticket is None:
        raise _unknown("No ticket with this number is known here", as_of)
    return {"ticket": _shown(ticket, caller)}


def timeline(
    connection: Conn, ticket_id: UUID, asked: TimelinePage, caller: Identity, as_of: AsOf
) -> dict[str, Any]:
    """A part of a ticket's history."""
    _require_visible(connection, ticket_id, caller, as_of)
    events, more = queries.timeline(connection, ticket_id, asked.after, asked.limit)
    return {
        "ticket_id": ticket_id,
        "events": events,
        "next_after": events[-1]["sequence"] if more else None,
    }


def decisions(
    connection: Conn, ticket_id: UUID, asked: DecisionPage, caller: Identity, as_of: AsOf
) -> dict[str, Any]:
    """A part of routing's decisions on a ticket."""
    _require_visible(connection, ticket_id, caller, as_of)
    try:
        after = None if asked.cursor is None else read_cursor(asked.cursor, str(ticket_id))
    except BadCursorError as error:
        raise _bad_cursor(error) from None
    items, last = queries.routing_decisions(connection, ticket_id, after, asked.limit)
    return {
        "ticket_id": ticket_id,
        "items": items,
        "next_cursor": None if last is None else write_cursor(last, str(ticket_id)),
    }


def _require_visible(connection: Conn, ticket_id: UUID, caller: Identity, as_of: AsOf) -> None:
    if not queries.ticket_is_visible(connection, ticket_id, reach(connection, caller)):
        raise _unknown("No ticket with this id is known here", as_of)


def _unknown(title: str, as_of: AsOf) -> Problem:
    # A ticket that was opened a moment ago may not have come here yet: the caller sees how fresh this is.
    shown = {owner: None if time is None else time.isoformat() for owner, time in as_of.items()}
    detail = "It may have been opened a moment ago: as_of tells up to when events are known here."
    return Problem(404, "ticket_unknown", title, detail, as_of=shown)


def _bad_cursor(error: BadCursorError) -> Problem:
    return Problem(
        400,
        "bad_cursor",
        "The cursor can't be used",
        f"{error} Leave it out to begin at the first page; then pass each page's next_cursor unchanged,"
        " with the same filters.",
    )


def _shown(ticket: dict[str, Any], caller: Identity) -> dict[str, Any]:
    # An analyst's questions need no customer's words.
    if is_staff(caller):
        return ticket
    return {name: ticket[name] for name in ticket if name != "subject"}
