"""Deciding: what a ticket is owed, what is said only once, and when a round begins anew."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_events.conditions import Circumstances
from deskline_events.routing import (
    AssignmentWithdrawn,
    NobodyAvailable,
    OfferMade,
    OfferWithdrawn,
    TicketQueued,
)
from deskline_routing.domain.deciding import OfferClock, decide, reconsider, recover
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import Office, Operator, Queue
from deskline_routing.domain.ticket import MOST_REFUSALS, Offer, Ticket

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
OLGA, OLEG, TEAM = (UUID(int=number) for number in (1, 2, 3))
FOUND = Circumstances(line_id=UUID(int=1), channel="email", language="ru", level=1, priority="medium")
NEW = Ticket(UUID(int=9), UUID(int=9), NOW, FOUND)
QUEUED = replace(NEW, queue_id=FALLBACK_QUEUE)
WAITING = replace(QUEUED, waiting=True, attempt=1)


def office(**olga: Any) -> Office:
    fields: dict[str, Any] = {"presence": "online", "capacity": 1} | olga
    return Office([Operator(OLGA, **fields)], [Queue(FALLBACK_QUEUE)])


def decided(ticket: Ticket, found: Office | None = None) -> Any:
    there = found or office()
    ruling = decide(there, OfferClock(there, NOW), ticket)
    return None if ruling is None else ruling.fact


@pytest.mark.parametrize(
    ("ticket", "fact"),
    [
        (NEW, TicketQueued),
        (QUEUED, OfferMade),
        (replace(QUEUED, requeue=True), TicketQueued),
        (replace(QUEUED, queue_id=UUID(int=77)), TicketQueued),
        (replace(QUEUED, stage="waiting_customer"), OfferMade),
        (replace(NEW, asked_no=0), type(None)),
        (replace(NEW, asked_no=0, assignment_no=1), TicketQueued),
        (replace(QUEUED, assignee_id=OLEG), type(None)),
        (replace(QUEUED, stage="resolved"), type(None)),
        (replace(QUEUED, offer=Offer(UUID(int=5), OLEG, 0, NOW, NOW)), type(None)),
        (replace(QUEUED, refusals=MOST_REFUSALS), type(None)),
    ],
)
def test_a_ticket_is_owed_one_thing_or_none(ticket: Ticket, fact: type) -> None:
    assert type(decided(ticket)) is fact


def test_that_nobody_is_there_is_said_once() -> None:
    nobody = office(presence="offline")
    assert isinstance(decided(QUEUED, nobody), NobodyAvailable)
    assert decided(WAITING, nobody) is None


def test_a_round_begins_anew_only_for_who_gained_something_and_could_take_it() -> None:
    refused = replace(WAITING, refused_by={OLGA: "declined"})
    other = Office([*office().operators.values(), Operator(OLEG, capacity=1)], [Queue(FALLBACK_QUEUE)])

    def woken(gained: set[UUID], *, restart: bool) -> Any:
        return reconsider(other, OfferClock(other, NOW), refused, gained, restart=restart)

    assert woken({OLGA}, restart=False) is None
    assert woken({OLEG}, restart=True) is None  # who is offline
    again = woken({OLGA}, restart=True)
    assert isinstance(again.fact, OfferMade)
    assert (again.fact.attempt, again.ticket.refused_by) == (2, {})


def test_who_left_is_asked_once_for_what_they_have_under_a_number() -> None:
    gone = office(employed=False)
    held = replace(QUEUED, assignee_id=OLGA, stage="in_progress")
    first = recover(gone, held)
    assert first is not None
    assert isinstance(first.fact, AssignmentWithdrawn)
    assert recover(gone, first.ticket) is None
    assert recover(gone, first.ticket, again=True) is not None
    assert recover(gone, replace(first.ticket, assignment_no=1)) is not None
    assert recover(gone, replace(held, stage="resolved")) is None


def test_who_left_the_team_loses_only_what_they_had_by_it() -> None:
    here = office()
    by_team = Offer(UUID(int=5), OLGA, 0, NOW, NOW, team_id=TEAM)
    lost = recover(here, replace(QUEUED, offer=by_team))
    assert lost is not None
    assert isinstance(lost.fact, OfferWithdrawn)
    assert recover(here, replace(QUEUED, offer=replace(by_team, team_id=None))) is None
    held = replace(QUEUED, assignee_id=OLGA)
    assert recover(here, held) is None
    assert recover(here, replace(held, assignee_team_id=TEAM)) is not None
