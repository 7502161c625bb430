"""The loop that keeps readiness honest about the database."""

import asyncio
from uuid import uuid4

import psycopg
import pytest

from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.postgres import Database
from deskline_local.stack import Stack

pytestmark = pytest.mark.component


async def watched(url: str, until: str | None) -> str | None:
    """What the beat says once it says what was waited for; None for ready."""
    database, beat, stop = Database(url, "watched", size=1), Beat(), asyncio.Event()
    database.open()
    watching = asyncio.create_task(database.watch(beat, stop))
    try:
        async with asyncio.timeout(20):
            while not watching.done() and (beat.reason or "ready").partition(":")[0] != (until or "ready"):  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # a beat is read, it does not call
        if watching.done():
            watching.result()
        return beat.reason
    finally:
        stop.set()
        await asyncio.gather(watching, return_exceptions=True)
        await asyncio.to_thread(database.close)


def test_right_database_is_ready(stack: Stack) -> None:
    place = stack.create_service_database("intake", f"watched_{uuid4().hex[:8]}")
    assert asyncio.run(watched(place.runtime_url, None)) is None
    stack.drop_service_database("intake", place.name)


def test_database_of_another_locale_ends_the_process_and_says_what_to_do(stack: Stack) -> None:
    name = f"libc_{uuid4().hex[:8]}"
    with psycopg.connect(stack.database_url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0 LOCALE_PROVIDER libc LOCALE 'C'")
    with pytest.raises(FatalLoopError, match=r"BUILTIN_LOCALE 'C\.UTF-8'") as ended:
        asyncio.run(watched(stack.database_url(name), None))
    assert ended.value.exit_code == 2
    with psycopg.connect(stack.database_url(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


def test_absent_database_is_red_and_named(stack: Stack) -> None:
    reason = asyncio.run(watched(stack.database_url("nowhere"), "database"))
    assert reason is not None
    assert reason.startswith("database: ")
