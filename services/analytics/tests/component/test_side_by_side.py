"""Readers of different owners and the sweep write the same tickets at the same time, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest

from deskline_analytics.projections import MODELS, apply_events, forget_erased
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause

pytestmark = pytest.mark.component

GROUPS = (("tickets",), ("routing",), ("sla", "notify", "intake"))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_owners_in_different_processes_never_lose_one_anothers_columns(
    shared_rig: Any, make_story: Any, fill: Any, seed: int
) -> None:
    story = make_story(seed).live(tickets=12, events=500)
    erased = story.contacts[0]
    shared_rig.as_owner("DELETE FROM known_keys")
    shared_rig.as_owner(
        "INSERT INTO known_keys (subject, erased_at) VALUES (%s, '2026-03-01T09:00:00Z')", (erased,)
    )
    fill(shared_rig, story)
    sweep(shared_rig)
    expected = shared_rig.state()
    for model in MODELS:
        shared_rig.as_owner(f"DELETE FROM {model}")
    received = [Received(e, f, Cause(UUID(int=1))) for e, f in story.events()]
    begin, over = Barrier(len(GROUPS) + 1), Event()

    def read(owners: tuple[str, ...]) -> None:
        mine = [one for one in received if one.envelope.owner in owners]
        begin.wait(30)
        for at in range(0, len(mine), 40):
            with shared_rig.database.transaction() as connection:
                apply_events(Transaction(connection), mine[at : at + 40])

    def keep_sweeping() -> None:
        begin.wait(30)
        while not over.is_set():
            sweep(shared_rig)

    with ThreadPoolExecutor(len(GROUPS) + 1) as threads:
        sweeping = threads.submit(keep_sweeping)
        reading = [threads.submit(read, owners) for owners in GROUPS]
        try:
            for one in reading:
                one.result(60)
        finally:
            over.set()
        sweeping.result(30)
    sweep(shared_rig)
    shared_rig.as_owner("DELETE FROM known_keys")
    assert shared_rig.state() == expected


def sweep(rig: Any) -> None:
    with rig.database.transaction() as connection:
        forget_erased(connection)
