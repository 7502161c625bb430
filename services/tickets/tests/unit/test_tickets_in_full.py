"""Given events, when one more is applied or a decision is made, then the whole ticket or fact of it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    NOW,
    OFFER,
    OPERATOR,
    QUEUE,
    STAFF,
    TEAM,
    TICKET,
    after,
    move,
    requeue,
)

from deskline_events.facts import MAX_TEXT_BYTES, Fact
from deskline_events.tickets import Actor, CustomerMessage, Link
from deskline_tickets.domain.commands import (
    AddCustomerReply,
    ChangeStage,
    EscalateTicket,
    HandOver,
    OpenTicket,
    RecordDelivery,
    ReplyToCustomer,
    SetMessageAside,
    TakeStep,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    CustomerReplied,
    Escalated,
    MessageSetAside,
    OfferDeclined,
    OperatorReplied,
    StageChanged,
    TicketAccepted,
    TicketOffered,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)
from deskline_tickets.domain.refusals import TextTooLong
from deskline_tickets.domain.threading import Incoming, Traces, traces_in
from deskline_tickets.domain.ticket import Offer, Ticket, decline_mark, evolve, replay, step_mark
from deskline_tickets.domain.tokens import issue_reply_token, message_id_hash, ticket_of_message_id

pytestmark = pytest.mark.unit

Given = Callable[..., Ticket]
Moved = Callable[..., StageChanged]
Message = Callable[..., CustomerMessage]

LATER = NOW + timedelta(hours=1)
BY_CUSTOMER = Actor(kind="contact", id=CUSTOMER)


def then(ticket: Ticket, fact: Fact) -> Ticket:
    return evolve(ticket, fact, ticket_id=TICKET, version=ticket.version + 1, time=LATER)


def seen(ticket: Ticket, *marks: str) -> dict[str, Any]:
    return {"version": ticket.version + 1, "seen": ticket.seen | set(marks)}


def test_an_opened_ticket_in_whole(opening: TicketOpened) -> None:
    opened = evolve(None, opening, ticket_id=TICKET, version=1, time=NOW)
    assert opened == Ticket(
        id=TICKET,
        number=7,
        line_id=opening.line.line_id,
        contact_id=CUSTOMER,
        participants=frozenset({CUSTOMER}),
        version=1,
        stage="new",
        priority="medium",
        level=1,
        cycle=1,
        assignment_no=0,
        reply_token="token",
        opened_at=NOW,
        queue_id=None,
        team_id=None,
        assignee_id=None,
        offer=None,
        accepted_offer_id=None,
        holders={},
        resolved_at=None,
        closed_at=None,
        until=None,
        closing_reason=None,
        first_human_reply_at=None,
        resolutions={},
        last_speaker="customer",
        last_customer_version=1,
        deliveries={},
        seen=frozenset({opening.message.source_key}),
    )


def test_what_nobody_opened_is_no_ticket(given: Given, message: Message) -> None:
    said = CustomerReplied(contact_id=CUSTOMER, message=message(2))
    assert evolve(None, said, ticket_id=TICKET, version=1, time=NOW) is None
    assert replay([]) is None


def test_a_customer_who_wrote_was_the_last_to_speak(given: Given, message: Message) -> None:
    ticket = replace(given(), last_speaker="operator", last_customer_version=0)
    said = CustomerReplied(contact_id=CUSTOMER, message=message(2))
    marked = seen(ticket, message(2).source_key)
    assert then(ticket, said) == replace(
        ticket, last_speaker="customer", last_customer_version=ticket.version + 1, **marked
    )


def test_an_operator_who_answered_was_the_last_to_speak(given: Given) -> None:
    answer = OperatorReplied(
        reply_id=UUID(int=50), operator_id=OPERATOR, contact_id=CUSTOMER, text="x", seen_version=1
    )
    marked = seen(given(), str(UUID(int=50)))
    expected = replace(given(), last_speaker="operator", first_human_reply_at=LATER, **marked)
    assert then(given(), answer) == expected


def test_routing_an_offer_and_its_answers_in_whole(given: Given) -> None:
    ticket = given()
    routed = TicketRouted(
        queue_id=QUEUE, team_id=TEAM, actor=BY_SYSTEM, assignment_no=3, decision_id=UUID(int=90)
    )
    queued = then(ticket, routed)
    assert queued == replace(
        ticket, queue_id=QUEUE, team_id=TEAM, assignment_no=3, **seen(ticket, str(UUID(int=90)))
    )
    made = TicketOffered(
        offer_id=OFFER,
        operator_id=OPERATOR,
        queue_id=QUEUE,
        until=LATER,
        assignment_no=3,
        decision_id=UUID(int=91),
    )
    offered = then(queued, made)
    assert offered == replace(
        queued, offer=Offer(OFFER, OPERATOR, LATER), **seen(queued, str(OFFER), str(UUID(int=91)))
    )
    declined = OfferDeclined(offer_id=OFFER, operator_id=OPERATOR, assignment_no=3)
    assert then(offered, declined) == replace(
        offered, offer=None, **seen(offered, decline_mark(OFFER, OPERATOR))
    )
    taken = TicketAccepted(operator_id=OPERATOR, offer_id=OFFER, actor=BY_OPERATOR, assignment_no=4)
    accepted = then(offered, taken)
    assert accepted == replace(
        offered,
        offer=None,
        assignee_id=OPERATOR,
        accepted_offer_id=OFFER,
        assignment_no=4,
        **seen(offered),
    )
    left = TicketUnassigned(operator_id=OPERATOR, reason="given_back", actor=BY_OPERATOR, assignment_no=5)
    free = {"assignee_id": None, "accepted_offer_id": None, "assignment_no": 5, **seen(accepted)}
    assert then(accepted, left) == replace(accepted, **free)
    escalated = left.model_copy(update={"reason": "escalated"})
    held = replace(accepted, holders={2: UUID(int=33)})
    assert then(held, escalated) == replace(held, holders={2: UUID(int=33), 1: OPERATOR}, **free)
    up = Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=BY_SYSTEM,
        assignment_no=6,
        contact_id=CUSTOMER,
        step_key="s",
    )
    assert then(accepted, up) == replace(accepted, level=2, assignment_no=6, **seen(accepted, step_mark("s")))


def test_marks_are_the_same_for_ever() -> None:
    assert step_mark("a/1/b/2") == "step/a/1/b/2"
    assert decline_mark(OFFER, OPERATOR) == f"declined/{OFFER}/{OPERATOR}"


def test_what_a_ticket_was_resolved_and_closed_with_stays_until_it_is_reopened(given: Given) -> None:
    def to(stage: Any, cycle: int, **more: Any) -> StageChanged:
        return StageChanged(
            before="new", after=stage, actor=BY_OPERATOR, cycle=cycle, assignment_no=8, **more
        )

    ticket = given()
    resolved = then(ticket, to("resolved", 1, closing_reason="solved"))
    assert resolved == replace(
        ticket,
        stage="resolved",
        assignment_no=8,
        resolved_at=LATER,
        resolutions={1: LATER},
        closing_reason="solved",
        **seen(ticket),
    )
    closed = evolve(resolved, to("closed", 1), ticket_id=TICKET, version=3, time=LATER + timedelta(hours=1))
    assert closed == replace(resolved, stage="closed", closed_at=LATER + timedelta(hours=1), **seen(resolved))
    reopened = then(closed, to("in_progress", 2))
    assert reopened == replace(
        closed,
        stage="in_progress",
        cycle=2,
        resolved_at=None,
        closed_at=None,
        closing_reason=None,
        **seen(closed),
    )
    waits = then(reopened, to("waiting_until", 2, until=LATER))
    assert (waits.until, waits.resolutions) == (LATER, {1: LATER})
    again = then(waits, to("resolved", 2, closing_reason="no_reply"))
    assert (again.until, again.resolutions) == (None, {1: LATER, 2: LATER})
    straight = then(ticket, to("closed", 1))
    assert (straight.resolved_at, straight.closed_at, straight.resolutions) == (None, LATER, {})


def test_what_is_handed_over_is_kept_in_whole(given: Given) -> None:
    told = HandOver(note=" a note ", tried="all\n", reproduce=" always", affected="all of them ")
    *_, fact = decide(
        given(),
        EscalateTicket(actor=BY_OPERATOR, roles=STAFF, level=2, expected_version=1, hand_over=told),
    )
    assert fact == Escalated(
        before=1,
        after=2,
        reason="manual",
        actor=BY_OPERATOR,
        assignment_no=1,
        preferred_operator_id=None,
        step_key=None,
        has_note=True,
        contact_id=CUSTOMER,
        note="a note",
        tried="all",
        reproduce="always",
        affected="all of them",
        decision_id=None,
    )


def test_an_opening_is_told_in_whole(opening: TicketOpened) -> None:
    link = Link(kind="follow_up_of", ticket_id=UUID(int=9))
    command = OpenTicket(
        actor=BY_CUSTOMER,
        number=opening.number,
        line=opening.line,
        contact_id=CUSTOMER,
        customer=opening.customer,
        subject=opening.subject,
        message=opening.message,
        reply_token="token",
        priority="critical",
        link=link,
    )
    assert decide(None, command) == (opening.model_copy(update={"priority": "critical", "link": link}),)
    plain = replace(command, priority="medium", link=None)
    fields = {name: getattr(plain, name) for name in plain.__slots__ if name not in {"priority", "link"}}
    assert OpenTicket(**fields) == plain


def test_a_message_set_aside_is_told_in_whole() -> None:
    command = SetMessageAside(
        actor=BY_SYSTEM,
        source_key="d" * 64,
        line_id=UUID(int=4),
        contact_id=CUSTOMER,
        received_at=NOW,
        reason="bounce",
    )
    assert decide(None, command) == (
        MessageSetAside(
            source_key="d" * 64, line_id=UUID(int=4), contact_id=CUSTOMER, received_at=NOW, reason="bounce"
        ),
    )


@pytest.mark.parametrize("to", ["waiting_customer", "waiting_third_party", "waiting_until"])
@pytest.mark.parametrize("at", ["in_progress", "waiting_customer", "waiting_third_party", "resolved"])
def test_an_answer_goes_from_each_waiting_to_another_through_in_progress(
    given: Given, moved: Moved, at: Any, to: Any
) -> None:
    command = ReplyToCustomer(
        actor=BY_OPERATOR,
        roles=STAFF,
        reply_id=UUID(int=50),
        text="x",
        seen_version=9,
        now=NOW,
        then_stage=to,
        until=LATER if to == "waiting_until" else None,
    )
    moves = [
        (event.before, event.after)
        for event in decide(given(moved(at)), command)
        if isinstance(event, StageChanged)
    ]
    through = [] if at == "in_progress" else [(at, "in_progress")]
    assert moves == ([] if at == to else [*through, ("in_progress", to)])


def test_unless_it_is_said_otherwise_who_had_a_ticket_keeps_it(accepted: Ticket, message: Message) -> None:
    resolved = after(accepted, move(accepted, "resolved"))
    said = AddCustomerReply(actor=BY_CUSTOMER, contact_id=CUSTOMER, message=message(2))
    reopens = ChangeStage(actor=BY_CUSTOMER, stage="in_progress", now=NOW, expected_version=None)
    for command in (said, reopens):
        assert after(resolved, command).assignee_id == OPERATOR


def test_the_system_ends_what_it_may(given: Given, moved: Moved) -> None:
    silent = given(moved("waiting_customer"))
    command = ChangeStage(
        actor=BY_SYSTEM, stage="resolved", now=NOW, expected_version=None, closing_reason="no_reply"
    )
    (resolved,) = decide(silent, command)
    assert isinstance(resolved, StageChanged)
    assert (resolved.actor, resolved.closing_reason) == (BY_SYSTEM, "no_reply")


def test_another_queue_is_told_with_its_team(queued: Ticket) -> None:
    (routed,) = decide(queued, requeue(queued, team_id=UUID(int=71)))
    assert isinstance(routed, TicketRouted)
    assert routed.team_id == UUID(int=71)


@pytest.mark.parametrize("field", ["note", "tried", "reproduce", "affected"])
def test_all_that_is_handed_over_counts_against_the_limit(given: Given, field: str) -> None:
    told = HandOver(**{field: "x" * (MAX_TEXT_BYTES + 1)})
    command = EscalateTicket(actor=BY_OPERATOR, roles=STAFF, level=2, expected_version=1, hand_over=told)
    with pytest.raises(TextTooLong):
        decide(given(), command)


def test_a_decision_is_answered_once_whatever_step_it_names(given: Given) -> None:
    step = TakeStep(
        decision_id=UUID(int=90),
        clock="resolution",
        cycle=1,
        step="late",
        generation=1,
        due_at=NOW,
        actions=("raise_priority",),
    )
    assert step.key == "resolution/1/late/1"
    raised = after(given(), step)
    assert raised.priority == "high"
    assert decide(raised, replace(step, step="later")) == ()
    assert decide(raised, replace(step, step="later", decision_id=UUID(int=91))) != ()


def test_a_delivery_is_known_by_all_that_is_told_of_it(given: Given) -> None:
    answer = OperatorReplied(
        reply_id=UUID(int=50), operator_id=OPERATOR, contact_id=CUSTOMER, text="x", seen_version=1
    )
    failed = RecordDelivery(
        decision_id=UUID(int=90),
        reply_id=UUID(int=50),
        notification_id=UUID(int=55),
        state="failed",
        reason="smtp_550",
    )
    told = after(given(answer), failed)
    assert decide(told, replace(failed, decision_id=UUID(int=91))) == ()
    assert decide(told, replace(failed, decision_id=UUID(int=91), reason="gave_up")) != ()
    # A decision that was answered is quiet, even where another delivery was told since.
    again = after(told, replace(failed, decision_id=UUID(int=91), state="sent", reason=None))
    assert decide(again, failed) == ()


def test_our_own_loop_leaves_no_trace_of_a_ticket() -> None:
    token = issue_reply_token(b"k" * 32, TICKET)
    looped = Incoming(
        line_id=UUID(int=4),
        sender=CUSTOMER,
        kind="own_loop",
        received_at=NOW,
        subject="[#7]",
        reply_token=token,
        references=f"<x.{token}@desk.example>",
    )
    assert traces_in(looped, b"k" * 32) == Traces()
    assert traces_in(replace(looped, kind="human"), b"k" * 32) != Traces()


def test_our_message_id_is_read_from_its_end() -> None:
    token = issue_reply_token(b"k" * 32, TICKET)
    assert ticket_of_message_id(b"k" * 32, f"<a@b.{token}@desk.example>", {"desk.example"}) == TICKET
    assert ticket_of_message_id(b"k" * 32, f"<a.b.{token}@Desk.Example>", {"desk.example"}) == TICKET
    assert ticket_of_message_id(b"k" * 32, f"<{token}@desk.example>") is None


def test_a_message_id_is_looked_up_under_the_same_hash_for_ever() -> None:
    found = message_id_hash(UUID(int=4), " <a\ud800@b> ").hex()
    assert found == "b973e9633a0a1d20e2276f35ba7475088e74e3a9d71dcb87edbf1e474a57136b"
