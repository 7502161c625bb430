"""Routes: who may ask, what is asked, and the answer with its freshness."""

import datetime as dt
import functools
from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from deskline_analytics import queries
from deskline_analytics.api.answers import DailyFlow, OneTicket, TicketPage, Timeline
from deskline_analytics.consumer import OWNERS
from deskline_analytics.domain.cursors import BadCursorError, read_cursor, write_cursor
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity, require_identity
from deskline_chassis.postgres import Conn, Database
from deskline_chassis.service import Parts
from deskline_events.facts import Priority
from deskline_events.tickets import Stage

STAFF: Final = frozenset({"operator", "lead", "admin"})
READERS: Final = STAFF | {"analyst"}
MAX_DAYS: Final = 366
_MAX_BIGINT: Final = 2**63 - 1


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Nothing(_Asked):
    """No query parameters."""


class TicketFilter(_Asked):
    """What a list is narrowed to, and where its page begins."""

    stage: Stage | None = None
    priority: Priority | None = None
    line_id: UUID | None = None
    open: bool | None = None
    number: Annotated[int | None, Field(ge=1, le=_MAX_BIGINT)] = None
    opened_from: Annotated[AwareDatetime | None, Field(description="included")] = None
    opened_to: Annotated[AwareDatetime | None, Field(description="excluded")] = None
    cursor: Annotated[str | None, Field(description="`next_cursor` of the page before")] = None
    limit: Annotated[int, Field(ge=1, le=100)] = 50

    def values(self) -> dict[str, Any]:
        """The filters alone."""
        return self.model_dump(exclude={"cursor", "limit"})

    def canonical(self) -> str:
        """Equal for equal filters."""
        return self.model_dump_json(exclude={"cursor", "limit"}, exclude_none=True)


class TimelinePage(_Asked):
    """A part of a timeline."""

    after: Annotated[int, Field(ge=0, le=_MAX_BIGINT, description="sequence after which to begin")] = 0
    limit: Annotated[int, Field(ge=1, le=1000)] = 1000


class FlowRange(_Asked):
    """Days of a zone."""

    from_: Annotated[dt.date, Field(alias="from", description="first day")]
    to: Annotated[dt.date, Field(description="last day, included")]
    zone: Annotated[
        str,
        Field(max_length=60, pattern=r"^[A-Za-z0-9_+/-]+$", description="IANA name, such as Europe/Moscow"),
    ] = "UTC"


def require_reader(identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
    """The caller, who may read lists and reports; a Problem with 403 otherwise."""
    if identity.roles.isdisjoint(READERS):
        raise Problem(
            403, "not_permitted", "Your roles don't allow this", f"One of {_named(READERS)} is needed."
        )
    return identity


Caller = Annotated[Identity, Depends(require_reader)]
Ask = Callable[[Conn], dict[str, Any]]


def _named(roles: frozenset[str]) -> str:
    return ", ".join(sorted(roles))


def add_routes(parts: Parts) -> None:
    """Add this service's routes to its application."""
    parts.app.include_router(routes(parts.database))


def routes(database: Database) -> APIRouter:
    """The routes over a database of read models."""
    router = APIRouter(prefix="/v1")
    answer = functools.partial(_answer, database)

    @router.get("/tickets", response_model=TicketPage, response_model_exclude_unset=True)
    def list_tickets(caller: Caller, asked: Annotated[TicketFilter, Query()]) -> dict[str, Any]:
        return answer(lambda connection: _page(connection, asked, caller))

    @router.get("/tickets/by-number/{number}", response_model=OneTicket, response_model_exclude_unset=True)
    def ticket_by_number(
        caller: Caller,
        number: Annotated[int, Path(ge=1, le=_MAX_BIGINT)],
        _asked: Annotated[Nothing, Query()],
    ) -> dict[str, Any]:
        return answer(lambda connection: _by_number(connection, number, caller))

    @router.get("/tickets/{ticket_id}/timeline", response_model=Timeline)
    def timeline(_caller: Caller, ticket_id: UUID, asked: Annotated[TimelinePage, Query()]) -> dict[str, Any]:
        return answer(lambda connection: _timeline(connection, ticket_id, asked))

    @router.get("/reports/daily-flow", response_model=DailyFlow)
    def daily_flow(_caller: Caller, asked: Annotated[FlowRange, Query()]) -> dict[str, Any]:
        return answer(lambda connection: _flow(connection, asked))

    return router


def _answer(database: Database, ask: Ask) -> dict[str, Any]:
    with database.transaction() as connection:
        as_of = queries.freshness(connection, OWNERS)
        return ask(connection) | {"as_of": as_of}


def _page(connection: Conn, asked: TicketFilter, caller: Identity) -> dict[str, Any]:
    filters = asked.canonical()
    try:
        after = None if asked.cursor is None else read_cursor(asked.cursor, filters)
    except BadCursorError as error:
        raise Problem(
            400,
            "bad_cursor",
            "The cursor can't be used",
            f"{error} Leave it out to begin at the first page; then pass each page's next_cursor unchanged,"
            " with the same filters.",
        ) from None
    items, last = queries.list_tickets(connection, asked.values(), after, asked.limit)
    return {
        "items": [_shown(item, caller) for item in items],
        "next_cursor": None if last is None else write_cursor(last, filters),
    }


def _by_number(connection: Conn, number: int, caller: Identity) -> dict[str, Any]:
    found = queries.ticket_by_number(connection, number)
    if found is None:
        raise _unknown("No ticket with this number is known here", connection)
    return {"ticket": _shown(found, caller)}


def _timeline(connection: Conn, ticket_id: UUID, asked: TimelinePage) -> dict[str, Any]:
    events, more = queries.timeline(connection, ticket_id, asked.after, asked.limit)
    if not events and not queries.ticket_exists(connection, ticket_id):
        raise _unknown("No ticket with this id is known here", connection)
    return {
        "ticket_id": ticket_id,
        "events": events,
        "next_after": events[-1]["sequence"] if more else None,
    }


def _unknown(title: str, connection: Conn) -> Problem:
    # A ticket that was opened a moment ago may not have come here yet: the caller sees how fresh this is.
    as_of = queries.freshness(connection, OWNERS)
    shown = {owner: None if time is None else time.isoformat() for owner, time in as_of.items()}
    detail = "It may have been opened a moment ago: as_of tells up to when events are known here."
    return Problem(404, "ticket_unknown", title, detail, as_of=shown)


def _flow(connection: Conn, asked: FlowRange) -> dict[str, Any]:
    if asked.from_ > asked.to or (asked.to - asked.from_).days >= MAX_DAYS or asked.to == dt.date.max:
        raise _bad_range("to", f"`to` must be no earlier than `from`, and the range at most {MAX_DAYS} days.")
    if not queries.zone_exists(connection, asked.zone):
        raise _bad_range("zone", "`zone` must be an IANA name, such as Europe/Moscow or UTC.")
    rows = queries.daily_flow(connection, queries.Days(asked.from_, asked.to, asked.zone))
    by_day: dict[dt.date, list[dict[str, Any]]] = {
        asked.from_ + dt.timedelta(days=day): [] for day in range((asked.to - asked.from_).days + 1)
    }
    for row in rows:
        by_day[row["date"]].append(row)
    return {
        "from": asked.from_,
        "to": asked.to,
        "zone": asked.zone,
        "days": [
            {
                "date": day,
                "total": queries.total(lines),
                "lines": [{name: line[name] for name in line if name != "date"} for line in lines],
            }
            for day, lines in by_day.items()
        ],
        "total": queries.total(rows),
    }


def _bad_range(field: str, message: str) -> Problem:
    return Problem(
        422,
        "invalid_request",
        "The request is not as this route takes it",
        errors=[{"field": f"query.{field}", "message": message}],
    )


def _shown(ticket: dict[str, Any], caller: Identity) -> dict[str, Any]:
    # An analyst's questions need no customer's words.
    if caller.roles.isdisjoint(STAFF):
        return {name: ticket[name] for name in ticket if name != "subject"}
    return ticket
