"""An answer waits for a version of a ticket, without holding a connection, and gives up after a while."""

import asyncio
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from services.analytics.tests.door import Door, problem

from deskline_analytics.api import waiting
from deskline_analytics.api.routes import routes
from deskline_chassis.postgres import Database

pytestmark = pytest.mark.component


@pytest.fixture
def door(shared_rig: Any, make_story: Any, fill: Any) -> Door:
    return Door(shared_rig, fill(shared_rig, make_story(2).live(tickets=3, events=30)))


def paths(door: Door) -> list[str]:
    ticket_id, opened = next(iter(door.story.tickets.items()))
    days = "from=2026-03-01&to=2026-03-02"
    return [
        "/v1/tickets",
        f"/v1/tickets/by-number/{opened.number}",
        f"/v1/tickets/{ticket_id}/timeline",
        f"/v1/tickets/{ticket_id}/routing-decisions",
        f"/v1/reports/daily-flow?{days}",
        f"/v1/reports/sla?{days}&clock=resolution",
        f"/v1/reports/operator-load?{days}",
    ]


def test_what_is_here_is_answered_at_once(door: Door) -> None:
    ((ticket_id, version),) = door.rig.ask("SELECT ticket_id, version FROM open_tickets ORDER BY 1 LIMIT 1")
    for path in paths(door):
        wanted = httpx.URL(path).copy_merge_params({"min_version": f"{ticket_id}:{version}"})
        assert door.get(str(wanted)).status_code == 200, path


def test_what_does_not_come_is_told_to_be_asked_again(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    ticket_id = next(iter(door.story.tickets))
    begun = time.monotonic()
    answer = door.get("/v1/tickets", min_version=f"{ticket_id}:9999")
    assert waiting.PATIENCE_SECONDS <= time.monotonic() - begun < waiting.PATIENCE_SECONDS + 3
    problem(answer, 503, "version_pending")
    assert answer.headers["retry-after"] == "1"
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 0.1)
    for path in paths(door):
        wanted = httpx.URL(path).copy_merge_params({"min_version": f"{uuid4()}:1"})
        problem(door.get(str(wanted)), 503, "version_pending")


def test_nobody_waits_who_may_not_read(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 100.0)
    problem(door.get("/v1/tickets", role=None, min_version=f"{uuid4()}:1"), 401, "identity_refused")
    problem(door.get("/v1/tickets", role="system", min_version=f"{uuid4()}:1"), 403, "not_permitted")


def test_many_wait_on_one_connection_for_what_comes(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "PATIENCE_SECONDS", 30.0)
    ((ticket_id, version),) = door.rig.ask("SELECT ticket_id, version FROM open_tickets ORDER BY 1 LIMIT 1")
    single = Database(door.rig.analytics.runtime_url, "single", size=1)
    single.open()
    here = Door(door.rig, door.story)
    here.app.router.routes.clear()
    here.app.include_router(routes(single))
    asked = {"min_version": f"{ticket_id}:{version + 1}"}

    async def all_of_them() -> list[int]:
        transport = httpx.ASGITransport(here.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://analytics", timeout=60) as client:
            headers = here.headers("operator")
            waiters = [
                asyncio.create_task(client.get("/v1/tickets", params=asked, headers=headers))
                for _ in range(60)
            ]
            # The only connection is free for others while all of them wait.
            for _ in range(3):
                answer = await client.get("/v1/tickets", headers=headers)
                assert answer.status_code == 200
            assert not any(waiter.done() for waiter in waiters)
            await asyncio.to_thread(
                door.rig.as_owner,
                "UPDATE open_tickets SET version = version + 1 WHERE ticket_id = %s",
                (ticket_id,),
            )
            return [answer.status_code for answer in await asyncio.gather(*waiters)]

    try:
        assert asyncio.run(all_of_them()) == [200] * 60
    finally:
        single.close()
