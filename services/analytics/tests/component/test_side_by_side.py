"""Readers of different owners and the sweep write the same tickets at the same time, and nothing is lost."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any
from uuid import UUID

import pytest

from deskline_analytics.domain.models import MODELS
from deskline_analytics.projections import apply_events, forget_erased
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause

pytestmark = pytest.mark.component

GROUPS = (("tickets",), ("routing",), ("sla", "notify", "intake"))
TOLD_BY_TWO = (
    "SELECT ticket_id, version, number, stage, subject, customer_messages, first_response_due_at,"
    " first_response_breached, resolution_cycle, resolution_due_at, resolution_breached"
    " FROM open_tickets ORDER BY 1"
)


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


@pytest.mark.parametrize("first", ["tickets", "sla"])
def test_a_row_that_two_owners_make_at_once_has_what_both_told(
    shared_rig: Any, make_story: Any, fill: Any, until: Any, first: str
) -> None:
    story = make_story(4).live(tickets=6, events=80)
    fill(shared_rig, story)
    expected = shared_rig.ask(TOLD_BY_TWO)
    for model in MODELS:
        shared_rig.as_owner(f"DELETE FROM {model}")
    told = {
        owner: [Received(e, f, Cause(UUID(int=1))) for e, f in story.events() if e.owner == owner]
        for owner in ("tickets", "sla")
    }
    (second,) = told.keys() - {first}
    with ThreadPoolExecutor(1) as thread:
        with shared_rig.database.transaction() as connection:
            apply_events(Transaction(connection), told[first])
            waiting = thread.submit(play, shared_rig, told[second])
            until(lambda: is_waiting(shared_rig), "the second reader meets the rows of the first")
        waiting.result(30)
    assert shared_rig.ask(TOLD_BY_TWO) == expected


def test_what_an_erasure_blanks_while_a_ticket_changes_stays_blank(
    shared_rig: Any, make_story: Any, fill: Any, until: Any
) -> None:
    story = make_story(4).staff()
    ticket_id = story.open()
    fill(shared_rig, story)
    before = len(story.events())
    story.note(ticket_id)
    told = [Received(e, f, Cause(UUID(int=1))) for e, f in story.events()[before:]]
    with ThreadPoolExecutor(1) as thread:
        with shared_rig.database.transaction() as connection:
            connection.execute("UPDATE open_tickets SET subject = 'erased'")
            changing = thread.submit(play, shared_rig, told)
            until(lambda: is_waiting(shared_rig), "the reader meets the row that is being blanked")
        changing.result(30)
    assert shared_rig.ask("SELECT subject, notes FROM open_tickets") == [("erased", 1)]


def play(rig: Any, received: list[Received]) -> None:
    with rig.database.transaction() as connection:
        apply_events(Transaction(connection), received)


def is_waiting(rig: Any) -> bool:
    """Whether somebody waits for another's row in this database."""
    return bool(
        rig.ask(
            "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
    )


def sweep(rig: Any) -> None:
    with rig.database.transaction() as connection:
        forget_erased(connection)
