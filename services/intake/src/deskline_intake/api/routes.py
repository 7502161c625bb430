"""The routes: HTTP becomes a command or a query, what comes back becomes HTTP; nothing is decided here."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from uuid_utils.compat import uuid7

from deskline_chassis.callers import require_identity
from deskline_chassis.event_log import Cause
from deskline_chassis.idempotency import KeyedCommand, KeyReusedError
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Database
from deskline_chassis.requests import PageQuery, keyed_command, no_query
from deskline_chassis.telemetry import traceparent_of_current
from deskline_intake import queries
from deskline_intake.answers import Accepted, ContactFound, Erased, LinePage
from deskline_intake.api.bodies import (
    Body,
    EraseBody,
    FindBody,
    FormBody,
    form_key,
    idempotency_key,
    require_json,
)
from deskline_intake.api.refusals import refusal
from deskline_intake.channels.forms import FormDoor
from deskline_intake.handlers.erasing import ContactUnknownError, Eraser
from deskline_intake.handlers.forms import FormPost, FormRefused
from deskline_intake.ports import Registry, StoredLine

STAFF: Final = frozenset({"operator", "lead", "admin"})
ADMINS: Final = frozenset({"admin"})
# A form's text may be written with six bytes for each of its letters.
FORM_BODY_BYTES: Final = 320 * 1024

Language = Annotated[str | None, Header(alias="Accept-Language")]


@dataclass(frozen=True, slots=True)
class Desk:
    """What the routes work on."""

    database: Database
    registry: Registry
    forms: FormDoor
    eraser: Eraser


def _permitted(may: Callable[[frozenset[str]], bool]) -> Callable[..., Awaitable[Identity]]:
    async def permit(
        identity: Annotated[Identity, Depends(require_identity)], language: Language = None
    ) -> Identity:
        if not may(identity.roles):
            raise refusal("not_permitted", language)
        return identity

    return permit


def _may_send_forms(roles: frozenset[str]) -> bool:
    """Anybody, by the gateway, which says so; not somebody who is known to be more."""
    return roles == {"customer"} or "system" in roles


Staff = Annotated[Identity, Depends(_permitted(lambda roles: not roles.isdisjoint(STAFF)))]
Admin = Annotated[Identity, Depends(_permitted(lambda roles: not roles.isdisjoint(ADMINS)))]
Sender = Annotated[Identity, Depends(_permitted(_may_send_forms))]
Key = Annotated[str, Depends(idempotency_key)]


class Caller:
    """Which admin gives a command, under which key and on which path."""

    def __init__(self, request: Request, admin: Identity, key: str) -> None:
        self._request = request
        self._admin = admin
        self._key = key

    def asked(self, body: Body) -> KeyedCommand:
        """The command as it will be known when it comes again."""
        return keyed_command(self._request, self._admin.actor_id, self._key, body)

    def cause(self) -> Cause:
        """The command's own story."""
        command_id = uuid7()
        return Cause(command_id, command_id, traceparent_of_current())


async def calling(request: Request, admin: Admin, key: Key) -> Caller:
    """Whoever gives the command of a request."""
    return Caller(request, admin, key)


Calling = Annotated[Caller, Depends(calling)]


def add_routes(app: FastAPI, desk: Desk) -> None:
    """Put intake's routes on the application."""
    for router in (_forms(desk), _lines(desk), _contacts(desk)):
        app.include_router(router, prefix="/v1")


def _forms(desk: Desk) -> APIRouter:
    router = APIRouter(
        prefix="/lines/{line_id}/messages", dependencies=[Depends(no_query), Depends(_keep_private)]
    )

    async def open_form(
        line_id: UUID, request: Request, _sender: Sender, language: Language = None
    ) -> StoredLine:
        line = await desk.forms.line(line_id)
        if line is None:
            raise refusal("line_unknown", language)
        # Only a browser says it, and can't leave it out; the gateway answers its question before (CORS).
        origin = request.headers.get("Origin")
        if origin is not None and origin not in line.origins:
            raise refusal("origin_refused", language)
        return line

    open_line = Annotated[StoredLine, Depends(open_form)]

    @router.post("", status_code=202, dependencies=[Depends(require_json)])
    async def send_form(
        line: open_line, request: Request, body: FormBody, language: Language = None
    ) -> Accepted:
        key = form_key(request, body)
        trace = traceparent_of_current()
        post = FormPost(line, key, body.form, trapped=bool(body.website), traceparent=trace)
        try:
            message_id = await desk.forms.accept(post)
        except FormRefused as refused:
            raise refusal(refused.code, language, refused.retry_after) from None
        return Accepted(message_id=message_id)

    return router


def _lines(desk: Desk) -> APIRouter:
    router = APIRouter()

    @router.get("/lines")
    def read_lines(page: Annotated[PageQuery, Query()], _staff: Staff) -> LinePage:
        with desk.database.transaction() as connection:
            return queries.line_page(connection, page.cursor, page.limit)

    return router


def _contacts(desk: Desk) -> APIRouter:
    router = APIRouter(prefix="/contacts", dependencies=[Depends(no_query), Depends(_keep_private)])

    @router.post("/find", dependencies=[Depends(require_json)])
    def find_contact(body: FindBody, _staff: Staff, language: Language = None) -> ContactFound:
        with desk.database.transaction() as connection:
            found = queries.contact_of(connection, desk.registry, body.address)
        if found is None:
            raise refusal("contact_unknown", language)
        return found

    @router.post("/{contact_id}/erase")
    def erase_contact(
        contact_id: UUID, caller: Calling, body: EraseBody | None = None, language: Language = None
    ) -> Erased:
        try:
            answer = desk.eraser.erase(contact_id, caller.cause(), caller.asked(body or EraseBody()))
        except ContactUnknownError:
            raise refusal("contact_unknown", language) from None
        except KeyReusedError:
            raise refusal("key_reused", language) from None
        return Erased.model_validate(answer.body)

    return router


async def _keep_private(response: Response) -> None:
    response.headers["Cache-Control"] = "no-store"
