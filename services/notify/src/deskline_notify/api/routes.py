"""The routes: who may ask, what is asked, and the answer; nothing is decided here."""

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response

from deskline_chassis.callers import require_identity
from deskline_chassis.cursors import read_cursor, write_cursor
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Database
from deskline_chassis.requests import PageQuery, etag, no_query, stated_version_or_zero
from deskline_events.facts import Language
from deskline_events.notify import NotificationKind
from deskline_notify import queries
from deskline_notify.adapters.directory import teams_of
from deskline_notify.answers import NotificationPage, Preview, TemplateList, TemplateShown
from deskline_notify.api.bodies import TemplateBody
from deskline_notify.domain.rights import may_see
from deskline_notify.handlers import templates

STAFF: Final = frozenset({"operator", "lead", "admin"})
SUPERVISORS: Final = frozenset({"lead", "admin"})
ADMINS: Final = frozenset({"admin"})

Caller = Annotated[Identity, Depends(require_identity)]


def add_routes(app: FastAPI, database: Database) -> None:
    """Put the routes of notify on the application."""
    app.add_exception_handler(templates.TemplateRefusedError, _on_refused)
    app.add_exception_handler(templates.StaleTemplateError, _on_stale)
    app.include_router(_of_tickets(database))
    app.include_router(_of_templates(database))


def _of_tickets(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1/tickets/{ticket_id}")

    @router.get("/notifications")
    def read_notifications(
        ticket_id: UUID, page: Annotated[PageQuery, Query()], caller: Caller, response: Response
    ) -> NotificationPage:
        _require(caller, STAFF)
        listed = f"notifications {ticket_id}"
        after = 0 if page.cursor is None else read_cursor(listed, page.cursor, int)[0]
        with database.transaction() as connection:
            ticket = queries.ticket_of(connection, ticket_id)
            teams = frozenset[UUID]() if caller.scope == "all" else teams_of(connection, caller.actor_id)
            if ticket is None or not may_see(ticket, caller.actor_id, caller.scope, teams):
                raise Problem(404, "ticket_unknown", "There is no such ticket")
            items, last = queries.notifications_of(connection, ticket_id, after, page.limit)
        response.headers["Cache-Control"] = "no-store"
        return NotificationPage(items=items, next_cursor=None if last is None else write_cursor(listed, last))

    return router


def _of_templates(database: Database) -> APIRouter:
    router = APIRouter(prefix="/v1/templates", dependencies=[Depends(no_query)])

    @router.get("")
    def read_templates(caller: Caller) -> TemplateList:
        _require(caller, SUPERVISORS)
        return templates.list_templates(database)

    @router.get("/{kind}/{language}")
    def read_template(
        kind: NotificationKind, language: Language, caller: Caller, response: Response
    ) -> TemplateShown:
        _require(caller, SUPERVISORS)
        return _tagged(templates.read_template(database, kind, language), response)

    @router.put("/{kind}/{language}")
    def put_template(
        kind: NotificationKind,
        language: Language,
        caller: Caller,
        body: TemplateBody,
        response: Response,
        *,
        expected: Annotated[int | None, Depends(stated_version_or_zero)],
    ) -> TemplateShown:
        _require(caller, ADMINS)
        try:
            saved = templates.save(
                database, kind, language, body.source(), actor_id=caller.actor_id, expected=expected
            )
        except templates.StaleTemplateError as stale:
            if expected is not None:
                raise
            raise Problem(
                428,
                "if_match_required",
                "Say on which version this rests",
                "Send If-Match with the ETag of the template that you read.",
                version=stale.version,
            ) from None
        return _tagged(saved, response)

    @router.post("/{kind}/{language}/preview")
    def preview_template(
        kind: NotificationKind, language: Language, caller: Caller, body: TemplateBody
    ) -> Preview:
        _require(caller, ADMINS)
        return templates.preview(kind, language, body.source())

    return router


def _tagged(shown: TemplateShown, response: Response) -> TemplateShown:
    response.headers["ETag"] = etag(shown.version)
    return shown


def _require(caller: Identity, roles: frozenset[str]) -> None:
    if caller.roles.isdisjoint(roles):
        needed = ", ".join(sorted(roles))
        raise Problem(403, "not_permitted", "Your roles don't allow this", f"One of {needed} is needed.")


async def _on_refused(_request: Request, error: Exception) -> Response:
    assert isinstance(error, templates.TemplateRefusedError)  # noqa: S101 -- the handler of that class
    faults: list[dict[str, Any]] = [
        {"field": f"body.{fault.field}", "message": fault.message}
        | ({} if fault.line is None else {"line": fault.line})
        for fault in error.faults[:100]
    ]
    return Problem(422, "template_invalid", "The template can't be used", errors=faults).response()


async def _on_stale(_request: Request, error: Exception) -> Response:
    assert isinstance(error, templates.StaleTemplateError)  # noqa: S101 -- the handler of that class
    return Problem(
        412,
        "stale_version",
        "The template was changed meanwhile",
        "Read it and decide again.",
        version=error.version,
    ).response()
