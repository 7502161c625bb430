"""Given events, when a command is refused, then what its caller is told: the sentence, and the details."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import (
    accept,
    after,
    decline,
    move,
    requeue,
    unassign,
)
from services.tickets.tests.givens import (
    BY_COLLEAGUE,
    BY_CUSTOMER,
    BY_OPERATOR,
    BY_SYSTEM,
    CUSTOMER,
    NOW,
    OPERATOR,
    STAFF,
    Given,
    Message,
    Moved,
)

from deskline_events.facts import MAX_TEXT_BYTES
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import (
    AcceptOffer,
    AddAutomaticMessage,
    AddCustomerReply,
    AddNote,
    ChangePriority,
    ChangeStage,
    Command,
    DeclineOffer,
    EscalateTicket,
    OpenTicket,
    ReplyToCustomer,
    SetMessageAside,
    UnassignTicket,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import StageChanged, TicketOpened
from deskline_tickets.domain.refusals import (
    RUSSIAN,
    IllegalMove,
    KeyReused,
    MissingRequirement,
    NotPermitted,
    NotThen,
    OfferGone,
    PersonErased,
    QueueUnknown,
    Refusal,
    StaleVersion,
    TextTooLong,
    TicketEnded,
    TicketUnknown,
)
from deskline_tickets.domain.ticket import Ticket

pytestmark = pytest.mark.unit


NAMELESS = Actor(kind="operator")
ANALYST = frozenset({"analyst"})
WAITING: tuple[Stage, ...] = ("waiting_customer", "waiting_third_party", "waiting_until")


def told(ticket: Ticket | None, command: Command) -> tuple[str, dict[str, Any]]:
    """The sentence, and the code with the details."""
    with pytest.raises(Refusal) as refused:
        decide(ticket, command)
    return str(refused.value), {"code": refused.value.code, **refused.value.details()}


def not_permitted(action: str, *allowed: str) -> tuple[str, dict[str, Any]]:
    sentence = f"You may not {action}; this is for: {', '.join(allowed)}."
    return sentence, {"code": "not_permitted", "allowed": list(allowed)}


def ended(stage: Stage, *legal: Stage) -> tuple[str, dict[str, Any]]:
    choices = f"you can move it to: {', '.join(legal)}" if legal else "you can't move it anywhere from here"
    sentence = f"The ticket is {stage} and doesn't take this; {choices}."
    return sentence, {"code": "ticket_ended", "stage": stage, "legal": list(legal)}


def missing(requirement: str, advice: str) -> tuple[str, dict[str, Any]]:
    return advice, {"code": "missing_requirement", "requirement": requirement}


def reply(**more: Any) -> ReplyToCustomer:
    fields: dict[str, Any] = {
        "actor": BY_OPERATOR,
        "roles": STAFF,
        "reply_id": UUID(int=50),
        "text": "x",
        "seen_version": 9,
        "now": NOW,
    }
    return ReplyToCustomer(**(fields | more))


def note(**more: Any) -> AddNote:
    fields: dict[str, Any] = {"actor": BY_OPERATOR, "roles": STAFF, "note_id": UUID(int=60), "text": "x"}
    return AddNote(**(fields | more))


def escalate(ticket: Ticket, **more: Any) -> EscalateTicket:
    fields: dict[str, Any] = {"actor": BY_OPERATOR, "roles": STAFF, "expected_version": ticket.version}
    return EscalateTicket(level=2, **(fields | more))


def prioritise(**more: Any) -> ChangePriority:
    fields: dict[str, Any] = {"actor": BY_OPERATOR, "roles": STAFF, "expected_version": None}
    return ChangePriority(priority="high", **(fields | more))


def opens(opening: TicketOpened, actor: Actor) -> OpenTicket:
    names = ("number", "line", "contact_id", "customer", "subject", "message", "reply_token")
    fields: dict[str, Any] = {name: getattr(opening, name) for name in names}
    return OpenTicket(actor=actor, **fields)


def aside(actor: Actor) -> SetMessageAside:
    return SetMessageAside(
        actor=actor,
        source_key="d" * 64,
        line_id=UUID(int=4),
        contact_id=CUSTOMER,
        received_at=NOW,
        reason="list",
    )


def test_nobody_does_what_their_role_is_not_for(offered: Ticket) -> None:
    staff = ("lead", "operator")
    asked: list[tuple[Command, str, tuple[str, ...]]] = [
        (reply(roles=ANALYST), "reply to the customer", staff),
        (note(roles=ANALYST), "write a note", staff),
        (prioritise(roles=ANALYST), "change the priority", (*staff, "system")),
        (requeue(offered, roles=ANALYST), "put the ticket into another queue", staff),
        (replace(accept(), roles=ANALYST), "accept the ticket", staff),
        (replace(decline(), roles=ANALYST), "decline the ticket", staff),
        (replace(unassign(offered), roles=ANALYST), "give the ticket back", staff),
        (escalate(offered, roles=ANALYST), "send the ticket to another level", staff),
        (
            ChangeStage(actor=BY_OPERATOR, stage="spam", now=NOW, expected_version=None, roles=ANALYST),
            "move this ticket",
            ("operator", "lead", "its participants"),
        ),
    ]
    for command, action, allowed in asked:
        assert told(offered, command) == not_permitted(action, *allowed)


def test_what_a_person_does_an_operator_by_id_does(given: Given, offered: Ticket, accepted: Ticket) -> None:
    back = after(accepted, unassign(accepted))
    asked: list[tuple[Ticket, Command, str]] = [
        (given(), reply(actor=NAMELESS), "reply to the customer"),
        (given(), note(actor=NAMELESS), "write a note"),
        (offered, accept(NAMELESS), "accept the ticket"),
        (offered, decline(NAMELESS), "decline the ticket"),
        (accepted, unassign(accepted, NAMELESS), "give the ticket back"),
        (given(), move(given(), "in_progress", NAMELESS), "take a ticket"),
        (back, move(back, "in_progress", NAMELESS), "take a ticket"),
    ]
    for ticket, command, action in asked:
        assert told(ticket, command) == not_permitted(action, "an operator by id")


def test_messages_come_from_their_senders_and_from_us(
    given: Given, opening: TicketOpened, message: Message
) -> None:
    by_machine, by_person = message(2, "auto_reply"), message(2)
    said = AddCustomerReply(actor=BY_CUSTOMER, contact_id=CUSTOMER, message=by_person)
    automatic = AddAutomaticMessage(actor=BY_CUSTOMER, contact_id=CUSTOMER, message=by_machine)
    asked: list[tuple[Ticket | None, Command, tuple[str, dict[str, Any]]]] = [
        (None, opens(opening, BY_OPERATOR), not_permitted("open a ticket", "contact", "system")),
        (None, aside(BY_CUSTOMER), not_permitted("set a message aside", "system")),
        (given(), replace(said, actor=BY_SYSTEM), not_permitted("reply as a customer", "contact")),
        (
            given(),
            replace(said, contact_id=UUID(int=99)),
            not_permitted("reply to this ticket", "its participants"),
        ),
        (
            given(),
            replace(said, message=by_machine),
            missing("human_message", "Only what a person wrote is a reply."),
        ),
        (
            given(),
            replace(automatic, actor=BY_OPERATOR),
            not_permitted("add an automatic message", "contact", "system"),
        ),
        (
            given(),
            replace(automatic, message=by_person),
            missing("automatic_message", "What a person wrote is no automatic message."),
        ),
    ]
    for ticket, command, expected in asked:
        assert told(ticket, command) == expected


def test_an_offer_and_an_assignment_are_their_operators(offered: Ticket, accepted: Ticket) -> None:
    theirs = not_permitted("answer this offer", "the operator to whom it was made")
    assert told(offered, accept(BY_COLLEAGUE)) == theirs
    assert told(offered, decline(BY_COLLEAGUE)) == theirs
    assert told(accepted, unassign(accepted, BY_COLLEAGUE)) == not_permitted(
        "give this ticket back", "its assignee", "a lead of its team"
    )


@pytest.mark.parametrize("make", [AcceptOffer, DeclineOffer])
def test_what_is_no_longer_offered_says_where_the_ticket_is(accepted: Ticket, make: Any) -> None:
    another = make(actor=BY_OPERATOR, roles=STAFF, offer_id=UUID(int=81))
    assert told(accepted, another) == (
        "This offer is no longer open; the ticket may be offered to you again.",
        {"code": "offer_gone", "stage": "in_progress"},
    )


def test_what_is_over_says_what_its_caller_can_still_do(
    given: Given, moved: Moved, accepted: Ticket, message: Message
) -> None:
    closed, spam, resolved = (
        given(moved("closed")),
        given(moved("spam")),
        after(accepted, move(accepted, "resolved")),
    )
    assert told(closed, reply()) == ended("closed", "in_progress")
    assert told(spam, reply()) == ended("spam")
    assert told(closed, prioritise()) == ended("closed", "in_progress")
    # Nobody but people reopens.
    assert told(closed, prioritise(actor=BY_SYSTEM)) == ended("closed")
    assert told(closed, requeue(closed)) == ended("closed", "in_progress")
    assert told(closed, escalate(closed)) == ended("closed", "in_progress")
    assert told(resolved, unassign(resolved)) == ended("resolved", "closed", "in_progress")
    said = AddCustomerReply(actor=BY_CUSTOMER, contact_id=CUSTOMER, message=message(2))
    assert told(spam, said) == ended("spam")


def test_a_move_that_is_not_in_the_table_names_those_that_are(given: Given, moved: Moved) -> None:
    sentence = "A ticket in new can't move to closed; you can move it to: in_progress, resolved, spam."
    assert told(given(), move(given(), "closed")) == (
        sentence,
        {"code": "illegal_move", "stage": "new", "legal": ["in_progress", "resolved", "spam"]},
    )
    merged = given(moved("merged"))
    assert told(merged, move(merged, "new")) == (
        "A ticket in merged can't move to new; you can't move it anywhere from here.",
        {"code": "illegal_move", "stage": "merged", "legal": []},
    )
    ticket = given(moved("in_progress"))
    by_customer = ChangeStage(
        actor=BY_CUSTOMER, stage="resolved", now=NOW, expected_version=None, closing_reason="solved"
    )
    assert told(ticket, by_customer) == not_permitted(
        "move a ticket from in_progress to resolved", "lead", "operator"
    )


@pytest.mark.parametrize("stage", ["new", "in_progress", *WAITING])
def test_a_ticket_is_resolved_with_a_reason_from_every_stage(
    given: Given, moved: Moved, stage: Stage
) -> None:
    ticket = given() if stage == "new" else given(moved(stage))
    wanted = missing("closing_reason", "To make it resolved, give a closing reason.")
    assert told(ticket, move(ticket, "resolved", closing_reason=None)) == wanted
    if stage != "new":
        assert told(ticket, reply(then_stage="resolved")) == wanted
    *_, resolved = decide(ticket, move(ticket, "resolved"))
    assert isinstance(resolved, StageChanged)
    assert resolved.closing_reason == "solved"


def test_waiting_needs_a_time_to_come(given: Given, moved: Moved) -> None:
    ticket = given(moved("in_progress"))
    wanted = missing("until", "To wait, say until when: a time to come, with its zone.")
    assert told(ticket, move(ticket, "waiting_until")) == wanted
    later = NOW + timedelta(microseconds=1)
    (waits,) = decide(ticket, move(ticket, "waiting_until", until=later))
    assert isinstance(waits, StageChanged)
    assert (waits.until, waits.closing_reason) == (later, None)


def test_another_version_is_told_with_the_current_one(accepted: Ticket, offered: Ticket) -> None:
    sentence = f"The ticket has changed and is at version {accepted.version}; read it and decide again."
    stale = (sentence, {"code": "stale_version", "current": accepted.version})
    asked: list[Command] = [
        move(accepted, "spam", expected_version=1),
        prioritise(expected_version=1),
        requeue(accepted, expected_version=1),
        escalate(accepted, expected_version=1),
        UnassignTicket(actor=BY_OPERATOR, roles=STAFF, leads=False, expected_version=1),
    ]
    for command in asked:
        assert told(accepted, command) == stale


def test_what_cannot_be_kept_is_said(given: Given) -> None:
    assert told(given(), reply(text=" ")) == missing("text", "Write something first.")
    assert told(given(), note(text="")) == missing("text", "Write something first.")
    assert told(given(), note(erased=True)) == (
        "This person's data was erased; the ticket takes no more text.",
        {"code": "person_erased"},
    )
    assert told(given(), note(text="x" * (MAX_TEXT_BYTES + 1))) == (
        f"The text is longer than {MAX_TEXT_BYTES} bytes; send the rest as a file.",
        {"code": "text_too_long", "limit": MAX_TEXT_BYTES},
    )


def test_what_is_not_there_is_said(queued: Ticket) -> None:
    assert told(None, note()) == ("There is no such ticket.", {"code": "ticket_unknown"})
    assert told(queued, requeue(queued, known=False)) == (
        "There is no such queue in use; choose another.",
        {"code": "queue_unknown"},
    )
    assert str(NotThen()) == "There was no such ticket at that moment or version."
    assert str(KeyReused()) == (
        "This Idempotency-Key was used for another command; give each command its own."
    )


def test_what_a_refusal_is_of_can_be_read_from_it() -> None:
    assert (StaleVersion(4).current, OfferGone("new").stage, TextTooLong(9).limit) == (4, "new", 9)
    assert NotPermitted("x", ("lead",)).allowed == ("lead",)
    assert MissingRequirement("until", "x").requirement == "until"
    assert Refusal().details() == QueueUnknown().details() == TicketUnknown().details() == {}
    assert PersonErased().details() == {}
    for made in (TicketEnded("spam", ("new",)), IllegalMove("spam", "new", ("new",))):
        assert (made.stage, made.legal) == ("spam", ("new",))


def test_russian_sentences_are_the_released_ones() -> None:
    assert Refusal().russian == "Команда не принята."
    assert RUSSIAN == {
        "refused": "Команда не принята.",
        "ticket_unknown": "Такого обращения нет.",
        "stale_version": "Обращение уже изменилось: прочитайте его и решите заново.",
        "illegal_move": "Из этой стадии такой переход невозможен; возможные переходы перечислены.",
        "missing_requirement": "Не хватает того, без чего команду нельзя выполнить.",
        "ticket_ended": "Обращение завершено и этого не принимает; возможные переходы перечислены.",
        "person_erased": "Данные этого человека удалены: новый текст в обращение добавить нельзя.",
        "not_permitted": "У вас нет права на это действие.",
        "offer_gone": "Предложение уже не действует: обращение могут предложить вам снова.",
        "queue_unknown": "Такой действующей очереди нет: выберите другую.",
        "not_then": "В тот момент или в той версии такого обращения не было.",
        "key_reused": "Этот ключ идемпотентности уже использован для другой команды.",
        "text_too_long": "Текст слишком длинный: приложите остаток файлом.",
    }


def test_a_lead_may_what_an_operator_may(given: Given) -> None:
    events = decide(given(), note(roles=frozenset({"lead"})))
    assert events == decide(given(), note())
    assert events[0].model_dump()["operator_id"] == OPERATOR
