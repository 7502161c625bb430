"""What people ask of a ticket: decided once per idempotency key, on the ticket as it is under the lock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final, Protocol
from uuid import UUID

from deskline_chassis.event_log import SequenceTakenError
from deskline_chassis.idempotency import Answer, KeyedCommand
from deskline_chassis.personal_data import PersonErasedError
from deskline_events.facts import Fact
from deskline_events.tickets import Actor
from deskline_tickets.domain.commands import FromPerson
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.refusals import PersonErased, Refusal, TicketUnknown
from deskline_tickets.domain.rights import Viewer, leads, may_see
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.handlers.batch import assignment_of, assignments_to_check
from deskline_tickets.ports import Asked, AtDesk, Change, Desk, Wanted

CREATED: Final = 201
DONE: Final = 200


class CommandRefused(Exception):  # noqa: N818 -- an answer, as the domain's Refusal is
    """A command was refused; with the ticket as it was then, None where there is none for the caller."""

    safe_message = True

    def __init__(self, refusal: Refusal, ticket: Ticket | None) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal
        self.ticket = ticket


@dataclass(frozen=True, slots=True)
class Moment:
    """What a command is decided on beside the ticket: who asks, the database's clock, whether the ticket's
    contact was erased, whether the caller leads its team, and whether its assignee still serves its queue
    (looked up only of what may be reopened, and of no meaning for other tickets).
    """

    actor: Actor
    roles: frozenset[str]
    now: datetime
    erased: bool
    leads: bool
    keeps_assignee: bool


class Order(Protocol):
    """What a person asks for, and how they are told that it is done."""

    STATUS: ClassVar[int]

    def command(self, moment: Moment, desk: Desk) -> FromPerson:
        """What the ticket is to decide."""

    def answer(self, desk: Desk, before: Ticket, after: Ticket) -> dict[str, Any]:
        """What is answered, in JSON types, without personal data."""


def give(at_desk: AtDesk, asked: Asked, ticket_id: UUID, order: Order) -> Answer:
    """Do it, once per idempotency key; raises CommandRefused, SequenceTakenError, MissingKeyError."""

    def attempt(desk: Desk) -> Answer:
        return _attempt(desk, asked, ticket_id, order)

    try:
        return at_desk(attempt)
    except SequenceTakenError:
        # What this replica held was not the log's: from the log it is right.
        return at_desk(attempt)


def _attempt(desk: Desk, asked: Asked, ticket_id: UUID, order: Order) -> Answer:
    desk.warm(_only(ticket_id))
    viewer = desk.viewer(asked.caller)
    desk.lock()
    given = _answered(desk, asked.command)
    if given is not None:
        return given
    before = desk.ticket(ticket_id)
    queue = None if before is None or before.queue_id is None else desk.queue(before.queue_id)
    team_id = None if queue is None else queue.team_id
    # What somebody may not see is to them as if it were not there.
    if before is None or not may_see(viewer, before, team_id):
        raise CommandRefused(TicketUnknown(), None)
    moment = _moment(desk, viewer, before, team_id)
    facts = _decided(before, order.command(moment, desk))
    _save(desk, Change(ticket_id, before.version, facts, asked.cause, before))
    after = _after(before, facts, moment.now)
    told = Answer(order.STATUS, order.answer(desk, before, after))
    desk.remember(asked.command, told)
    return told


def _moment(desk: Desk, viewer: Viewer, ticket: Ticket, queue_team_id: UUID | None) -> Moment:
    return Moment(
        actor=Actor(kind="operator", id=viewer.operator_id),
        roles=viewer.roles,
        now=desk.now(),
        erased=ticket.contact_id in desk.erased_among({ticket.contact_id}),
        leads=leads(viewer, ticket, queue_team_id),
        keeps_assignee=assignment_of(ticket) in desk.serving(assignments_to_check([ticket])),
    )


def _answered(desk: Desk, command: KeyedCommand) -> Answer | None:
    try:
        return desk.answered(command)
    except Refusal as refusal:
        raise CommandRefused(refusal, None) from None


def _decided(ticket: Ticket, command: FromPerson) -> tuple[Fact, ...]:
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
        ticket = evolve(ticket, fact, ticket_id=ticket.id, version=ticket.version + 1, time=now)
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
        "queue_id": _text(ticket.queue_id),
        "assignee_id": _text(ticket.assignee_id),
    }


def _text(identity: UUID | None) -> str | None:
    return None if identity is None else str(identity)
