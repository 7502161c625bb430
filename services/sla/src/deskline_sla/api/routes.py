"""The routes: HTTP becomes a command or a query, what comes back becomes HTTP; nothing is decided here."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Final
from uuid import UUID

import uuid_utils.compat
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response

from deskline_chassis.callers import require_identity
from deskline_chassis.cursors import BadCursorError
from deskline_chassis.event_log import Cause, EventTooLargeError
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Database
from deskline_chassis.requests import PageQuery, etag, stated_version
from deskline_chassis.telemetry import traceparent_of_current
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_events.tickets import Actor
from deskline_sla import queries
from deskline_sla.adapters.rule_store import RuleStore
from deskline_sla.answers import CalendarPage, CalendarShown, ClocksShown, PolicyPage, PolicyShown, PutDone
from deskline_sla.api.bodies import CalendarBody, NoQuery, PolicyBody, VersionQuery
from deskline_sla.api.refusals import problem, rules_problem, stale_problem
from deskline_sla.domain.checking import RulesRefused
from deskline_sla.handlers.rules import PutRule, StaleRule, VersionMissing, put_rule
from deskline_sla.ports import OpenDesk

READERS: Final = frozenset({"operator", "lead", "admin", "analyst"})
WRITERS: Final = frozenset({"admin"})

Language = Annotated[str | None, Header(alias="Accept-Language")]
Seen = Annotated[int | None, Depends(stated_version)]


def _require(roles: frozenset[str]) -> Callable[..., Awaitable[Identity]]:
    async def require(
        identity: Annotated[Identity, Depends(require_identity)], accept_language: Language = None
    ) -> Identity:
        if identity.roles.isdisjoint(roles):
            raise problem("not_permitted", accept_language, needed=sorted(roles))
        return identity

    return require


Reader = Annotated[Identity, Depends(_require(READERS))]
Writer = Annotated[Identity, Depends(_require(WRITERS))]


def add_routes(app: FastAPI, database: Database, rules: RuleStore, open_desk: OpenDesk) -> None:
    """Put the routes of sla on the application."""
    for refused in (RulesRefused, StaleRule, VersionMissing, BadCursorError, EventTooLargeError):
        app.add_exception_handler(refused, _on_refused)
    app.include_router(_rule_reads(database))
    app.include_router(_clock_reads(database, rules))
    app.include_router(_puts(open_desk))


def _rule_reads(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/policies")
    def list_policies(_reader: Reader, page: Annotated[PageQuery, Query()]) -> PolicyPage:
        with database.transaction() as connection:
            return queries.policies(connection, page.cursor, page.limit)

    @router.get("/policies/{policy_id}")
    def read_policy(
        policy_id: UUID,
        _reader: Reader,
        asked: Annotated[VersionQuery, Query()],
        response: Response,
        language: Language = None,
    ) -> PolicyShown:
        with database.transaction() as connection:
            found = queries.policy(connection, policy_id, asked.version)
        if found is None:
            raise problem("policy_unknown", language)
        response.headers["ETag"] = etag(found.version)
        return found

    @router.get("/calendars")
    def list_calendars(_reader: Reader, page: Annotated[PageQuery, Query()]) -> CalendarPage:
        with database.transaction() as connection:
            return queries.calendars(connection, page.cursor, page.limit)

    @router.get("/calendars/{calendar_id}")
    def read_calendar(
        calendar_id: UUID,
        _reader: Reader,
        asked: Annotated[VersionQuery, Query()],
        response: Response,
        language: Language = None,
    ) -> CalendarShown:
        with database.transaction() as connection:
            found = queries.calendar(connection, calendar_id, asked.version)
        if found is None:
            raise problem("calendar_unknown", language)
        response.headers["ETag"] = etag(found.version)
        return found

    return router


def _clock_reads(database: Database, rules: RuleStore) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/tickets/{ticket_id}/clocks")
    def read_clocks(
        ticket_id: UUID,
        _reader: Reader,
        _asked: Annotated[NoQuery, Query()],
        response: Response,
        language: Language = None,
    ) -> ClocksShown:
        with database.transaction() as connection:
            found = queries.clocks(connection, rules, ticket_id)
        if found is None:
            raise problem("ticket_unknown", language)
        response.headers["Cache-Control"] = "no-store"
        return found

    return router


def _puts(open_desk: OpenDesk) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.put("/policies/{policy_id}")
    def put_policy(
        policy_id: UUID,
        writer: Writer,
        body: PolicyBody,
        seen: Seen,
        _asked: Annotated[NoQuery, Query()],
        response: Response,
    ) -> PutDone:
        command = _command(body.policy(policy_id), seen, writer, apply_to_open=body.apply_to_open)
        return _done(policy_id, put_rule(open_desk, command), response)

    @router.put("/calendars/{calendar_id}")
    def put_calendar(
        calendar_id: UUID,
        writer: Writer,
        body: CalendarBody,
        seen: Seen,
        _asked: Annotated[NoQuery, Query()],
        response: Response,
    ) -> PutDone:
        command = _command(body.calendar(calendar_id), seen, writer, apply_to_open=body.apply_to_open)
        return _done(calendar_id, put_rule(open_desk, command), response)

    return router


def _command(
    rule: PolicyChanged | CalendarChanged, seen: int | None, writer: Identity, *, apply_to_open: bool
) -> PutRule:
    command_id = uuid_utils.compat.uuid7()
    return PutRule(
        rule=rule,
        expected=seen,
        apply_to_open=apply_to_open,
        actor=Actor(kind="operator", id=writer.actor_id),
        cause=Cause(command_id, command_id, traceparent_of_current()),
    )


def _done(rule_id: UUID, rule: PolicyChanged | CalendarChanged, response: Response) -> PutDone:
    response.status_code = 201 if rule.version == 1 else 200
    response.headers["ETag"] = etag(rule.version)
    return PutDone(id=rule_id, version=rule.version)


async def _on_refused(request: Request, error: Exception) -> Response:
    language = request.headers.get("Accept-Language")
    match error:
        case RulesRefused():
            return rules_problem(error, language).response()
        case StaleRule():
            return stale_problem(error, language).response()
        case VersionMissing():
            return problem("if_match_required", language).response()
        case EventTooLargeError():
            return problem("too_large", language).response()
        case _:
            return problem("bad_cursor", language).response()
