"""Given events, when an operator acts, then events; every command produces, refuses, stays quiet."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.givens import (
    BY_CUSTOMER,
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    NOW,
    OPERATOR,
    STAFF,
    STAGES,
    TICKET,
    Given,
    Message,
    Moved,
)

from deskline_events.facts import MAX_TEXT_BYTES, Fact
from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeStage,
    Command,
    ReplyToCustomer,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketAccepted,
)
from deskline_tickets.domain.refusals import (
    IllegalMove,
    MissingRequirement,
    NotPermitted,
    PersonErased,
    StaleVersion,
    TextTooLong,
    TicketEnded,
    TicketUnknown,
)
from deskline_tickets.domain.ticket import Ticket, evolve

pytestmark = pytest.mark.unit


def then(ticket: Ticket | None, *facts: Fact) -> Ticket:
    for fact in facts:
        version = ticket.version + 1 if ticket else 1
        ticket = evolve(ticket, fact, ticket_id=TICKET, version=version, time=NOW)
    assert ticket is not None
    return ticket


def in_stage(given: Given, moved: Moved, stage: Stage) -> Ticket:
    return given() if stage == "new" else given(moved(stage))


def customer_reply(message: CustomerMessage, **more: Any) -> AddCustomerReply:
    fields: dict[str, Any] = {"actor": BY_CUSTOMER, "contact_id": CUSTOMER, "message": message}
    return AddCustomerReply(**(fields | more))


def reply(seen_version: int = 1, **more: Any) -> ReplyToCustomer:
    fields: dict[str, Any] = {
        "actor": BY_OPERATOR,
        "roles": STAFF,
        "reply_id": UUID(int=50),
        "text": "Включите",
        "now": NOW,
    }
    return ReplyToCustomer(**(fields | {"seen_version": seen_version} | more))


def note(**more: Any) -> AddNote:
    fields: dict[str, Any] = {
        "actor": BY_OPERATOR,
        "roles": STAFF,
        "note_id": UUID(int=60),
        "text": "Проверил",
    }
    return AddNote(**(fields | more))


def priority(to: str = "high", version: int | None = 1, **more: Any) -> ChangePriority:
    fields: dict[str, Any] = {
        "actor": BY_OPERATOR,
        "roles": STAFF,
        "priority": to,
        "expected_version": version,
    }
    return ChangePriority(**(fields | more))


def stage(to: Stage, version: int | None = None, **more: Any) -> ChangeStage:
    fields: dict[str, Any] = {
        "actor": BY_OPERATOR,
        "roles": STAFF,
        "stage": to,
        "now": NOW,
        "expected_version": version,
    }
    return ChangeStage(**(fields | more))


# ReplyToCustomer


def test_a_reply_on_a_new_ticket_takes_it(given: Given) -> None:
    replied, accepted, taken = decide(given(), reply())
    assert accepted == TicketAccepted(operator_id=OPERATOR, offer_id=None, actor=BY_OPERATOR, assignment_no=1)
    assert replied == OperatorReplied(
        reply_id=UUID(int=50), operator_id=OPERATOR, contact_id=CUSTOMER, text="Включите", seen_version=1
    )
    assert taken == StageChanged(
        before="new", after="in_progress", actor=BY_OPERATOR, cycle=1, assignment_no=2
    )


@pytest.mark.parametrize(
    "at", ["in_progress", "waiting_customer", "waiting_third_party", "waiting_until", "resolved"]
)
def test_a_reply_on_a_taken_ticket_leaves_its_stage(given: Given, moved: Moved, at: Stage) -> None:
    (event,) = decide(in_stage(given, moved, at), reply(2))
    assert isinstance(event, OperatorReplied)


def test_a_reply_may_move_the_ticket_after_taking_it(given: Given) -> None:
    _, _, taken, waits = decide(given(), reply(then_stage="waiting_customer"))
    assert isinstance(taken, StageChanged)
    assert isinstance(waits, StageChanged)
    assert (taken.before, taken.after, taken.assignment_no) == ("new", "in_progress", 2)
    assert (waits.before, waits.after, waits.assignment_no) == ("in_progress", "waiting_customer", 3)


def test_a_reply_may_resolve_with_a_reason(given: Given, moved: Moved) -> None:
    ticket = given(moved("in_progress"))
    _, resolved = decide(ticket, reply(2, then_stage="resolved", closing_reason="solved"))
    assert isinstance(resolved, StageChanged)
    assert resolved.closing_reason == "solved"
    with pytest.raises(MissingRequirement):
        decide(ticket, reply(2, then_stage="resolved"))


def test_a_reply_goes_from_one_waiting_to_another_through_in_progress(given: Given, moved: Moved) -> None:
    events = decide(given(moved("waiting_third_party")), reply(2, then_stage="waiting_customer"))
    moves = [(event.before, event.after) for event in events if isinstance(event, StageChanged)]
    assert moves == [("waiting_third_party", "in_progress"), ("in_progress", "waiting_customer")]


def test_a_reply_may_put_the_waiting_off(given: Given, moved: Moved) -> None:
    ticket = given(moved("waiting_until"))
    later = NOW + timedelta(days=30)
    after = then(ticket, *decide(ticket, reply(2, then_stage="waiting_until", until=later)))
    assert (after.stage, after.until) == ("waiting_until", later)
    assert len(decide(ticket, reply(2, then_stage="waiting_until", until=ticket.until))) == 1


def test_a_reply_that_waits_for_the_customer_reopens_a_resolved_ticket(given: Given, moved: Moved) -> None:
    ticket = given(moved("resolved"))
    after = then(ticket, *decide(ticket, reply(2, then_stage="waiting_customer")))
    assert (after.stage, after.cycle) == ("waiting_customer", 2)


def test_a_replys_move_is_left_undone_where_the_customer_wrote_since(given: Given, message: Message) -> None:
    ticket = given()
    ticket = then(ticket, *decide(ticket, customer_reply(message(2))))
    unread = decide(ticket, reply(1, then_stage="resolved", closing_reason="solved"))
    assert [type(event) for event in unread] == [OperatorReplied, TicketAccepted, StageChanged]
    assert then(ticket, *unread).stage == "in_progress"
    read = decide(ticket, reply(2, then_stage="resolved", closing_reason="solved"))
    assert then(ticket, *read).stage == "resolved"


def test_a_reply_is_never_refused_for_its_version(given: Given, moved: Moved) -> None:
    (event,) = decide(given(moved("in_progress")), reply(seen_version=40))
    assert isinstance(event, OperatorReplied)
    assert event.seen_version == 2


@pytest.mark.parametrize(
    ("at", "legal"), [("closed", ("in_progress",)), ("spam", ()), ("merged", ()), ("abandoned", ())]
)
def test_a_reply_is_refused_where_the_ticket_is_over_with_the_legal_moves(
    given: Given, moved: Moved, at: Stage, legal: tuple[Stage, ...]
) -> None:
    with pytest.raises(TicketEnded) as refused:
        decide(in_stage(given, moved, at), reply(2))
    assert (refused.value.stage, refused.value.legal) == (at, legal)


def test_a_reply_is_refused_with_its_move_where_that_is_illegal(given: Given, moved: Moved) -> None:
    with pytest.raises(IllegalMove) as refused:
        decide(given(moved("in_progress")), reply(2, then_stage="closed"))
    assert "resolved" in refused.value.legal


def test_a_reply_is_refused_to_others_without_text_with_too_much_and_to_the_erased(given: Given) -> None:
    for other in (BY_CUSTOMER, BY_SYSTEM, Actor(kind="operator")):
        with pytest.raises(NotPermitted):
            decide(given(), reply(actor=other))
    with pytest.raises(NotPermitted):
        decide(given(), reply(roles=frozenset({"admin", "analyst"})))
    with pytest.raises(MissingRequirement):
        decide(given(), reply(text=" \n"))
    with pytest.raises(PersonErased):
        decide(given(), reply(erased=True))
    assert decide(given(), reply(text="я" * (MAX_TEXT_BYTES // 2)))
    with pytest.raises(TextTooLong):
        decide(given(), reply(text="я" * (MAX_TEXT_BYTES // 2) + "!"))


def test_a_reply_stays_quiet_when_repeated(given: Given, moved: Moved) -> None:
    ticket = given()
    after = then(ticket, *decide(ticket, reply()))
    assert decide(after, reply()) == ()
    assert decide(then(after, moved("closed")), reply()) == ()
    assert decide(after, reply(reply_id=UUID(int=51))) != ()


def test_the_first_human_reply_keeps_its_time(given: Given) -> None:
    ticket = then(given(), *decide(given(), reply()))
    assert ticket.first_human_reply_at == NOW
    again = decide(ticket, reply(reply_id=UUID(int=51)))[0]
    later = evolve(ticket, again, ticket_id=TICKET, version=9, time=NOW + timedelta(days=1))
    assert later.first_human_reply_at == NOW
    assert later.last_speaker == "operator"


# AddNote


@pytest.mark.parametrize("at", STAGES)
def test_a_note_is_taken_in_every_stage_and_moves_nothing(given: Given, moved: Moved, at: Stage) -> None:
    ticket = in_stage(given, moved, at)
    twice = (UUID(int=5), UUID(int=6), UUID(int=5))
    events = decide(ticket, note(mentions=twice))
    assert events == (
        NoteAdded(
            note_id=UUID(int=60),
            operator_id=OPERATOR,
            contact_id=CUSTOMER,
            text="Проверил",
            mentions=twice[:2],
        ),
    )
    after = then(ticket, *events)
    assert after == replace(ticket, version=ticket.version + 1, seen=after.seen)


def test_a_note_is_refused_to_others_without_text_with_too_much_and_for_the_erased(given: Given) -> None:
    for other in (BY_CUSTOMER, BY_SYSTEM, Actor(kind="operator")):
        with pytest.raises(NotPermitted):
            decide(given(), note(actor=other))
    with pytest.raises(MissingRequirement):
        decide(given(), note(text=""))
    with pytest.raises(TextTooLong):
        decide(given(), note(text="x" * (MAX_TEXT_BYTES + 1)))
    with pytest.raises(PersonErased):
        decide(given(), note(erased=True))


def test_a_note_stays_quiet_when_repeated(given: Given) -> None:
    assert decide(then(given(), *decide(given(), note())), note()) == ()


# ChangeStage (its moves: test_transitions.py)


def test_change_stage_moves(given: Given) -> None:
    ticket = then(given(), *decide(given(), stage("resolved", 1, closing_reason="solved")))
    assert (ticket.stage, ticket.closing_reason, ticket.resolved_at) == ("resolved", "solved", NOW)
    closed = then(ticket, *decide(ticket, stage("closed")))
    assert (closed.closed_at, closed.resolved_at, closed.closing_reason) == (NOW, NOW, "solved")
    reopened = then(closed, *decide(closed, stage("in_progress", actor=BY_CUSTOMER)))
    assert (reopened.cycle, reopened.resolved_at, reopened.closed_at) == (2, None, None)


def test_change_stage_is_refused_on_another_version(given: Given, moved: Moved) -> None:
    for version in (1, 3):
        with pytest.raises(StaleVersion) as refused:
            decide(given(moved("in_progress")), stage("waiting_customer", version))
        assert refused.value.current == 2


def test_change_stage_is_refused_to_contacts_of_other_tickets_and_to_those_without_role(
    given: Given, moved: Moved
) -> None:
    ticket = given(moved("resolved"))
    with pytest.raises(NotPermitted):
        decide(ticket, stage("closed", actor=Actor(kind="contact", id=UUID(int=99))))
    for role in ("admin", "analyst"):
        with pytest.raises(NotPermitted):
            decide(ticket, stage("closed", roles=frozenset({role})))
        with pytest.raises(NotPermitted):
            decide(ticket, stage("resolved", roles=frozenset({role})))


@pytest.mark.parametrize("at", STAGES)
def test_change_stage_stays_quiet_when_repeated(given: Given, moved: Moved, at: Stage) -> None:
    ticket = in_stage(given, moved, at)
    if at == "in_progress":
        taken = TicketAccepted(operator_id=OPERATOR, actor=BY_OPERATOR, assignment_no=2)
        ticket = given(moved(at), taken)
    repeat = stage(at, 1, closing_reason=ticket.closing_reason, until=ticket.until)
    assert decide(ticket, repeat) == ()


def test_change_stage_to_the_same_stage_for_another_reason_or_time_is_not_swallowed(
    given: Given, moved: Moved
) -> None:
    with pytest.raises(IllegalMove):
        decide(given(moved("resolved")), stage("resolved", closing_reason="duplicate"))
    with pytest.raises(IllegalMove):
        decide(given(moved("waiting_until")), stage("waiting_until", until=NOW + timedelta(days=99)))


# ChangePriority


def test_change_priority_changes(given: Given) -> None:
    events = decide(given(), priority())
    assert events == (PriorityChanged(before="medium", after="high", actor=BY_OPERATOR),)
    after = then(given(), *events)
    assert (after.priority, after.assignment_no) == ("high", 0)
    assert decide(given(), priority(version=None, actor=BY_SYSTEM))


@pytest.mark.parametrize("at", ["closed", "spam", "merged", "abandoned"])
def test_change_priority_is_refused_where_the_ticket_is_over(given: Given, moved: Moved, at: Stage) -> None:
    with pytest.raises(TicketEnded):
        decide(in_stage(given, moved, at), priority(version=2))


def test_change_priority_is_refused_on_another_version_and_to_customers(given: Given) -> None:
    with pytest.raises(StaleVersion):
        decide(given(), priority(version=2))
    with pytest.raises(NotPermitted):
        decide(given(), priority(actor=BY_CUSTOMER))


def test_change_priority_stays_quiet_when_repeated(given: Given) -> None:
    assert decide(then(given(), *decide(given(), priority())), priority()) == ()


# All


def test_every_command_but_the_first_needs_a_ticket(message: Message) -> None:
    commands: list[Command] = [
        customer_reply(message(2)),
        AddAutomaticMessage(actor=BY_SYSTEM, contact_id=CUSTOMER, message=message(2, "list")),
        reply(),
        note(),
        stage("in_progress"),
        priority(),
    ]
    for command in commands:
        with pytest.raises(TicketUnknown):
            decide(None, command)
