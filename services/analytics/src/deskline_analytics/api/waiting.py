"""Reading one's own write: an answer waits until a version of a ticket is here, or says to ask again."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from deskline_analytics import queries
from deskline_analytics.api.access import Caller
from deskline_analytics.api.asking import VERSION_PATTERN
from deskline_chassis.http import Problem
from deskline_chassis.postgres import Database

PATIENCE_SECONDS: Final = 2.0
POLL_SECONDS: Final = 0.05
RETRY_AFTER_SECONDS: Final = 1

_FORM: Final = re.compile(VERSION_PATTERN)


def waits_for_version(database: Database) -> Callable[[Caller, Request], Awaitable[None]]:
    """A dependency of GETs: waits for `min_version`, holding neither a connection nor a thread meanwhile."""

    def here(ticket_id: UUID) -> int:
        with database.transaction() as connection:
            return queries.ticket_version(connection, ticket_id) or 0

    async def wait_for_version(_caller: Caller, request: Request) -> None:
        asked = request.query_params.get("min_version", "")
        # What has another form is refused together with whatever else is wrong with the request.
        if request.method != "GET" or not _FORM.fullmatch(asked):
            return
        ticket, _, version = asked.partition(":")
        ticket_id, wanted = UUID(ticket), int(version)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while await run_in_threadpool(here, ticket_id) < wanted:
            if time.monotonic() >= deadline:
                raise _pending()
            await asyncio.sleep(POLL_SECONDS)

    return wait_for_version


def _pending() -> Problem:
    return Problem(
        503,
        "version_pending",
        "That version of the ticket has not come here yet",
        "Ask again, or leave min_version out and take what is known now.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )
