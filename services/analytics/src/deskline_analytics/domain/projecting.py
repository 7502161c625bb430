"""Event → change of rows, without a database.

Events of one stream come in order and once; between streams and owners any order gives the same rows.
"""

from collections.abc import Callable, Iterable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Final, TypeVar, cast
from uuid import UUID

from deskline_analytics.domain.rows import OVER, Changes, LineRow, TicketRow, TimelineRow
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.intake import CompanyRegistered, ContactRegistered, MessageReceived
from deskline_events.tickets import (
    Actor,
    AutomaticMessageAdded,
    CustomerMessage,
    CustomerReplied,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)


class TicketUnknownError(Exception):
    """An event of a ticket that was never opened: its stream doesn't begin with TicketOpened."""

    safe_message: ClassVar[bool] = True


@dataclass(slots=True)
class _Work:
    """The batch so far, with the rows as they were before it."""

    known: Mapping[UUID, TicketRow]
    changes: Changes

    def ticket(self, envelope: Envelope) -> TicketRow:
        row = self.changes.tickets.get(envelope.subject) or self.known.get(envelope.subject)
        if row is None:
            raise TicketUnknownError(f"ticket {envelope.subject} has no TicketOpened before this event")
        row.version, row.changed_at = envelope.sequence, envelope.time
        self.changes.tickets[row.ticket_id] = row
        return row

    def tell(self, envelope: Envelope, fact: Fact, actor: Actor, **details: Any) -> None:
        self.changes.timeline.append(
            TimelineRow(
                ticket_id=envelope.subject,
                sequence=envelope.sequence,
                event_id=envelope.id,
                type=type(fact).__name__,
                time=envelope.time,
                actor_kind=actor.kind,
                actor_id=actor.id,
                causation_id=envelope.causation_id,
                correlation_id=envelope.correlation_id,
                details=details,
            )
        )


FactT = TypeVar("FactT", bound=Fact)
_On = Callable[[_Work, Envelope, Any], None]
_handlers: Final[dict[type[Fact], _On]] = {}


def _on(model: type[FactT]) -> Callable[[Callable[[_Work, Envelope, FactT], None]], None]:
    def register(handler: Callable[[_Work, Envelope, FactT], None]) -> None:
        _handlers[model] = cast("_On", handler)

    return register


def types() -> frozenset[str]:
    """The wire types that change a row."""
    return frozenset(model.TYPE for model in _handlers)


def tickets_in(events: Iterable[tuple[Envelope, Fact]]) -> set[UUID]:
    """The tickets whose rows `project` must be given."""
    return {
        envelope.subject
        for envelope, fact in events
        if envelope.owner == "tickets" and not isinstance(fact, TicketOpened | MessageSetAside)
    }


def project(
    events: Iterable[tuple[Envelope, Fact]], known: MutableMapping[UUID, TicketRow] | None = None
) -> Changes:
    """The changes that a batch makes; `known` are the rows of `tickets_in(events)` and are used up.

    Raises TicketUnknownError.
    """
    work = _Work(known or {}, Changes())
    for envelope, fact in events:
        _handlers[type(fact)](work, envelope, fact)
        before = work.changes.fresh.get(envelope.owner, envelope.time)
        work.changes.fresh[envelope.owner] = max(before, envelope.time)
    return work.changes


@_on(ContactRegistered)
def on_contact_registered(_work: _Work, _envelope: Envelope, _fact: ContactRegistered) -> None:
    """Only freshness moves: tickets carry what was known of the contact when they were opened."""


@_on(CompanyRegistered)
def on_company_registered(_work: _Work, _envelope: Envelope, _fact: CompanyRegistered) -> None:
    """Only freshness moves, as with contacts."""


@_on(MessageReceived)
def on_message_received(work: _Work, envelope: Envelope, fact: MessageReceived) -> None:
    work.changes.flow_at(_utc(fact.received_at), fact.line.line_id).received += 1
    line = fact.line
    told = LineRow(line.line_id, line.name, line.channel, line.language, envelope.time, envelope.id)
    before = work.changes.lines.get(line.line_id)
    if before is None or (before.told_at, before.told_by) < (told.told_at, told.told_by):
        work.changes.lines[line.line_id] = told


@_on(TicketOpened)
def on_ticket_opened(work: _Work, envelope: Envelope, fact: TicketOpened) -> None:
    row = TicketRow(
        ticket_id=envelope.subject,
        version=envelope.sequence,
        number=fact.number,
        stage="new",
        priority=fact.priority,
        level=fact.level,
        cycle=1,
        line_id=fact.line.line_id,
        line_name=fact.line.name,
        channel=fact.line.channel,
        contact_id=fact.contact_id,
        company_id=fact.customer.company_id,
        tier=fact.customer.tier,
        locale=fact.customer.locale,
        subject=fact.subject,
        open=True,
        opened_at=envelope.time,
        changed_at=envelope.time,
    )
    _count_message(row, fact.message)
    work.changes.tickets[row.ticket_id] = row
    work.changes.flow_at(envelope.time, row.line_id).opened += 1
    link = None if fact.link is None else fact.link.model_dump(mode="json")
    work.tell(
        envelope,
        fact,
        _contact(fact.contact_id),
        number=fact.number,
        line_id=str(row.line_id),
        channel=row.channel,
        priority=fact.priority,
        level=fact.level,
        link=link,
        **_about(fact.message),
    )


@_on(CustomerReplied)
def on_customer_replied(work: _Work, envelope: Envelope, fact: CustomerReplied) -> None:
    row = work.ticket(envelope)
    _count_message(row, fact.message)
    work.changes.flow_at(envelope.time, row.line_id).customer_replies += 1
    work.tell(envelope, fact, _contact(fact.contact_id), **_about(fact.message))


@_on(AutomaticMessageAdded)
def on_automatic_message_added(work: _Work, envelope: Envelope, fact: AutomaticMessageAdded) -> None:
    row = work.ticket(envelope)
    _count_message(row, fact.message)
    work.changes.flow_at(envelope.time, row.line_id).automatic += 1
    work.tell(envelope, fact, _contact(fact.contact_id), **_about(fact.message))


@_on(MessageSetAside)
def on_message_set_aside(work: _Work, envelope: Envelope, fact: MessageSetAside) -> None:
    work.changes.flow_at(envelope.time, fact.line_id).set_aside += 1


@_on(OperatorReplied)
def on_operator_replied(work: _Work, envelope: Envelope, fact: OperatorReplied) -> None:
    row = work.ticket(envelope)
    row.operator_messages += 1
    row.first_operator_at = row.first_operator_at or envelope.time
    row.last_operator_at = envelope.time
    row.last_message_kind = "operator"
    work.changes.flow_at(envelope.time, row.line_id).operator_replies += 1
    work.tell(
        envelope,
        fact,
        _operator(fact.operator_id),
        reply_id=str(fact.reply_id),
        seen_version=fact.seen_version,
    )


@_on(NoteAdded)
def on_note_added(work: _Work, envelope: Envelope, fact: NoteAdded) -> None:
    work.ticket(envelope).notes += 1
    mentions = [str(mention) for mention in fact.mentions]
    work.tell(envelope, fact, _operator(fact.operator_id), note_id=str(fact.note_id), mentions=mentions)


@_on(StageChanged)
def on_stage_changed(work: _Work, envelope: Envelope, fact: StageChanged) -> None:
    row = work.ticket(envelope)
    flow = work.changes.flow_at(envelope.time, row.line_id)
    over = fact.after in OVER
    if fact.after == "resolved":
        row.resolved_at = envelope.time
        flow.resolved += 1
    elif not over:
        row.resolved_at = None
    flow.closed += fact.after == "closed"
    row.closed_at = envelope.time if fact.after == "closed" else None
    if fact.cycle > row.cycle:
        row.reopened += 1
        flow.reopened += 1
    row.closing_reason = fact.closing_reason or (row.closing_reason if over else None)
    row.stage, row.cycle, row.open, row.waiting_until = fact.after, fact.cycle, not over, fact.until
    work.tell(
        envelope,
        fact,
        fact.actor,
        before=fact.before,
        after=fact.after,
        cycle=fact.cycle,
        assignment_no=fact.assignment_no,
        closing_reason=fact.closing_reason,
        until=None if fact.until is None else _utc(fact.until).isoformat(),
    )


@_on(PriorityChanged)
def on_priority_changed(work: _Work, envelope: Envelope, fact: PriorityChanged) -> None:
    work.ticket(envelope).priority = fact.after
    work.tell(envelope, fact, fact.actor, before=fact.before, after=fact.after)


def _count_message(row: TicketRow, message: CustomerMessage) -> None:
    if message.kind != "human":
        row.automatic_messages += 1
        row.last_message_kind = "automatic"
        return
    # Messages are threaded in the order of their reading, which is not always that of their arrival.
    at = _utc(message.received_at)
    row.customer_messages += 1
    row.first_customer_at = min(row.first_customer_at or at, at)
    row.last_customer_at = max(row.last_customer_at or at, at)
    row.last_message_kind = "customer"


def _about(message: CustomerMessage) -> dict[str, Any]:
    return {
        "kind": message.kind,
        "received_at": _utc(message.received_at).isoformat(),
        "attachments": len(message.attachments),
        "problems": list(message.problems),
    }


def _contact(contact_id: UUID) -> Actor:
    return Actor(kind="contact", id=contact_id)


def _operator(operator_id: UUID) -> Actor:
    return Actor(kind="operator", id=operator_id)


def _utc(moment: datetime) -> datetime:
    # A moment without a zone is a fault of its writer; read as UTC it is at least the same everywhere.
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
