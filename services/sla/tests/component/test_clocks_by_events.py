"""Records of tickets become clocks and deadlines, whatever comes twice and however it is cut."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.sla.tests.kit import (
    CUSTOMER,
    answered,
    book,
    escalated,
    moved,
    opened,
    prioritised,
    tell,
    wrote,
)
from services.sla.tests.replica import Replica, Tickets, ago

from deskline_events.facts import Fact
from deskline_local.databases import ServiceDatabase
from deskline_sla.domain.defaults import DEFAULT_CALENDAR_ID, DEFAULT_POLICY_ID

pytestmark = pytest.mark.component

HOUR = timedelta(hours=1)


def life(begin: datetime) -> list[tuple[Fact, datetime]]:
    """A ticket's story: answered, waiting, resumed, recalculated, solved, reopened."""
    return [
        (opened(begin), begin),
        (moved("new", "in_progress"), begin + HOUR),
        (answered(), begin + 2 * HOUR),
        (moved("in_progress", "waiting_customer"), begin + 2 * HOUR),
        (wrote(begin + 4 * HOUR), begin + 4 * HOUR),
        (moved("waiting_customer", "in_progress", CUSTOMER), begin + 4 * HOUR),
        (prioritised("medium", "high"), begin + 5 * HOUR),
        (escalated(), begin + 5 * HOUR),
        (moved("in_progress", "resolved"), begin + 6 * HOUR),
        (wrote(begin + 7 * HOUR), begin + 7 * HOUR),
        (moved("resolved", "in_progress", CUSTOMER, cycle=2), begin + 7 * HOUR),
    ]


def state(replica: Replica) -> dict[str, Any]:
    """All that was announced and kept of tickets, without what differs between databases."""
    return {
        "events": replica.rows(
            "SELECT stream, sequence, type, data::text, correlation_id, causation_id FROM events"
            " WHERE stream <> ALL(%s) ORDER BY stream, sequence",
            [DEFAULT_POLICY_ID, DEFAULT_CALENDAR_ID],
        ),
        "clocks": replica.rows("SELECT * FROM clocks ORDER BY ticket_id, name, cycle"),
        "tickets": replica.rows("SELECT * FROM tickets ORDER BY ticket_id"),
        "armed": replica.rows(
            "SELECT subject, key, generation, due_at FROM deadlines WHERE state = 'armed' ORDER BY 1, 2"
        ),
    }


def test_a_story_is_announced_kept_and_armed(sla: Replica, tickets: Tickets) -> None:
    ticket, begin = uuid4(), ago(hours=8)
    tickets.say(ticket, *life(begin))
    sla.take(tickets)
    assert sla.names(ticket) == [
        "ClockStarted first_response",
        "ClockStarted resolution",
        "ClockMet first_response",
        "ClockPaused resolution",
        "ClockResumed resolution",
        "SlaRecalculated resolution",
        "ClockMet resolution",
        "ClockStarted resolution",
    ]
    assert [data["generation"] for _, data in sla.told(ticket)] == [1, 1, 1, 1, 2, 3, 3, 1]
    assert sla.rows("SELECT name, cycle, generation, state FROM clocks ORDER BY 1, 2") == [
        ("first_response", 1, 1, "met"),
        ("resolution", 1, 3, "met"),
        ("resolution", 2, 1, "running"),
    ]
    assert sla.pending(ticket) == {
        "resolution/2/warn": (1, begin + 7 * HOUR + 8 * HOUR * 0.8),
        "resolution/2/breach": (1, begin + 15 * HOUR),
    }
    ((correlation, causation),) = sla.rows(
        "SELECT correlation_id, causation_id FROM events WHERE stream = %s AND sequence = 1", ticket
    )
    assert correlation == ticket
    assert causation is not None


def test_what_is_there_from_the_beginning_is_announced_before_it_is_used(
    sla: Replica, tickets: Tickets
) -> None:
    tickets.say(uuid4(), (opened(ago(minutes=1)), ago(minutes=1)))
    sla.take(tickets)
    first = sla.rows("SELECT type FROM events ORDER BY id LIMIT 3")
    assert [kind.split(".")[2] for (kind,) in first] == ["CalendarChanged", "PolicyChanged", "ClockStarted"]


def many(tickets: Tickets, begin: datetime) -> list[UUID]:
    """Five lives, told alternately."""
    ids = [UUID(int=number) for number in range(1, 6)]
    for step in zip(*(life(begin + timedelta(minutes=number)) for number in range(5)), strict=True):
        for ticket, happened in zip(ids, step, strict=True):
            tickets.say(ticket, happened)
    return ids


@pytest.mark.parametrize("batch", [1, 7, 500])
def test_any_cut_of_the_batches_gives_the_same(
    sla: Replica, tickets: Tickets, new_base: Any, batch: int
) -> None:
    many(tickets, ago(hours=20))
    sla.take(tickets)
    base: ServiceDatabase = new_base()
    another = Replica(base)
    another.know_customer(tickets)
    try:
        another.take(tickets, batch=batch)
        assert state(another) == state(sla)
    finally:
        another.close()


def test_what_comes_again_has_no_effect(sla: Replica, other: Replica, tickets: Tickets) -> None:
    many(tickets, ago(hours=20))
    sla.take(tickets, up_to=31)
    before = len(sla.rows("SELECT FROM events"))
    other.take_again(tickets, 0)
    once = state(sla)
    assert len(sla.rows("SELECT FROM events")) > before
    for since in (0, 13, len(tickets.records) - 1):
        sla.take_again(tickets, since)
        assert state(sla) == once


def test_what_was_announced_is_what_a_replay_gives(sla: Replica, tickets: Tickets) -> None:
    ticket, story = uuid4(), life(ago(hours=8))
    tickets.say(ticket, *story)
    sla.take(tickets, batch=3)
    _, moves = tell(book(), story)
    replayed = [(move.fact.TYPE.split(".")[2], move.fact.model_dump(mode="json")) for move in moves]
    assert replayed == sla.told(ticket)


def test_no_word_of_anybody_is_kept(sla: Replica, tickets: Tickets) -> None:
    ticket = uuid4()
    tickets.say(ticket, *life(ago(hours=8)))
    sla.take(tickets)
    for (table,) in sla.rows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        if table != "alembic_version":
            kept = str(sla.rows(f"SELECT * FROM {table}"))
            for word in ("Не печатает", "Принтер", "Проверьте"):
                assert word not in kept, table


def test_an_own_story_is_told_by_the_ticket_that_it_is_about(sla: Replica, tickets: Tickets) -> None:
    known, unknown = uuid4(), uuid4()
    tickets.say(known, (opened(ago(hours=1)), ago(hours=1)))
    # A stream whose first fact is no opening, as a set-aside message's is, has no clocks.
    tickets.say(unknown, (answered(), ago(hours=1)))
    sla.take(tickets)
    assert sla.told(unknown) == []
    assert len(sla.told(known)) == 2
