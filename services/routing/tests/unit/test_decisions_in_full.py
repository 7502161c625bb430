"""Given an office and a ticket, when routing decides, then the whole fact and the whole ticket after it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from deskline_events.conditions import Circumstances, Conditions
from deskline_events.routing import (
    AssignmentWithdrawn,
    Candidate,
    ConsideredQueue,
    NobodyAvailable,
    OfferMade,
    TicketQueued,
)
from deskline_routing.domain.choosing import MOST_CANDIDATES
from deskline_routing.domain.deciding import OfferClock, decide, reconsider, recover
from deskline_routing.domain.ids import FALLBACK_QUEUE, offer_id_of
from deskline_routing.domain.office import Office, Operator, Queue
from deskline_routing.domain.ticket import MOST_REFUSALS, Offer, Ticket

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 2, tzinfo=UTC)
SINCE = NOW - timedelta(hours=1)
TICK = timedelta(microseconds=1)
OLGA, OLEG, TEAM, QUEUE, STRANGER = (UUID(int=number) for number in (1, 2, 3, 4, 5))
FOUND = Circumstances(line_id=UUID(int=1), channel="email", language="ru", level=2, priority="high")
SECOND_LEVEL = Queue(QUEUE, team_id=TEAM, order=1, conditions=Conditions(levels=(2,)), accept_seconds=90)
NEW = Ticket(
    UUID(int=9), UUID(int=8), SINCE, FOUND, assignment_no=6, asked_no=5, asked_id=UUID(int=7), queue_attempt=2
)
QUEUED = replace(NEW, queue_id=QUEUE, attempt=3, waiting=True)


def office(*people: Operator) -> Office:
    return Office(people, [SECOND_LEVEL, Queue(FALLBACK_QUEUE)])


def person(operator_id: UUID, **given: Any) -> Operator:
    fields: dict[str, Any] = {"presence": "online", "capacity": 2.0, "team_ids": frozenset({TEAM})} | given
    return Operator(operator_id, **fields)


def clock(found: Office) -> OfferClock:
    return OfferClock(found, NOW)


def test_a_ticket_is_put_into_the_queue_of_its_level() -> None:
    there = office()
    ruling = decide(there, clock(there), replace(NEW, waiting=True))
    assert ruling is not None
    assert ruling.fact == TicketQueued(
        queue_id=QUEUE,
        team_id=TEAM,
        assignment_no=6,
        circumstances=FOUND,
        considered=(ConsideredQueue(queue_id=QUEUE, unmet=()),),
        fallback=False,
    )
    assert ruling.ticket == replace(NEW, asked_no=6, asked_id=None, queue_attempt=3, waiting=False)


def test_a_ticket_that_fits_nowhere_goes_into_the_fallback() -> None:
    there, first_level = office(), FOUND.model_copy(update={"level": 1})
    ruling = decide(there, clock(there), replace(NEW, circumstances=first_level))
    assert ruling is not None
    assert ruling.fact == TicketQueued(
        queue_id=FALLBACK_QUEUE,
        team_id=None,
        assignment_no=6,
        circumstances=first_level,
        considered=(
            ConsideredQueue(queue_id=QUEUE, unmet=("levels",)),
            ConsideredQueue(queue_id=FALLBACK_QUEUE, unmet=()),
        ),
        fallback=True,
    )


def test_a_queued_ticket_is_offered_to_who_waited_longest() -> None:
    olga, oleg = person(OLGA, load=1.0, last_offered_at=SINCE), person(OLEG, presence="away")
    there = office(olga, oleg)
    ruling = decide(there, clock(there), QUEUED)
    offer_id = offer_id_of(QUEUED.ticket_id, 6, 4)
    assert ruling is not None
    assert ruling.fact == OfferMade(
        offer_id=offer_id,
        queue_id=QUEUE,
        operator_id=OLGA,
        assignment_no=6,
        attempt=4,
        until=NOW + timedelta(seconds=90),
        strategy="longest_idle",
        waiting_since=SINCE,
        candidates=(
            Candidate(operator_id=OLEG, rejected="away", load=0.0, capacity=2.0, last_offered_at=None),
            Candidate(operator_id=OLGA, rejected=None, load=1.0, capacity=2.0, last_offered_at=SINCE),
        ),
    )
    offer = Offer(offer_id, OLGA, 6, NOW, NOW + timedelta(seconds=90), team_id=TEAM)
    assert ruling.ticket == replace(QUEUED, offer=offer, attempt=4, waiting=False)
    assert (olga.load, olga.last_offered_at) == (2.0, NOW)
    assert (oleg.load, oleg.last_offered_at) == (0.0, None)


def test_who_is_preferred_is_asked_before_who_waited_longer() -> None:
    there = office(person(OLGA, last_offered_at=SINCE), person(OLEG))
    for preferred, first in ((None, OLEG), (OLGA, OLGA), (OLEG, OLEG)):
        ruling = decide(there, clock(there), replace(QUEUED, preferred_id=preferred))
        assert ruling is not None
        assert isinstance(ruling.fact, OfferMade)
        assert ruling.fact.operator_id == first
        for one in there.operators.values():
            one.load = 0.0
        there.operators[OLGA].last_offered_at, there.operators[OLEG].last_offered_at = SINCE, None


def test_a_team_is_named_in_whole_up_to_a_thousand() -> None:
    crowd = [person(UUID(int=number)) for number in range(100, 100 + MOST_CANDIDATES)]
    ruling = decide(office(*crowd), OfferClock(office(), NOW), QUEUED)
    assert ruling is not None
    assert isinstance(ruling.fact, OfferMade)
    assert [one.operator_id.int for one in ruling.fact.candidates] == list(range(100, 1100))


def test_that_nobody_is_there_names_everybody_and_why() -> None:
    there = office(person(OLGA, presence="offline"))
    ruling = decide(there, clock(there), replace(QUEUED, waiting=False))
    assert ruling is not None
    assert ruling.fact == NobodyAvailable(
        queue_id=QUEUE,
        assignment_no=6,
        attempt=4,
        candidates=(
            Candidate(operator_id=OLGA, rejected="offline", load=0.0, capacity=2.0, last_offered_at=None),
        ),
    )
    assert ruling.ticket == replace(QUEUED, waiting=True, attempt=4)


def test_a_load_below_nothing_is_told_as_none() -> None:
    there = office(person(OLGA, load=-1.0))
    ruling = decide(there, clock(there), QUEUED)
    assert ruling is not None
    assert isinstance(ruling.fact, OfferMade)
    assert ruling.fact.candidates[0].load == 0.0


def test_a_refused_question_is_asked_so_often_and_no_more() -> None:
    there = office(person(OLGA))
    assert decide(there, clock(there), replace(QUEUED, refusals=MOST_REFUSALS - 1)) is not None
    for refusals in (MOST_REFUSALS, MOST_REFUSALS + 1):
        assert decide(there, clock(there), replace(QUEUED, refusals=refusals)) is None
    assert MOST_REFUSALS == 3


def test_each_offer_is_a_tick_after_the_one_before_it_by_any_replica() -> None:
    later = NOW + timedelta(seconds=5)
    never, earlier, ahead = (
        office(person(OLGA)),
        office(person(OLGA, last_offered_at=SINCE)),
        office(person(OLGA, last_offered_at=later), person(OLEG, last_offered_at=SINCE)),
    )
    for there, first in [(never, NOW), (earlier, NOW), (ahead, later + TICK)]:
        moments = clock(there)
        assert [moments.next() for _ in range(3)] == [first, first + TICK, first + 2 * TICK]
    same = office(person(OLGA, last_offered_at=NOW))
    assert clock(same).next() == NOW + TICK


# Reconsidered


def test_a_waiting_ticket_is_offered_once_somebody_could_take_it() -> None:
    there = office(person(OLGA))
    ruling = reconsider(there, clock(there), QUEUED, {OLGA}, restart=False)
    assert ruling is not None
    assert isinstance(ruling.fact, OfferMade)
    assert ruling.fact.until == NOW + timedelta(seconds=90)
    assert ruling.ticket.offer is not None
    assert ruling.ticket.offer.team_id == TEAM


def test_a_ticket_without_a_queue_is_decided_anew() -> None:
    there = office(person(OLGA))
    ruling = reconsider(there, clock(there), replace(QUEUED, queue_id=None), {OLGA}, restart=False)
    assert ruling is not None
    assert isinstance(ruling.fact, TicketQueued)
    assert ruling.fact.considered[0].queue_id == QUEUE
    assigned = replace(QUEUED, assignee_id=OLGA)
    assert reconsider(there, clock(there), assigned, {OLGA}, restart=True) is None


def test_a_round_begins_anew_with_all_who_were_asked() -> None:
    there = office(person(OLGA), person(OLEG, last_offered_at=SINCE))
    refused = replace(QUEUED, refused_by={OLGA: "declined", OLEG: "timed_out"})
    assert reconsider(there, clock(there), refused, {OLGA}, restart=False) is None
    assert reconsider(there, clock(there), refused, set(), restart=True) is None
    assert reconsider(there, clock(there), refused, {STRANGER}, restart=True) is None
    ruling = reconsider(there, clock(there), refused, {STRANGER, OLEG}, restart=True)
    assert ruling is not None
    assert isinstance(ruling.fact, OfferMade)
    assert (ruling.fact.operator_id, ruling.ticket.refused_by) == (OLGA, {})
    assert ruling.fact.until == NOW + timedelta(seconds=90)


def test_a_round_in_which_nobody_was_asked_does_not_begin_anew() -> None:
    there = office(person(OLGA, presence="offline"))
    assert reconsider(there, clock(there), QUEUED, {OLGA}, restart=True) is None


# Recovered


def test_who_left_is_asked_for_their_ticket_in_whole() -> None:
    gone = office(person(OLGA, employed=False))
    held = replace(QUEUED, assignee_id=OLGA, assignee_team_id=TEAM, return_no=5)
    ruling = recover(gone, held)
    assert ruling is not None
    assert ruling.fact == AssignmentWithdrawn(operator_id=OLGA, assignment_no=6, reason="operator_left")
    assert ruling.ticket == replace(held, return_no=6)


def test_an_offer_to_who_left_comes_first_and_once() -> None:
    gone = office(person(OLGA, employed=False))
    offer = Offer(UUID(int=11), OLGA, 6, NOW, NOW)
    both = replace(QUEUED, offer=offer, assignee_id=OLGA)
    ruling = recover(gone, both)
    assert ruling is not None
    assert ruling.ticket == replace(both, offer=replace(offer, withdrawn=True))
    assert ruling.fact.model_dump()["reason"] == "operator_left"
    assert recover(gone, ruling.ticket) is None


def test_nothing_is_recovered_from_who_is_there_or_was_never_known() -> None:
    here = office(person(OLGA))
    for holder in (OLGA, STRANGER):
        assert recover(here, replace(QUEUED, assignee_id=holder, assignee_team_id=TEAM)) is None
        assert recover(here, replace(QUEUED, offer=Offer(UUID(int=11), holder, 6, NOW, NOW, TEAM))) is None
    assert recover(here, QUEUED) is None
