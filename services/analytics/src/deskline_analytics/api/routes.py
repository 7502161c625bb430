"""Routes: who may ask, what is asked, and the answer with its freshness."""

import datetime as dt
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Response

from deskline_analytics import queries
from deskline_analytics.api import reports, tickets
from deskline_analytics.api.access import Caller, StaffCaller
from deskline_analytics.api.answers import (
    DailyFlow,
    Decisions,
    FoundPage,
    LoadReport,
    OneTicket,
    SlaReport,
    TicketPage,
    Timeline,
)
from deskline_analytics.api.asking import (
    MAX_BIGINT,
    DayRange,
    DecisionPage,
    Reading,
    Search,
    SlaRange,
    TicketFilter,
    TimelinePage,
    ZonedRange,
)
from deskline_analytics.api.waiting import waits_for_version
from deskline_analytics.consumer import OWNERS
from deskline_analytics.queries import AsOf
from deskline_chassis.postgres import Conn, Database
from deskline_chassis.serving import ServingParts

Ask = Callable[[Conn, AsOf], dict[str, Any]]
Number = Annotated[int, Path(ge=1, le=MAX_BIGINT)]


def add_routes(parts: ServingParts) -> None:
    """Add this service's routes to its application."""
    parts.app.include_router(routes(parts.database))


def routes(database: Database) -> APIRouter:
    """The routes over a database of read models."""
    shared = [Depends(waits_for_version(database)), Depends(_never_stored)]
    router = APIRouter(prefix="/v1", dependencies=shared)
    answers = _Answers(database)
    _add_tickets(router, answers)
    _add_reports(router, answers)
    return router


class _Answers:
    """One transaction an answer; how fresh it is is asked first, so that it promises too little."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def __call__(self, ask: Ask) -> dict[str, Any]:
        with self._database.transaction() as connection:
            as_of = queries.freshness(connection, OWNERS)
            return ask(connection, as_of) | {"as_of": as_of}


def _add_tickets(router: APIRouter, answer: _Answers) -> None:
    @router.get("/tickets", response_model=TicketPage, response_model_exclude_unset=True)
    def list_tickets(caller: Caller, asked: Annotated[TicketFilter, Query()]) -> dict[str, Any]:
        return answer(lambda connection, _: tickets.page(connection, asked, caller))

    @router.post("/tickets/search", response_model=FoundPage)
    def search(caller: StaffCaller, asked: Search) -> dict[str, Any]:
        return answer(lambda connection, as_of: tickets.found(connection, asked, caller, as_of))

    @router.get("/tickets/by-number/{number}", response_model=OneTicket, response_model_exclude_unset=True)
    def ticket_by_number(
        caller: Caller, number: Number, _asked: Annotated[Reading, Query()]
    ) -> dict[str, Any]:
        return answer(lambda connection, as_of: tickets.by_number(connection, number, caller, as_of))

    @router.get("/tickets/{ticket_id}/timeline", response_model=Timeline)
    def timeline(caller: Caller, ticket_id: UUID, asked: Annotated[TimelinePage, Query()]) -> dict[str, Any]:
        return answer(lambda conn, as_of: tickets.timeline(conn, ticket_id, asked, caller, as_of))

    @router.get("/tickets/{ticket_id}/routing-decisions", response_model=Decisions)
    def routing_decisions(
        caller: Caller, ticket_id: UUID, asked: Annotated[DecisionPage, Query()]
    ) -> dict[str, Any]:
        return answer(lambda conn, as_of: tickets.decisions(conn, ticket_id, asked, caller, as_of))


def _add_reports(router: APIRouter, answer: _Answers) -> None:
    @router.get("/reports/daily-flow", response_model=DailyFlow)
    def daily_flow(_caller: Caller, asked: Annotated[ZonedRange, Query()]) -> dict[str, Any]:
        return answer(lambda connection, _: reports.flow(connection, asked))

    @router.get("/reports/sla", response_model=SlaReport)
    def sla(_caller: Caller, asked: Annotated[SlaRange, Query()]) -> dict[str, Any]:
        now = dt.datetime.now(dt.UTC)
        return answer(lambda connection, _: reports.kept(connection, asked, now))

    @router.get("/reports/operator-load", response_model=LoadReport, response_model_exclude_unset=True)
    def operator_load(caller: Caller, asked: Annotated[DayRange, Query()]) -> dict[str, Any]:
        return answer(lambda connection, _: reports.load(connection, asked, caller))


async def _never_stored(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
