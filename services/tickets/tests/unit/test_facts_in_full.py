"""Given a ticket, when a command is decided, then the whole fact, and what it is known by afterwards."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    after,
    move,
    requeue,
)
from services.tickets.tests.givens import (
    BY_CUSTOMER,
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    NOW,
    OPERATOR,
    STAFF,
    TICKET,
    Given,
    Message,
    Moved,
)

from deskline_events.facts import MAX_TEXT_BYTES, Fact
from deskline_events.tickets import Link
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
    Escalated,
    MessageSetAside,
    OperatorReplied,
    StageChanged,
    TicketOpened,
    TicketRouted,
)
from deskline_tickets.domain.refusals import TextTooLong
from deskline_tickets.domain.threading import Incoming, Traces, traces_in
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.domain.tokens import issue_reply_token, message_id_hash, ticket_of_message_id

pytestmark = pytest.mark.unit


LATER = NOW + timedelta(hours=1)


def then(ticket: Ticket, fact: Fact) -> Ticket:
    return evolve(ticket, fact, ticket_id=TICKET, version=ticket.version + 1, time=LATER)


def seen(ticket: Ticket, *marks: str) -> dict[str, Any]:
    return {"version": ticket.version + 1, "seen": ticket.seen | set(marks)}


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
