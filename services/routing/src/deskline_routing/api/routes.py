"""The routes: HTTP becomes a command or a query, what comes back becomes HTTP; nothing is decided here."""

from typing import Annotated, Final, TypeVar
from uuid import UUID

import uuid_utils.compat
from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from deskline_chassis.callers import require_identity
from deskline_chassis.event_log import Cause, EventLog
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_chassis.personal_data import PersonErasedError
from deskline_chassis.postgres import Database
from deskline_chassis.requests import PageQuery, etag, no_query, stated_version
from deskline_chassis.telemetry import traceparent_of_current
from deskline_routing import queries
from deskline_routing.answers import (
    DecisionPage,
    Offers,
    OperatorPage,
    OperatorShown,
    PresenceAnswer,
    QueuePage,
    QueueShown,
    TeamPage,
    TeamShown,
    WaitingPage,
)
from deskline_routing.api.bodies import OperatorBody, PresenceBody, QueueBody, TeamBody
from deskline_routing.domain.refusals import OperatorErased, Refusal
from deskline_routing.handlers import directory
from deskline_routing.handlers.presence import report_presence
from deskline_routing.ports import OpenDesk

STAFF: Final = frozenset({"operator", "lead", "admin"})
READERS: Final = STAFF | {"analyst"}
PRESENT: Final = frozenset({"operator", "lead"})
ADMINS: Final = frozenset({"admin"})

T = TypeVar("T")


class _Allowed:
    """Dependency: the caller, if one of these roles is theirs; a Problem with 403 otherwise."""

    def __init__(self, roles: frozenset[str]) -> None:
        self._roles = roles

    async def __call__(self, identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
        if identity.roles.isdisjoint(self._roles):
            needed = f"One of {', '.join(sorted(self._roles))} is needed."
            raise Problem(403, "not_permitted", "Your roles don't allow this", needed)
        return identity


Staff = Annotated[Identity, Depends(_Allowed(STAFF))]
Reader = Annotated[Identity, Depends(_Allowed(READERS))]
Present = Annotated[Identity, Depends(_Allowed(PRESENT))]
Admin = Annotated[Identity, Depends(_Allowed(ADMINS))]
Expected = Annotated[int | None, Depends(stated_version)]
Page = Annotated[PageQuery, Query()]


def add_routes(
    app: FastAPI, database: Database, log: EventLog, open_desk: OpenDesk, presence_seconds: float
) -> None:
    """Put the routes of routing on the application."""
    app.add_exception_handler(Refusal, _on_refusal)
    app.add_exception_handler(PersonErasedError, _on_erased)
    app.include_router(_operators(database, log, open_desk))
    app.include_router(_teams(database, open_desk))
    app.include_router(_queues(database, open_desk))
    app.include_router(_work(database, open_desk, presence_seconds))


def _operators(database: Database, log: EventLog, open_desk: OpenDesk) -> APIRouter:
    router = APIRouter(prefix="/v1/operators")

    def one(operator_id: UUID, caller: Identity, response: Response) -> OperatorShown:
        with database.transaction() as connection:
            found = queries.operator(connection, log, operator_id, with_address="admin" in caller.roles)
        shown = _there(found, "operator")
        return _tagged(shown, shown.version, response)

    @router.put("/{operator_id}", dependencies=[Depends(no_query)], response_model_exclude_unset=True)
    def put_operator(
        operator_id: UUID, body: OperatorBody, admin: Admin, expected: Expected, response: Response
    ) -> OperatorShown:
        directory.put_operator(open_desk, body.fact(operator_id), expected, _cause())
        return one(operator_id, admin, response)

    @router.get("/{operator_id}", dependencies=[Depends(no_query)], response_model_exclude_unset=True)
    def get_operator(operator_id: UUID, staff: Staff, response: Response) -> OperatorShown:
        return one(operator_id, staff, response)

    @router.get("", response_model_exclude_unset=True)
    def list_operators(page: Page, staff: Staff, response: Response) -> OperatorPage:
        _keep_private(response)
        with database.transaction() as connection:
            return queries.operators(
                connection, log, page.cursor, page.limit, with_address="admin" in staff.roles
            )

    return router


def _teams(database: Database, open_desk: OpenDesk) -> APIRouter:
    router = APIRouter(prefix="/v1/teams")

    def one(team_id: UUID, response: Response) -> TeamShown:
        with database.transaction() as connection:
            shown = _there(queries.team(connection, team_id), "team")
        return _tagged(shown, shown.version, response)

    @router.put("/{team_id}", dependencies=[Depends(no_query)])
    def put_team(
        team_id: UUID, body: TeamBody, _admin: Admin, expected: Expected, response: Response
    ) -> TeamShown:
        directory.put_team(open_desk, body.fact(team_id), expected, _cause())
        return one(team_id, response)

    @router.get("/{team_id}", dependencies=[Depends(no_query)])
    def get_team(team_id: UUID, _staff: Staff, response: Response) -> TeamShown:
        return one(team_id, response)

    @router.get("")
    def list_teams(page: Page, _staff: Staff) -> TeamPage:
        with database.transaction() as connection:
            return queries.teams(connection, page.cursor, page.limit)

    return router


def _queues(database: Database, open_desk: OpenDesk) -> APIRouter:
    router = APIRouter(prefix="/v1/queues")

    def one(queue_id: UUID, response: Response) -> QueueShown:
        with database.transaction() as connection:
            shown = _there(queries.queue(connection, queue_id), "queue")
        return _tagged(shown, shown.version, response)

    @router.put("/{queue_id}", dependencies=[Depends(no_query)])
    def put_queue(
        queue_id: UUID, body: QueueBody, _admin: Admin, expected: Expected, response: Response
    ) -> QueueShown:
        directory.put_queue(open_desk, body.fact(queue_id), expected, _cause())
        return one(queue_id, response)

    @router.get("/{queue_id}", dependencies=[Depends(no_query)])
    def get_queue(queue_id: UUID, _staff: Staff, response: Response) -> QueueShown:
        return one(queue_id, response)

    @router.get("")
    def list_queues(page: Page, _staff: Staff) -> QueuePage:
        with database.transaction() as connection:
            return queries.queues(connection, page.cursor, page.limit)

    @router.get("/{queue_id}/waiting")
    def waiting(queue_id: UUID, page: Page, staff: Staff) -> WaitingPage:
        with database.transaction() as connection:
            belonging = _there(queries.belonging_of_queue(connection, queue_id), "queue")
            _within_reach(staff, belonging, queries.teams_of(connection, staff.actor_id), "queue")
            return queries.waiting(connection, queue_id, page.cursor, page.limit)

    return router


def _work(database: Database, open_desk: OpenDesk, presence_seconds: float) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/presence", dependencies=[Depends(no_query)])
    def presence(body: PresenceBody, caller: Present, response: Response) -> PresenceAnswer:
        known = report_presence(open_desk, caller.actor_id, body.state, presence_seconds, _cause())
        _keep_private(response)
        return PresenceAnswer(state=known.state, expires_at=known.expires_at)

    @router.get("/offers", dependencies=[Depends(no_query)])
    def offers(caller: Staff, response: Response) -> Offers:
        _keep_private(response)
        with database.transaction() as connection:
            return queries.offers(connection, caller.actor_id)

    @router.get("/tickets/{ticket_id}/decisions")
    def decisions(ticket_id: UUID, page: Page, reader: Reader) -> DecisionPage:
        with database.transaction() as connection:
            belonging = _there(queries.belonging_of_ticket(connection, ticket_id), "ticket")
            _within_reach(reader, belonging, queries.teams_of(connection, reader.actor_id), "ticket")
            return queries.decisions(connection, ticket_id, page.cursor, page.limit)

    return router


def _there(found: T | None, what: str) -> T:
    if found is None:
        raise _unknown(what)
    return found


def _unknown(what: str) -> Problem:
    return Problem(404, f"{what}_unknown", f"There is no such {what}")


def _within_reach(caller: Identity, belonging: queries.Belonging, teams: frozenset[UUID], what: str) -> None:
    """What lies outside the caller's scope does not exist for them."""
    mine = caller.actor_id in belonging.operator_ids
    ours = caller.scope in {"team", "queue"} and (belonging.team_id is None or belonging.team_id in teams)
    if caller.scope != "all" and not mine and not ours:
        raise _unknown(what)


def _tagged(shown: T, version: int, response: Response) -> T:
    response.headers["ETag"] = etag(version)
    _keep_private(response)
    return shown


def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


def _cause() -> Cause:
    return Cause(uuid_utils.compat.uuid7(), None, traceparent_of_current())


async def _on_refusal(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)  # noqa: S101 -- the handler of that class
    current = error.members.get("current_version")
    headers = {"ETag": etag(current)} if isinstance(current, int) and current else None
    return Problem(
        error.status, error.code, error.title, str(error) or None, headers=headers, **error.members
    ).response()


async def _on_erased(request: Request, _error: Exception) -> Response:
    return await _on_refusal(request, OperatorErased())
