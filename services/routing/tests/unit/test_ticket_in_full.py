"""Given a ticket, when tickets tells of it, then the whole ticket: this changed, and nothing else."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.routing.tests.full_ticket import (
    ASKED,
    ASKED_NOTHING,
    BY_OLEG,
    COMPANY,
    FOUND,
    FULL,
    LATER,
    LINE,
    NOW,
    OFFER,
    OLEG,
    OLGA,
    OPEN,
    OTHER,
    QUEUE,
    STORY,
    SYSTEM,
    TEAM,
    TICKET,
    UNTIL,
    UNTRIED,
    after,
    opened,
    team_for,
)

from deskline_events.conditions import Circumstances
from deskline_events.facts import Customer
from deskline_events.tickets import (
    Escalated,
    OfferDeclined,
    OfferEnded,
    PriorityChanged,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)
from deskline_routing.domain.ticket import (
    ENDED,
    Offer,
    Ticket,
    UnknownTicketError,
    open_ticket,
)

pytestmark = pytest.mark.unit


# TicketOpened


def test_an_opened_ticket_is_new_and_has_what_conditions_ask() -> None:
    assert open_ticket(TICKET, STORY, opened(), LATER) == Ticket(
        ticket_id=TICKET,
        correlation_id=STORY,
        waiting_since=NOW,
        circumstances=Circumstances(
            line_id=LINE,
            channel="form",
            language="en",
            level=2,
            priority="high",
            tier="gold",
            company_id=COMPANY,
            new_contact=True,
            verified=True,
        ),
        stage="new",
        assignment_no=0,
        queue_id=None,
        requeue=False,
        asked_no=None,
        asked_id=None,
        assignee_id=None,
        assignee_team_id=None,
        return_no=None,
        offer=None,
        preferred_id=None,
        queue_attempt=0,
        attempt=0,
        refusals=0,
        refused_by={},
        waiting=False,
    )


def test_what_is_not_said_of_a_customer_is_not_assumed() -> None:
    customer = Customer(contact_id=OLGA, tier=None, company_id=None, new=False, verified=False)
    found = open_ticket(TICKET, STORY, opened(customer=customer), LATER).circumstances
    assert (found.tier, found.company_id, found.new_contact, found.verified) == (None, None, False, False)


def test_an_offer_is_by_default_nobodys_yet() -> None:
    made = Offer(OFFER, OLGA, 4, NOW, UNTIL)
    assert (made.team_id, made.seen_at, made.withdrawn, made.decision_id) == (None, None, False, None)


def test_a_hole_in_a_stream_may_be_named_in_a_log() -> None:
    assert UnknownTicketError.safe_message is True


def test_nobody_waits_since_a_time_to_come() -> None:
    earlier = NOW - timedelta(minutes=1)
    assert open_ticket(TICKET, STORY, opened(), earlier).waiting_since == earlier


# StageChanged, PriorityChanged


def moved(stage: Any, no: int) -> StageChanged:
    return StageChanged(before="new", after=stage, actor=SYSTEM, cycle=1, assignment_no=no)


def test_a_move_under_the_same_number_changes_the_stage_alone() -> None:
    assert after(FULL, moved("waiting_customer", 4)) == replace(FULL, stage="waiting_customer")


def test_a_move_under_another_number_forgets_what_was_tried() -> None:
    expected = replace(FULL, stage="waiting_customer", assignment_no=5, **UNTRIED)
    assert after(FULL, moved("waiting_customer", 5)) == expected


@pytest.mark.parametrize("stage", sorted(ENDED))
def test_nobody_is_waited_for_in_a_ticket_that_is_over(stage: Any) -> None:
    assert after(FULL, moved(stage, 4)) == replace(FULL, stage=stage, waiting=False)
    assert not after(replace(FULL, waiting=False), moved("in_progress", 4)).waiting


def test_a_ticket_is_over_in_these_stages() -> None:
    assert {"resolved", "closed", "merged", "spam", "abandoned"} == ENDED


def test_a_priority_and_a_level_change_one_circumstance_each() -> None:
    fact = PriorityChanged(before="medium", after="high", actor=SYSTEM)
    assert after(FULL, fact) == replace(FULL, circumstances=FOUND.model_copy(update={"priority": "high"}))


# TicketRouted


def test_a_queue_answers_the_question_for_it() -> None:
    fact = TicketRouted(queue_id=OTHER, team_id=TEAM, actor=SYSTEM, assignment_no=4)
    assert after(FULL, fact) == replace(FULL, queue_id=OTHER, requeue=False, waiting=False, **ASKED_NOTHING)


def test_a_queue_under_a_later_number_answers_the_question_too() -> None:
    fact = TicketRouted(queue_id=OTHER, team_id=TEAM, actor=SYSTEM, assignment_no=5)
    expected = replace(FULL, queue_id=OTHER, requeue=False, assignment_no=5, **ASKED_NOTHING, **UNTRIED)
    assert after(FULL, fact) == expected


def test_a_queue_under_an_earlier_number_leaves_the_question_open() -> None:
    asking = replace(FULL, assignment_no=3, asked_no=4)
    routed = after(asking, TicketRouted(queue_id=OTHER, team_id=TEAM, actor=SYSTEM, assignment_no=3))
    assert routed == replace(asking, queue_id=OTHER, requeue=False, waiting=False)
    unasked = replace(FULL, **ASKED_NOTHING)
    again = after(unasked, TicketRouted(queue_id=OTHER, team_id=TEAM, actor=SYSTEM, assignment_no=4))
    assert again == replace(unasked, queue_id=OTHER, requeue=False, waiting=False)


def test_a_persons_queue_is_no_way_back_to_who_was_preferred() -> None:
    fact = TicketRouted(queue_id=OTHER, team_id=TEAM, actor=BY_OLEG, assignment_no=4)
    expected = replace(FULL, queue_id=OTHER, requeue=False, waiting=False, preferred_id=None, **ASKED_NOTHING)
    assert after(FULL, fact) == expected


# TicketOffered, OfferDeclined, OfferEnded


def offered(offer_id: UUID) -> TicketOffered:
    return TicketOffered(
        offer_id=offer_id, operator_id=OLEG, queue_id=OTHER, until=UNTIL, assignment_no=5, decision_id=ASKED
    )


def test_an_offer_that_is_known_was_seen_then() -> None:
    assert after(FULL, offered(OFFER)) == replace(FULL, offer=replace(OPEN, seen_at=LATER))


@pytest.mark.parametrize("known", [None, OPEN])
def test_an_offer_of_an_earlier_life_is_taken_over_in_whole(known: Offer | None) -> None:
    ticket = replace(FULL, offer=known)
    adopted = Offer(UUID(int=88), OLEG, 5, LATER, UNTIL, team_id=team_for(OTHER, OLEG), seen_at=LATER)
    assert after(ticket, offered(UUID(int=88))) == replace(ticket, offer=adopted, waiting=False)


def test_a_declined_or_missed_offer_is_open_no_more_and_is_not_made_again() -> None:
    declined = OfferDeclined(offer_id=OFFER, operator_id=OLGA, assignment_no=4)
    missed = OfferEnded(offer_id=OFFER, operator_id=OLGA, reason="timed_out", assignment_no=4)
    withdrawn = OfferEnded(offer_id=OFFER, operator_id=OLGA, reason="operator_left", assignment_no=4)
    for fact, how in [(declined, "declined"), (missed, "timed_out")]:
        refused_by: dict[UUID, Any] = {OLEG: "declined", OLGA: how}
        assert after(FULL, fact) == replace(FULL, offer=None, refused_by=refused_by)
    assert after(FULL, withdrawn) == replace(FULL, offer=None)


def test_what_ends_another_offer_leaves_the_open_one() -> None:
    another = OfferDeclined(offer_id=UUID(int=88), operator_id=OLGA, assignment_no=4)
    refused_by: dict[UUID, Any] = {OLEG: "declined", OLGA: "declined"}
    assert after(FULL, another) == replace(FULL, refused_by=refused_by)
    without = replace(FULL, offer=None)
    assert after(without, another) == replace(without, refused_by=refused_by)


# TicketAccepted, TicketUnassigned, Escalated


@pytest.mark.parametrize(("by", "offer"), [(OFFER, None), (None, OPEN), (UUID(int=88), OPEN)])
def test_an_accepted_ticket_is_its_operators_by_the_team_of_its_queue(
    by: UUID | None, offer: Offer | None
) -> None:
    fact = TicketAccepted(operator_id=OLGA, offer_id=by, actor=BY_OLEG, assignment_no=5)
    assert after(FULL, fact) == replace(
        FULL,
        assignment_no=5,
        assignee_id=OLGA,
        assignee_team_id=team_for(QUEUE, OLGA),
        return_no=None,
        preferred_id=None,
        offer=offer,
        **UNTRIED,
    )


def test_accepted_under_the_same_number_it_is_waited_for_no_longer() -> None:
    fact = TicketAccepted(operator_id=OLGA, offer_id=OFFER, actor=BY_OLEG, assignment_no=4)
    expected = replace(FULL, assignee_id=OLGA, assignee_team_id=team_for(QUEUE, OLGA), return_no=None)
    assert after(FULL, fact) == replace(expected, preferred_id=None, offer=None, waiting=False)


@pytest.mark.parametrize(
    ("reason", "refused_by"),
    [
        ("given_back", {OLEG: "declined"}),
        ("taken_away", {OLEG: "declined"}),
        ("escalated", {}),
        ("queue_changed", {}),
        ("operator_left", {}),
        ("operator_lost", {}),
    ],
)
def test_who_gave_a_ticket_back_or_lost_it_is_not_asked_first(reason: Any, refused_by: Any) -> None:
    fact = TicketUnassigned(operator_id=OLEG, reason=reason, actor=SYSTEM, assignment_no=5)
    expected = replace(FULL, assignment_no=5, assignee_id=None, assignee_team_id=None, return_no=None)
    assert after(FULL, fact) == replace(expected, **(UNTRIED | {"refused_by": refused_by}))


@pytest.mark.parametrize("no", [4, 5])
def test_an_escalated_ticket_asks_for_a_queue_of_its_level(no: int) -> None:
    fact = Escalated(
        before=1, after=3, reason="manual", actor=SYSTEM, assignment_no=no, preferred_operator_id=OLEG
    )
    expected = replace(
        FULL,
        assignment_no=no,
        circumstances=FOUND.model_copy(update={"level": 3}),
        requeue=True,
        assignee_id=None,
        assignee_team_id=None,
        return_no=None,
        preferred_id=OLEG,
        waiting=False,
    )
    assert after(replace(FULL, requeue=False), fact) == replace(expected, **(UNTRIED if no == 5 else {}))
