"""Customers' messages: each opens a ticket, belongs to one, or is set aside; a whole batch at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.facts import Fact
from deskline_events.intake import MessageReceived
from deskline_events.tickets import Actor, CustomerMessage
from deskline_tickets.domain.commands import (
    AddAutomaticMessage,
    AddCustomerReply,
    Command,
    OpenTicket,
    SetMessageAside,
)
from deskline_tickets.domain.decisions import decide
from deskline_tickets.domain.events import TicketOpened
from deskline_tickets.domain.ids import set_aside_stream_of, ticket_id_of
from deskline_tickets.domain.threading import (
    Append,
    Incoming,
    Open,
    SetAside,
    Target,
    Traces,
    candidates_for,
    choose_target,
    traces_in,
)
from deskline_tickets.domain.ticket import Ticket, evolve
from deskline_tickets.domain.tokens import issue_reply_token, message_id_hash
from deskline_tickets.ports import Arrival, Change, Desk, Found, Wanted

# A number is given when all is decided: only openings take one from the sequence.
_NO_NUMBER_YET: Final = 1


@dataclass(frozen=True, slots=True)
class TakeMessage:
    """A message came; what follows from it is caused by `cause`."""

    message: MessageReceived
    cause: Cause


@dataclass(frozen=True, slots=True)
class Rules:
    """What a deployment says of threading; `key` makes and proves our tokens and Message-IDs."""

    key: bytes = field(repr=False)
    own_domains: frozenset[str] | None
    reopening_window: timedelta


def take_messages(desk: Desk, commands: Sequence[TakeMessage], rules: Rules) -> None:
    """Decide where each message goes, in order, each seeing what became of those before it."""
    read = [(command, _traces(command.message, rules)) for command in commands]
    wanted = _wanted(read)
    desk.warm(wanted)
    desk.lock()
    batch = _Batch(desk.find(wanted), rules)
    batch.erased = desk.erased_among({command.message.contact_id for command in commands})
    for command, traces in read:
        batch.take(command, traces)
    desk.save(batch.numbered(desk.take_numbers(batch.openings)), batch.arrivals)


class _Batch:
    """What is known while a batch is decided: the rows that were found and what was decided so far."""

    def __init__(self, found: Found, rules: Rules) -> None:
        self._sources = found.sources
        self._tickets = found.tickets
        self._message_ids = found.message_ids
        self._numbers = found.numbers
        self._rules = rules
        self.erased: frozenset[UUID] = frozenset()
        self.changes: list[Change] = []
        self.arrivals: list[Arrival] = []
        self.openings = 0

    def take(self, command: TakeMessage, traces: Traces) -> None:
        message = command.message
        if message.source_key in self._sources:
            return
        target = self._target(message, traces)
        stream = _stream(target, message.source_key)
        before = self._tickets.get(stream)
        facts = decide(before, _command(target, message, stream, self._rules))
        self.changes.append(
            Change(stream, 0 if before is None else before.version, facts, command.cause, before)
        )
        self._note(message, target, stream, facts)

    def numbered(self, numbers: Iterable[int]) -> list[Change]:
        """The changes, with a number for each opening."""
        following = iter(numbers)
        return [
            Change(
                change.stream,
                change.version,
                tuple(
                    fact.model_copy(update={"number": next(following)})
                    if isinstance(fact, TicketOpened)
                    else fact
                    for fact in change.facts
                ),
                change.cause,
                change.before,
            )
            for change in self.changes
        ]

    def _target(self, message: MessageReceived, traces: Traces) -> Target:
        if message.contact_id in self.erased:
            # Nothing may be written under their key any more, and the message still has its one effect.
            return SetAside("person_erased")
        found = candidates_for(traces, self._tickets, self._message_ids, self._numbers)
        return choose_target(_incoming(message), found, window=self._rules.reopening_window)

    def _note(self, message: MessageReceived, target: Target, stream: UUID, facts: tuple[Fact, ...]) -> None:
        self._sources[message.source_key] = stream
        hashed = None
        if not isinstance(target, SetAside):
            self._evolve(message, stream, facts)
            if message.message_id:
                hashed = message_id_hash(message.line.line_id, message.message_id)
                self._message_ids.setdefault(hashed, stream)
        self.openings += isinstance(target, Open)
        self.arrivals.append(Arrival(message.source_key, stream, message.line.line_id, hashed))

    def _evolve(self, message: MessageReceived, stream: UUID, facts: tuple[Fact, ...]) -> None:
        ticket: Ticket | None = self._tickets.get(stream)
        for fact in facts:
            # Times of a customer's events decide nothing; what is kept is evolved with the log's time.
            ticket = evolve(
                ticket,
                fact,
                ticket_id=stream,
                version=1 if ticket is None else ticket.version + 1,
                time=message.received_at,
            )
        if ticket is not None:
            self._tickets[stream] = ticket


def _traces(message: MessageReceived, rules: Rules) -> Traces:
    return traces_in(_incoming(message), rules.key, rules.own_domains)


def _incoming(message: MessageReceived) -> Incoming:
    return Incoming(
        line_id=message.line.line_id,
        sender=message.contact_id,
        kind=message.kind,
        received_at=message.received_at,
        subject=message.subject,
        reply_token=message.reply_token,
        references=message.references,
        bounced=message.bounced,
    )


def _wanted(read: Sequence[tuple[TakeMessage, Traces]]) -> Wanted:
    every = [traces for _, traces in read]
    return Wanted(
        line_ids={command.message.line.line_id for command, _ in read},
        source_keys={command.message.source_key for command, _ in read},
        message_ids={one for traces in every for one in traces.stored_message_ids},
        numbers={traces.number for traces in every if traces.number is not None},
        ticket_ids={one for traces in every for one in (*traces.by_own_message_id, traces.by_token) if one},
    )


def _stream(target: Target, source_key: str) -> UUID:
    match target:
        case Append(ticket_id=ticket_id):
            return ticket_id
        case Open():
            return ticket_id_of(source_key)
        case SetAside():
            return set_aside_stream_of(source_key)


def _command(target: Target, message: MessageReceived, stream: UUID, rules: Rules) -> Command:
    contact = Actor(kind="contact", id=message.contact_id)
    match target:
        case Append() if message.kind == "human":
            return AddCustomerReply(actor=contact, contact_id=message.contact_id, message=_kept(message))
        case Append():
            return AddAutomaticMessage(actor=contact, contact_id=message.contact_id, message=_kept(message))
        case Open(link=link):
            return OpenTicket(
                actor=contact,
                number=_NO_NUMBER_YET,
                line=message.line,
                contact_id=message.contact_id,
                customer=message.customer,
                subject=message.subject,
                message=_kept(message),
                reply_token=issue_reply_token(rules.key, stream),
                link=link,
            )
        case SetAside(reason=reason):
            return SetMessageAside(
                actor=Actor(kind="system"),
                source_key=message.source_key,
                line_id=message.line.line_id,
                contact_id=message.contact_id,
                received_at=message.received_at,
                reason=reason,
            )


def _kept(message: MessageReceived) -> CustomerMessage:
    return CustomerMessage(
        source_key=message.source_key,
        received_at=message.received_at,
        kind=message.kind,
        suppress_auto_reply=message.suppress_auto_reply,
        text=message.text,
        reply=message.reply,
        text_object=message.text_object,
        message_id=message.message_id,
        attachments=message.attachments,
        raw=message.raw,
        problems=message.problems,
    )
