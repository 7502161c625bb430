"""Given events, when a message comes, then events: commands of customers and of the system."""

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.givens import (
    BY_CUSTOMER,
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    LINE,
    NOW,
    STAGES,
    TICKET,
    Given,
    Message,
    Moved,
)

from deskline_events.facts import Fact
from deskline_events.tickets import CustomerMessage, Stage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    OpenTicket,
    SetMessageAside,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    MessageSetAside,
    StageChanged,
    TicketOpened,
)
from deskline_tickets.domain.refusals import (
    MissingRequirement,
    NotPermitted,
    PersonErased,
    TicketEnded,
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


def opens(opening: TicketOpened, **more: Any) -> OpenTicket:
    names = ("number", "line", "contact_id", "customer", "subject", "message", "reply_token")
    fields: dict[str, Any] = {"actor": BY_CUSTOMER} | {name: getattr(opening, name) for name in names}
    return OpenTicket(**(fields | more))


def aside(**more: Any) -> SetMessageAside:
    fields: dict[str, Any] = {
        "actor": BY_SYSTEM,
        "source_key": "d" * 64,
        "line_id": LINE,
        "contact_id": CUSTOMER,
    }
    return SetMessageAside(**(fields | {"received_at": NOW, "reason": "list"} | more))


# OpenTicket


def test_open_ticket_opens(opening: TicketOpened) -> None:
    assert decide(None, opens(opening)) == (opening,)
    ticket = then(None, opening)
    assert (ticket.stage, ticket.cycle, ticket.level, ticket.assignment_no) == ("new", 1, 1, 0)
    assert ticket.participants == {CUSTOMER}
    assert ticket.last_speaker == "customer"


def test_open_ticket_is_refused_to_operators_and_for_an_erased_sender(opening: TicketOpened) -> None:
    with pytest.raises(NotPermitted):
        decide(None, opens(opening, actor=BY_OPERATOR))
    with pytest.raises(PersonErased):
        decide(None, opens(opening, erased=True))


def test_open_ticket_stays_quiet_when_repeated(given: Given, opening: TicketOpened) -> None:
    assert decide(given(), opens(opening)) == ()


def test_a_ticket_opened_by_a_machine_has_no_speaker(opening: TicketOpened, message: Message) -> None:
    ticket = then(None, opening.model_copy(update={"message": message(kind="auto_reply")}))
    assert ticket.last_speaker is None
    assert ticket.last_customer_version == 0


# SetMessageAside


def test_set_message_aside_says_why() -> None:
    (event,) = decide(None, aside())
    assert isinstance(event, MessageSetAside)
    assert (event.source_key, event.reason) == ("d" * 64, "list")


def test_set_message_aside_is_the_systems_own() -> None:
    with pytest.raises(NotPermitted):
        decide(None, aside(actor=BY_OPERATOR))


def test_set_message_aside_stays_quiet_when_repeated() -> None:
    assert decide(None, aside(already=True)) == ()


# AddCustomerReply


@pytest.mark.parametrize("at", ["new", "in_progress"])
def test_a_customers_reply_on_an_open_ticket_moves_nothing(
    given: Given, moved: Moved, message: Message, at: Stage
) -> None:
    events = decide(in_stage(given, moved, at), customer_reply(message(2)))
    assert events == (CustomerReplied(contact_id=CUSTOMER, message=message(2)),)


@pytest.mark.parametrize("at", ["waiting_customer", "waiting_third_party", "waiting_until"])
def test_a_customers_reply_ends_the_waiting(given: Given, moved: Moved, message: Message, at: Stage) -> None:
    ticket = in_stage(given, moved, at)
    replied, change = decide(ticket, customer_reply(message(2)))
    assert isinstance(replied, CustomerReplied)
    assert change == StageChanged(
        before=at, after="in_progress", actor=BY_CUSTOMER, cycle=1, assignment_no=ticket.assignment_no + 1
    )
    assert then(ticket, replied, change).until is None


@pytest.mark.parametrize("at", ["resolved", "closed"])
def test_a_customers_reply_reopens_and_starts_a_cycle(
    given: Given, moved: Moved, message: Message, at: Stage
) -> None:
    ticket = in_stage(given, moved, at)
    replied, change = decide(ticket, customer_reply(message(2)))
    assert change == StageChanged(
        before=at, after="in_progress", actor=BY_CUSTOMER, cycle=2, assignment_no=ticket.assignment_no + 1
    )
    reopened = then(ticket, replied, change)
    assert (reopened.resolved_at, reopened.closed_at, reopened.closing_reason) == (None, None, None)


@pytest.mark.parametrize("at", ["spam", "merged", "abandoned"])
def test_a_customers_reply_is_refused_at_an_end(
    given: Given, moved: Moved, message: Message, at: Stage
) -> None:
    with pytest.raises(TicketEnded) as refused:
        decide(in_stage(given, moved, at), customer_reply(message(2)))
    assert (refused.value.stage, refused.value.legal) == (at, ())


def test_a_customers_reply_is_refused_to_who_takes_no_part_and_to_machines(
    given: Given, message: Message
) -> None:
    with pytest.raises(NotPermitted):
        decide(given(), customer_reply(message(2), contact_id=UUID(int=99)))
    with pytest.raises(NotPermitted):
        decide(given(), customer_reply(message(2), actor=BY_OPERATOR))
    with pytest.raises(MissingRequirement):
        decide(given(), customer_reply(message(2, "auto_reply")))
    with pytest.raises(PersonErased):
        decide(given(), customer_reply(message(2), erased=True))


def test_a_customers_reply_stays_quiet_when_repeated(given: Given, moved: Moved, message: Message) -> None:
    ticket = given(moved("resolved"))
    after = then(ticket, *decide(ticket, customer_reply(message(2))))
    assert decide(after, customer_reply(message(2))) == ()
    assert decide(then(after, moved("spam")), customer_reply(message(2))) == ()
    assert decide(ticket, customer_reply(message(1))) == ()


# AddAutomaticMessage


@pytest.mark.parametrize("at", STAGES)
@pytest.mark.parametrize("kind", ["auto_reply", "list", "bounce", "own_loop"])
def test_an_automatic_message_is_kept_in_every_stage_and_moves_nothing(
    given: Given, moved: Moved, message: Message, at: Stage, kind: Any
) -> None:
    ticket = in_stage(given, moved, at)
    daemon = UUID(int=98)
    command = AddAutomaticMessage(actor=BY_SYSTEM, contact_id=daemon, message=message(2, kind))
    events = decide(ticket, command)
    assert events == (AutomaticMessageAdded(contact_id=daemon, message=message(2, kind)),)
    after = then(ticket, *events)
    assert after == replace(ticket, version=ticket.version + 1, seen=after.seen)
    assert decide(after, command) == ()


def test_an_automatic_message_is_refused_where_a_person_wrote_it_or_was_erased(
    given: Given, message: Message
) -> None:
    command = AddAutomaticMessage(actor=BY_CUSTOMER, contact_id=CUSTOMER, message=message(2))
    with pytest.raises(MissingRequirement):
        decide(given(), command)
    with pytest.raises(PersonErased):
        decide(given(), replace(command, message=message(2, "list"), erased=True))
    with pytest.raises(NotPermitted):
        decide(given(), replace(command, actor=BY_OPERATOR))
