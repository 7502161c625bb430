"""A ticket's way through routing, with tickets answering: queued, offered, timed out, declined, waiting."""

from collections.abc import Callable
from typing import Any

import pytest

from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.handlers.moments import time_out_offers

pytestmark = pytest.mark.component
Play = Callable[[], None]


def test_an_opened_ticket_is_queued_and_offered(bureau: Any, tickets: Any, play: Play) -> None:
    team = bureau.team()
    olga = bureau.operator(team)
    queue = bureau.queue(team, conditions={"levels": (1,)})
    ticket = tickets.open()
    play()
    queued, made = bureau.facts(ticket)
    assert (queued.queue_id, queued.team_id, queued.fallback) == (queue, team, False)
    assert (queued.circumstances.level, queued.circumstances.priority) == (1, "medium")
    assert (made.operator_id, made.queue_id, made.attempt, made.assignment_no) == (olga, queue, 1, 0)
    (candidate,) = made.candidates
    assert (candidate.operator_id, candidate.rejected, candidate.load, candidate.capacity) == (
        olga,
        None,
        0,
        1,
    )
    assert tickets.holder(ticket) == olga


def test_what_matches_nowhere_goes_to_the_fallback_queue(bureau: Any, tickets: Any, play: Play) -> None:
    other = bureau.queue(None, conditions={"levels": (3,)})
    bureau.operator()
    ticket = tickets.open()
    play()
    queued = bureau.facts(ticket)[0]
    assert (queued.queue_id, queued.fallback) == (FALLBACK_QUEUE, True)
    assert [(one.queue_id, one.unmet) for one in queued.considered] == [
        (other, ("levels",)),
        (FALLBACK_QUEUE, ()),
    ]
    assert bureau.said(FALLBACK_QUEUE) == ["QueueChanged"]
    assert tickets.holder(ticket) is not None


def test_an_offer_that_times_out_goes_to_the_next(bureau: Any, tickets: Any, play: Play) -> None:
    operators = {bureau.operator(), bureau.operator()}
    ticket = tickets.open()
    play()
    first = tickets.holder(ticket)
    bureau.time_out(ticket)
    play()
    assert bureau.said(ticket) == ["TicketQueued", "OfferMade", "OfferWithdrawn", "OfferMade"]
    withdrawn, made = bureau.facts(ticket)[2:]
    assert (withdrawn.reason, withdrawn.operator_id) == ("timed_out", first)
    assert {made.operator_id} == operators - {first}
    assert {one.operator_id: one.rejected for one in made.candidates}[first] == "timed_out"


def test_the_moment_of_an_offer_that_ended_does_nothing_to_the_next_one(
    bureau: Any, tickets: Any, play: Play, cause: Any
) -> None:
    bureau.operator(), bureau.operator()
    ticket = tickets.open()
    play()
    first = bureau.last(ticket).offer_id
    tickets.decline(ticket)
    play()
    for due, withdrawn in ((first, 0), (bureau.last(ticket).offer_id, 1)):
        with bureau.desks.open() as desk:
            time_out_offers(desk, {ticket: {due}}, cause)
        assert bureau.said(ticket).count("OfferWithdrawn") == withdrawn


def test_a_declined_offer_goes_to_the_next_until_everybody_was_asked(
    bureau: Any, tickets: Any, play: Play
) -> None:
    bureau.operator(), bureau.operator()
    ticket = tickets.open()
    play()
    tickets.decline(ticket)
    play()
    tickets.decline(ticket)
    play()
    assert bureau.said(ticket) == ["TicketQueued", "OfferMade", "OfferMade", "NobodyAvailable"]
    nobody = bureau.last(ticket)
    assert {one.rejected for one in nobody.candidates} == {"declined"}
    assert nobody.attempt == 3
    bureau.sweep()
    assert bureau.said(ticket)[-1] == "OfferMade"  # the round began anew
    bureau.sweep()
    assert bureau.said(ticket).count("OfferMade") == 3


def test_nobody_available_is_said_once_and_presence_brings_the_offer(
    bureau: Any, tickets: Any, play: Play
) -> None:
    olga = bureau.operator(online=False)
    first, second = tickets.open(), tickets.open()
    play()
    bureau.sweep()
    for ticket in (first, second):
        assert bureau.said(ticket) == ["TicketQueued", "NobodyAvailable"]
        assert [one.rejected for one in bureau.last(ticket).candidates] == ["offline"]
    bureau.online(olga)
    play()
    assert (tickets.holder(first), tickets.holder(second)) == (olga, None)  # capacity 1, the oldest first
    tickets.decline(first)
    play()
    assert (tickets.holder(first), tickets.holder(second)) == (None, olga)


def test_capacity_that_is_freed_goes_to_whoever_waits_longest(bureau: Any, tickets: Any, play: Play) -> None:
    olga = bureau.operator()
    first, second, third = (tickets.open() for _ in range(3))
    play()
    assert tickets.accept(first) == olga
    play()
    assert [one.rejected for one in bureau.last(second).candidates] == ["at_capacity"]
    tickets.stage(first, "resolved")
    play()
    assert (tickets.holder(second), tickets.holder(third)) == (olga, None)
    tickets.accept(second)
    tickets.stage(first, "in_progress")  # reopened: it is Olga's load again, beyond what she can take
    tickets.stage(second, "resolved")
    play()
    assert tickets.holder(third) is None
    tickets.unassign(first)
    play()
    assert tickets.holder(third) == olga


def test_a_skill_that_is_gained_brings_the_offer(bureau: Any, tickets: Any, play: Play) -> None:
    bureau.queue(None, skills=("printers",))
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    assert [one.rejected for one in bureau.last(ticket).candidates] == ["skill_missing"]
    bureau.operator(operator_id=olga, skills=("printers",), online=False)
    play()
    assert tickets.holder(ticket) == olga


def test_an_acceptance_that_beat_the_withdrawal_counts_as_no_timeout(
    bureau: Any, tickets: Any, play: Play
) -> None:
    olga = bureau.operator(capacity=2)
    ticket = tickets.open()
    play()
    bureau.time_out(ticket)
    tickets.accept(ticket)
    play()
    assert bureau.said(ticket) == ["TicketQueued", "OfferMade", "OfferWithdrawn"]
    assert bureau.rows("SELECT timeouts FROM operators") == [(0,)]
    assert bureau.rows("SELECT assignee_id, offer_id FROM tickets") == [(olga, None)]


def test_two_timeouts_in_a_row_set_away_until_they_say_that_they_are_back(
    bureau: Any, tickets: Any, play: Play
) -> None:
    olga = bureau.operator(capacity=5)
    one, two = tickets.open(), tickets.open()
    play()
    for ticket in (one, two):
        bureau.time_out(ticket)
        play()
    assert [found.rejected for found in bureau.last(two).candidates] == ["timed_out"]
    third = tickets.open()
    play()
    assert [found.rejected for found in bureau.last(third).candidates] == ["away"]
    assert bureau.presence(olga, "online") == "away"  # a heartbeat by itself changes nothing
    assert bureau.presence(olga, "away") == "away"
    bureau.online(olga)
    play()
    assert tickets.holder(third) == olga


def test_a_timeout_between_answers_is_none_in_a_row(bureau: Any, tickets: Any, play: Play) -> None:
    olga = bureau.operator(capacity=5)
    for _ in range(3):
        late, answered = tickets.open(), tickets.open()
        play()
        bureau.time_out(late)
        play()
        tickets.accept(answered)
        play()
    assert bureau.presence(olga, "online") == "online"


def test_a_refused_offer_frees_and_is_decided_anew(bureau: Any, tickets: Any, play: Play) -> None:
    olga, oleg = bureau.operator(), bureau.operator()
    ticket = tickets.open()
    bureau.drain(), tickets.answer(), bureau.drain()
    offered = bureau.last(ticket).operator_id
    other = oleg if offered == olga else olga
    tickets.accept(ticket, other)  # before tickets read the offer
    play()
    assert bureau.said(ticket) == ["TicketQueued", "OfferMade"]
    assert bureau.rows("SELECT assignee_id, offer_id FROM tickets") == [(other, None)]
    second = tickets.open()
    play()
    assert tickets.holder(second) == offered


def test_a_decision_that_is_refused_with_nothing_changed_waits_for_the_sweep(
    bureau: Any, tickets: Any, play: Play
) -> None:
    bureau.operator()
    ticket = tickets.open()
    bureau.drain()
    for _ in range(4):
        queued = bureau.rows("SELECT asked_id FROM tickets")[0][0]
        if queued is not None:
            tickets.read += 1
            tickets.refuse(ticket, "queue", queued)
        bureau.drain()
    assert bureau.said(ticket) == ["TicketQueued"] * 3
    bureau.sweep()
    assert bureau.said(ticket) == ["TicketQueued"] * 4


def test_an_escalated_ticket_goes_to_the_level_and_to_who_had_it_there(
    bureau: Any, tickets: Any, play: Play
) -> None:
    first, second = bureau.team(), bureau.team()
    bureau.queue(first, conditions={"levels": (1,)})
    upper = bureau.queue(second, conditions={"levels": (2,)}, order=2)
    bureau.operator(first)
    experts = [bureau.operator(second, capacity=9) for _ in range(3)]
    for preferred in experts:
        ticket = tickets.open()
        play()
        tickets.accept(ticket)
        tickets.escalate(ticket, 2, preferred)
        play()
        queued = [fact for fact in bureau.facts(ticket) if type(fact).__name__ == "TicketQueued"][-1]
        assert (queued.queue_id, queued.circumstances.level) == (upper, 2)
        assert tickets.holder(ticket) == preferred
        assert bureau.last(ticket).attempt == 1


def test_a_persons_choice_of_queue_is_kept(bureau: Any, tickets: Any, play: Play) -> None:
    team = bureau.team()
    bureau.operator()
    oleg = bureau.operator(team)
    queue = bureau.queue(team, conditions={"levels": (3,)})
    ticket = tickets.open()
    play()
    tickets.route(ticket, queue)
    play()
    assert bureau.said(ticket) == ["TicketQueued", "OfferMade", "OfferMade"]
    assert (bureau.last(ticket).queue_id, bureau.last(ticket).operator_id) == (queue, oleg)


def test_a_reopened_ticket_without_assignee_is_offered(bureau: Any, tickets: Any, play: Play) -> None:
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    tickets.stage(ticket, "resolved")
    play()
    assert tickets.holder(ticket) is None
    tickets.stage(ticket, "in_progress")
    play()
    assert tickets.holder(ticket) == olga


def test_who_gave_it_back_is_not_the_first_to_be_asked(bureau: Any, tickets: Any, play: Play) -> None:
    operators = {bureau.operator(capacity=9), bureau.operator(capacity=9)}
    ticket = tickets.open()
    play()
    had = tickets.accept(ticket)
    bureau.as_owner("UPDATE operators SET last_offered_at = NULL WHERE operator_id = %s", had)
    tickets.unassign(ticket)
    play()
    assert {tickets.holder(ticket)} == operators - {had}


def test_who_only_declines_is_not_asked_again_and_who_gets_capacity_is(
    bureau: Any, tickets: Any, play: Play
) -> None:
    olga = bureau.operator()
    first = tickets.open()
    play()
    tickets.decline(first)
    play()
    second = tickets.open()
    play()
    tickets.decline(second)
    play()
    assert [bureau.said(one)[-1] for one in (first, second)] == ["NobodyAvailable"] * 2
    third = tickets.open()
    play()
    assert tickets.accept(third) == olga
    play()
    tickets.stage(third, "resolved")
    play()
    assert (tickets.holder(first), tickets.holder(second)) == (olga, None)
