"""The routes: HTTP becomes a command or a query, what comes back becomes HTTP; nothing is decided here."""

from collections.abc import Callable
from typing import Annotated, Any, Final
from uuid import UUID

import uuid_utils.compat
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from pydantic import BaseModel

from deskline_chassis.callers import require_identity
from deskline_chassis.event_log import Cause, EventLog, SequenceTakenError
from deskline_chassis.idempotency import Answer
from deskline_chassis.identity import Identity
from deskline_chassis.personal_data import MissingKeyError
from deskline_chassis.postgres import Database
from deskline_chassis.requests import (
    PageQuery,
    etag,
    idempotency_key,
    keyed_command,
    no_query,
    required_version,
)
from deskline_chassis.telemetry import traceparent_of_current
from deskline_tickets import queries
from deskline_tickets.answers import (
    Accepted,
    Card,
    Declined,
    History,
    Levelled,
    Moved,
    Noted,
    Prioritised,
    Replied,
    Requeued,
    SetAsidePage,
)
from deskline_tickets.api.bodies import (
    DeclineBody,
    EmptyBody,
    EscalateBody,
    HistoryQuery,
    NoteBody,
    OfferBody,
    PriorityBody,
    QueueBody,
    ReplyBody,
    StageBody,
)
from deskline_tickets.api.refusals import busy_problem, command_problem, refusal_problem
from deskline_tickets.domain.commands import HandOver
from deskline_tickets.domain.ids import command_id_of
from deskline_tickets.domain.refusals import NotPermitted, NotThen, TicketUnknown
from deskline_tickets.domain.rights import ALL
from deskline_tickets.handlers import orders
from deskline_tickets.handlers.commands import CommandRefused, Order, give
from deskline_tickets.ports import Asked, AtDesk
from deskline_tickets.ports import Caller as Person

READERS: Final = frozenset({"operator", "lead", "admin"})

Language = Annotated[str | None, Header(alias="Accept-Language")]
Key = Annotated[str, Depends(idempotency_key)]
Expected = Annotated[int, Depends(required_version)]


async def require_staff(
    identity: Annotated[Identity, Depends(require_identity)], accept_language: Language = None
) -> Identity:
    """Whoever works with tickets; a Problem with 403 for anybody else."""
    if identity.roles.isdisjoint(READERS):
        raise refusal_problem(NotPermitted("see tickets", tuple(sorted(READERS))), accept_language)
    return identity


Staff = Annotated[Identity, Depends(require_staff)]


def person_of(identity: Identity) -> Person:
    """Who asks, in the words of the handlers and queries."""
    return Person(identity.actor_id, identity.roles, identity.scope)


class Caller:
    """Who gives a command, under which key and on which path."""

    def __init__(self, request: Request, staff: Identity, key: str) -> None:
        self._request = request
        self._staff = staff
        self._key = key

    def asked(self, body: BaseModel) -> Asked:
        """The command as it will be known when it comes again."""
        command_id = command_id_of(self._staff.actor_id, self._key)
        return Asked(
            caller=person_of(self._staff),
            command=keyed_command(self._request, self._staff.actor_id, self._key, body),
            cause=Cause(command_id, command_id, traceparent_of_current()),
        )


async def calling(request: Request, staff: Staff, key: Key) -> Caller:
    """Whoever gives the command of a request."""
    return Caller(request, staff, key)


Calling = Annotated[Caller, Depends(calling)]
Give = Callable[[UUID, Caller, BaseModel, Order, Response], dict[str, Any]]


def add_routes(app: FastAPI, database: Database, log: EventLog, at_desk: AtDesk) -> None:
    """Put the routes of tickets on the application."""
    app.add_exception_handler(SequenceTakenError, _on_busy)
    app.add_exception_handler(MissingKeyError, _on_busy)
    app.add_exception_handler(CommandRefused, _on_refused)
    app.include_router(_reads(database, log))
    app.include_router(_lists(database))

    def command(
        ticket_id: UUID, caller: Caller, body: BaseModel, order: Order, response: Response
    ) -> dict[str, Any]:
        return _told(give(at_desk, caller.asked(body), ticket_id, order), response)

    router = APIRouter(prefix="/v1/tickets/{ticket_id}", dependencies=[Depends(no_query)])
    _add_conversation(router, command)
    _add_assignment(router, command)
    app.include_router(router)


def _reads(database: Database, log: EventLog) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/tickets/{ticket_id}", dependencies=[Depends(no_query)])
    def read_card(ticket_id: UUID, staff: Staff, response: Response, language: Language = None) -> Card:
        with database.transaction() as connection:
            found = queries.card(connection, log, ticket_id, person_of(staff))
        if found is None:
            raise refusal_problem(TicketUnknown(), language)
        response.headers["ETag"] = etag(found.version)
        _keep_private(response)
        return found

    @router.get("/tickets/{ticket_id}/history")
    def read_history(
        ticket_id: UUID,
        asked: Annotated[HistoryQuery, Query()],
        staff: Staff,
        response: Response,
        language: Language = None,
    ) -> History:
        with database.transaction() as connection:
            found = queries.history(
                connection, log, ticket_id, person_of(staff), version=asked.version, at=asked.at
            )
        if found is None:
            raise refusal_problem(TicketUnknown() if asked.is_whole else NotThen(), language)
        _keep_private(response)
        return found

    return router


def _lists(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/lines/{line_id}/set-aside")
    def read_set_aside(
        line_id: UUID,
        page: Annotated[PageQuery, Query()],
        staff: Staff,
        response: Response,
        language: Language = None,
    ) -> SetAsidePage:
        # What made no ticket stands in no queue, so that no scope but this one reaches it.
        if staff.scope != ALL:
            raise refusal_problem(NotPermitted("see what was set aside", (f"scope {ALL}",)), language)
        with database.transaction() as connection:
            found = queries.set_aside(connection, line_id, page.cursor, page.limit)
        _keep_private(response)
        return found

    return router


def _add_conversation(router: APIRouter, command: Give) -> None:
    @router.post("/replies", status_code=201)
    def reply(ticket_id: UUID, caller: Calling, body: ReplyBody, response: Response) -> Replied:
        order = orders.Reply(reply_id=_new_id(), **body.model_dump())
        return Replied.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/notes", status_code=201)
    def note(ticket_id: UUID, caller: Calling, body: NoteBody, response: Response) -> Noted:
        order = orders.Note(note_id=_new_id(), text=body.text, mentions=tuple(body.mentions))
        return Noted.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/stage")
    def stage(
        ticket_id: UUID, caller: Calling, expected: Expected, body: StageBody, response: Response
    ) -> Moved:
        order = orders.StageMove(expected_version=expected, **body.model_dump())
        return Moved.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/priority")
    def priority(
        ticket_id: UUID, caller: Calling, expected: Expected, body: PriorityBody, response: Response
    ) -> Prioritised:
        order = orders.NewPriority(priority=body.priority, expected_version=expected)
        return Prioritised.model_validate(command(ticket_id, caller, body, order, response))


def _add_assignment(router: APIRouter, command: Give) -> None:
    @router.post("/accept")
    def accept(ticket_id: UUID, caller: Calling, body: OfferBody, response: Response) -> Accepted:
        order = orders.Acceptance(offer_id=body.offer_id)
        return Accepted.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/decline")
    def decline(ticket_id: UUID, caller: Calling, body: DeclineBody, response: Response) -> Declined:
        order = orders.Decline(offer_id=body.offer_id, reason=body.reason)
        return Declined.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/unassign")
    def unassign(
        ticket_id: UUID, caller: Calling, expected: Expected, body: EmptyBody, response: Response
    ) -> Moved:
        order = orders.Unassignment(expected_version=expected)
        return Moved.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/queue")
    def queue(
        ticket_id: UUID, caller: Calling, expected: Expected, body: QueueBody, response: Response
    ) -> Requeued:
        order = orders.NewQueue(queue_id=body.queue_id, expected_version=expected)
        return Requeued.model_validate(command(ticket_id, caller, body, order, response))

    @router.post("/escalate")
    def escalate(
        ticket_id: UUID, caller: Calling, expected: Expected, body: EscalateBody, response: Response
    ) -> Levelled:
        told = HandOver(**body.model_dump(exclude={"level"}))
        order = orders.Escalation(level=body.level, expected_version=expected, hand_over=told)
        return Levelled.model_validate(command(ticket_id, caller, body, order, response))


def _told(answer: Answer, response: Response) -> dict[str, Any]:
    response.status_code = answer.status
    response.headers["ETag"] = etag(answer.body["version"])
    return answer.body


def _new_id() -> UUID:
    return uuid_utils.compat.uuid7()


def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"


async def _on_refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, CommandRefused)  # noqa: S101 -- the handler of that class
    return command_problem(error, request.headers.get("Accept-Language")).response()


async def _on_busy(_request: Request, _error: Exception) -> Response:
    return busy_problem().response()
