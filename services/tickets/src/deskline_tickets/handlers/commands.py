"""What people ask of a ticket: decided once per idempotency key, on the ticket as it is under the lock."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from deskline_chassis.event_log import SequenceTakenError
from deskline_chassis.personal_data import PersonErasedError
from deskline_events.facts import Fact, Priority
from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.commands import AddNote, ChangePriority, ChangeStage, Command, ReplyToCustomer
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.refusals import PersonErased, Refusal
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.ports import Answer, Asked, Change, Desk, OpenDesk, Wanted

CREATED: Final = 201
DONE: Final = 200


class CommandRefused(Exception):  # noqa: N818 -- an answer, as the domain's Refusal is
    """A command was refused; with the ticket as it was then, None where there is none."""

    safe_message = True

    def __init__(self, refusal: Refusal, ticket: Ticket | None) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.ticket = ticket


@dataclass(frozen=True, slots=True)
class Moment:
    """What a command is decided on: the ticket's contact's erasure and the database's clock."""

    erased: bool
    now: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An operator's words to the customer, and where the ticket is to go with them."""

    reply_id: UUID
    text: str
    seen_version: int
    then_stage: Stage | None = None
    closing_reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """An operator's words to colleagues."""

    note_id: UUID
    text: str
    mentions: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageMove:
    """Where a ticket is to go from the version that was seen."""

    stage: Stage
    expected_version: int
    closing_reason: str | None = None
    until: datetime | None = None


def reply_to_customer(open_desk: OpenDesk, asked: Asked, ticket_id: UUID, reply: Reply) -> Answer:
    """Answer the customer; tells what arrived since `seen_version` and the stage that followed."""

    def command(moment: Moment) -> Command:
        return ReplyToCustomer(
            actor=_operator(asked),
            roles=asked.roles,
            reply_id=reply.reply_id,
            text=reply.text,
            seen_version=reply.seen_version,
            now=moment.now,
            then_stage=reply.then_stage,
            closing_reason=reply.closing_reason,
            until=reply.until,
            erased=moment.erased,
        )

    def answer(desk: Desk, before: Ticket, after: Ticket) -> Answer:
        arrived = desk.arrived(ticket_id, reply.seen_version, before.version)
        return Answer(
            CREATED,
            {
                "reply_id": str(reply.reply_id),
                "version": after.version,
                "stage": after.stage,
                "arrived_since": [
                    {"version": one.version, "type": one.type, "at": one.at.isoformat()} for one in arrived
                ],
            },
        )

    return _act(open_desk, asked, ticket_id, command, answer)


def add_note(open_desk: OpenDesk, asked: Asked, ticket_id: UUID, note: Note) -> Answer:
    """Keep a note with the ticket."""

    def command(moment: Moment) -> Command:
        return AddNote(
            actor=_operator(asked),
            roles=asked.roles,
            note_id=note.note_id,
            text=note.text,
            mentions=note.mentions,
            erased=moment.erased,
        )

    def answer(_desk: Desk, _before: Ticket, after: Ticket) -> Answer:
        return Answer(CREATED, {"note_id": str(note.note_id), "version": after.version})

    return _act(open_desk, asked, ticket_id, command, answer)


def change_stage(open_desk: OpenDesk, asked: Asked, ticket_id: UUID, move: StageMove) -> Answer:
    """Move the ticket by the table of transitions."""

    def command(moment: Moment) -> Command:
        return ChangeStage(
            actor=_operator(asked),
            roles=asked.roles,
            stage=move.stage,
            now=moment.now,
            expected_version=move.expected_version,
            closing_reason=move.closing_reason,
            until=move.until,
        )

    def answer(_desk: Desk, _before: Ticket, after: Ticket) -> Answer:
        return Answer(DONE, {"version": after.version, "stage": after.stage})

    return _act(open_desk, asked, ticket_id, command, answer)


def change_priority(
    open_desk: OpenDesk, asked: Asked, ticket_id: UUID, priority: Priority, expected_version: int
) -> Answer:
    """Make the ticket more or less urgent."""

    def command(_moment: Moment) -> Command:
        return ChangePriority(
            actor=_operator(asked), roles=asked.roles, priority=priority, expected_version=expected_version
        )

    def answer(_desk: Desk, _before: Ticket, after: Ticket) -> Answer:
        return Answer(DONE, {"version": after.version, "priority": after.priority})

    return _act(open_desk, asked, ticket_id, command, answer)


def _operator(asked: Asked) -> Actor:
    return Actor(kind="operator", id=asked.actor_id)


def _act(
    open_desk: OpenDesk,
    asked: Asked,
    ticket_id: UUID,
    command: Callable[[Moment], Command],
    answer: Callable[[Desk, Ticket, Ticket], Answer],
) -> Answer:
    try:
        return _attempt(open_desk, asked, ticket_id, command, answer)
    except SequenceTakenError:
        # What this replica held was not the log's: from the log it is right.
        return _attempt(open_desk, asked, ticket_id, command, answer)


def _attempt(
    open_desk: OpenDesk,
    asked: Asked,
    ticket_id: UUID,
    command: Callable[[Moment], Command],
    answer: Callable[[Desk, Ticket, Ticket], Answer],
) -> Answer:
    with open_desk() as desk:
        desk.warm(_only(ticket_id))
        desk.lock()
        given = _answered(desk, asked)
        if given is not None:
            return given
        before = desk.ticket(ticket_id)
        now = desk.now()
        erased = before is not None and before.contact_id in desk.erased_among({before.contact_id})
        facts = _decided(before, command(Moment(erased, now)))
        assert before is not None  # noqa: S101 -- decide refuses what none of these commands opens
        _save(desk, Change(ticket_id, before.version, facts, asked.cause, before))
        told = answer(desk, before, _after(before, facts, now))
        desk.remember(asked, told, now)
        return told


def _answered(desk: Desk, asked: Asked) -> Answer | None:
    try:
        return desk.answered(asked)
    except Refusal as refusal:
        raise CommandRefused(refusal, None) from None


def _decided(ticket: Ticket | None, command: Command) -> tuple[Fact, ...]:
    try:
        return decide(ticket, command)
    except Refusal as refusal:
        raise CommandRefused(refusal, ticket) from None


def _save(desk: Desk, change: Change) -> None:
    try:
        desk.save([change])
    except PersonErasedError:
        # The erasure was learned between the look and the writing.
        raise CommandRefused(PersonErased(), change.before) from None


def _after(ticket: Ticket, facts: tuple[Fact, ...], now: datetime) -> Ticket:
    for fact in facts:
        ticket = evolve(ticket, fact, ticket_id=ticket.id, version=ticket.version + 1, time=now) or ticket
    return ticket


def _only(ticket_id: UUID) -> Wanted:
    return Wanted((), (), (), (), (ticket_id,))


def as_members(ticket: Ticket) -> dict[str, Any]:
    """A ticket's state as a refusal tells it, in JSON types."""
    return {
        "version": ticket.version,
        "stage": ticket.stage,
        "priority": ticket.priority,
        "level": ticket.level,
        "cycle": ticket.cycle,
    }
