"""What is asked of tickets: the card, the history, the messages that made no ticket."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from eventsourcing.persistence import EventStore, StoredEvent

from deskline_chassis.cursors import read_cursor, write_cursor
from deskline_chassis.event_log import EventLog
from deskline_chassis.postgres import Conn
from deskline_events.facts import Fact
from deskline_events.personal import personal_paths
from deskline_events.tickets import Actor, CustomerMessage
from deskline_tickets.adapters.directory import find_queue, find_viewer
from deskline_tickets.adapters.event_store import FactMapper, JoinedRecorder, TicketEvent, persons_of
from deskline_tickets.answers import (
    Card,
    CauseShown,
    DeliveryShown,
    FactShown,
    FileShown,
    HandOverShown,
    History,
    MessageShown,
    OfferShown,
    RawShown,
    SetAsidePage,
    SetAsideShown,
    TicketState,
)
from deskline_tickets.domain.events import (
    AutomaticMessageAdded,
    CustomerReplied,
    Escalated,
    NoteAdded,
    OfferDeclined,
    OperatorReplied,
    TicketOpened,
)
from deskline_tickets.domain.rights import may_see
from deskline_tickets.domain.stages import legal_moves, standing
from deskline_tickets.domain.ticket import Delivery, Ticket, evolve
from deskline_tickets.ports import Caller


def card(connection: Conn, log: EventLog, ticket_id: UUID, caller: Caller) -> Card | None:
    """The ticket with its texts opened; None where there is none for the caller.

    Raises MissingKeyError, SealError.
    """
    rows = JoinedRecorder(connection, log).select_events(ticket_id)
    ticket = project(_read(FactMapper(), rows))
    if ticket is None or not _shows(connection, ticket, caller):
        return None
    keys = log.keys.load(connection, {person for row in rows for person in persons_of(row)})
    events = _read(FactMapper(keys), rows)
    opening = next(event.fact for event in events if isinstance(event.fact, TicketOpened))
    # What a person may do depends on their roles alone, not on who they are.
    who = standing(Actor(kind="operator"), caller.roles)
    return Card(
        **_state(ticket).model_dump(),
        subject=opening.subject,
        line=opening.line,
        customer=opening.customer,
        link=opening.link,
        moves=list(legal_moves(ticket.stage, who)),
        messages=[shown for event in events if (shown := _message(event, ticket)) is not None],
    )


def history(
    connection: Conn,
    log: EventLog,
    ticket_id: UUID,
    caller: Caller,
    *,
    version: int | None = None,
    at: datetime | None = None,
) -> History | None:
    """The ticket as it was at a version or moment, replayed; None where it wasn't there or so far then, or
    is not there now for the caller.
    """
    store: EventStore[UUID] = EventStore(FactMapper(), JoinedRecorder(connection, log))
    found: list[Any] = list(store.get(ticket_id))
    current = project(found)
    if current is None or not _shows(connection, current, caller):
        return None
    events: list[TicketEvent] = [
        event
        for event in found
        if (version is None or event.originator_version <= version) and (at is None or event.time <= at)
    ]
    ticket = project(events)
    if ticket is None or (version is not None and ticket.version != version):
        return None
    return History(
        ticket_id=ticket_id,
        version=ticket.version,
        state=_state(ticket),
        events=[_fact(event) for event in events],
    )


def _read(mapper: FactMapper, rows: Iterable[StoredEvent]) -> list[TicketEvent]:
    return [mapper.to_domain_event(row) for row in rows]


def _shows(connection: Conn, ticket: Ticket, caller: Caller) -> bool:
    queue = None if ticket.queue_id is None else find_queue(connection, ticket.queue_id)
    return may_see(find_viewer(connection, caller), ticket, None if queue is None else queue.team_id)


def project(events: Iterable[TicketEvent]) -> Ticket | None:
    """The ticket that these events make."""
    ticket: Ticket | None = None
    for event in events:
        ticket = evolve(
            ticket,
            event.fact,
            ticket_id=event.originator_id,
            version=event.originator_version,
            time=event.time,
        )
    return ticket


def set_aside(connection: Conn, line_id: UUID, cursor: str | None, limit: int) -> SetAsidePage:
    """The messages of a line that made no ticket, newest first. Raises BadCursorError."""
    listed = f"set-aside {line_id}"
    received_at, stream = (None, None) if cursor is None else read_cursor(listed, cursor, datetime, UUID)
    rows = connection.execute(
        "SELECT source_key, contact_id, received_at, reason, set_aside_at, stream FROM set_aside"
        " WHERE line_id = %(line)s AND (%(at)s::timestamptz IS NULL"
        " OR (received_at, stream) < (%(at)s::timestamptz, %(stream)s::uuid))"
        " ORDER BY received_at DESC, stream DESC LIMIT %(limit)s",
        {"line": line_id, "at": received_at, "stream": stream, "limit": limit + 1},
    ).fetchall()
    shown = rows[:limit]
    return SetAsidePage(
        items=[
            SetAsideShown(
                source_key=key, contact_id=contact, received_at=at, reason=reason, set_aside_at=when
            )
            for key, contact, at, reason, when, _ in shown
        ],
        next_cursor=write_cursor(listed, shown[-1][2], shown[-1][5]) if len(rows) > limit else None,
    )


def _state(ticket: Ticket) -> TicketState:
    return TicketState(
        ticket_id=ticket.id,
        number=ticket.number,
        line_id=ticket.line_id,
        contact_id=ticket.contact_id,
        participants=sorted(ticket.participants),
        version=ticket.version,
        stage=ticket.stage,
        priority=ticket.priority,
        level=ticket.level,
        cycle=ticket.cycle,
        assignment_no=ticket.assignment_no,
        queue_id=ticket.queue_id,
        team_id=ticket.team_id,
        assignee_id=ticket.assignee_id,
        offer=ticket.offer
        and OfferShown(
            offer_id=ticket.offer.offer_id, operator_id=ticket.offer.operator_id, until=ticket.offer.until
        ),
        opened_at=ticket.opened_at,
        resolved_at=ticket.resolved_at,
        closed_at=ticket.closed_at,
        until=ticket.until,
        closing_reason=ticket.closing_reason,
        first_human_reply_at=ticket.first_human_reply_at,
        last_speaker=ticket.last_speaker,
    )


def _message(event: TicketEvent, ticket: Ticket) -> MessageShown | None:
    match event.fact:
        case TicketOpened(message=message) | CustomerReplied(message=message):
            return _customers(event, "automatic" if message.kind != "human" else "customer", message)
        case AutomaticMessageAdded(message=message):
            return _customers(event, "automatic", message)
        case OperatorReplied(text=text, reply_id=reply_id):
            return MessageShown(
                version=event.originator_version,
                at=event.time,
                kind="reply",
                author=_actor(event),
                text=text,
                reply_id=reply_id,
                delivery=_delivery(ticket.deliveries.get(reply_id)),
            )
        case NoteAdded(text=text, mentions=mentions):
            return MessageShown(
                version=event.originator_version,
                at=event.time,
                kind="note",
                author=_actor(event),
                text=text,
                mentions=list(mentions),
            )
        case Escalated(has_note=True) as told:
            return MessageShown(
                version=event.originator_version,
                at=event.time,
                kind="escalation",
                author=_actor(event),
                text=told.note or "",
                hand_over=HandOverShown(
                    before=told.before,
                    after=told.after,
                    tried=told.tried,
                    reproduce=told.reproduce,
                    affected=told.affected,
                ),
            )
    return None


def _delivery(told: Delivery | None) -> DeliveryShown | None:
    return None if told is None else DeliveryShown(state=told.state, reason=told.reason)


def _customers(event: TicketEvent, kind: Any, message: CustomerMessage) -> MessageShown:
    return MessageShown(
        version=event.originator_version,
        at=event.time,
        kind=kind,
        author=_actor(event),
        text=message.text,
        reply=message.reply,
        received_at=message.received_at,
        mail_kind=message.kind,
        truncated=message.text_object is not None,
        attachments=[
            FileShown(
                attachment_id=one.attachment_id,
                filename=one.filename,
                media_type=one.media_type,
                size=one.content.size,
                sha256=one.content.sha256,
                inline=one.inline,
            )
            for one in message.attachments
        ],
        problems=list(message.problems),
        raw=None if message.raw is None else RawShown(size=message.raw.size, sha256=message.raw.sha256),
    )


def _actor(event: TicketEvent) -> Actor:
    match event.fact:
        case OperatorReplied(operator_id=operator_id) | NoteAdded(operator_id=operator_id):
            return Actor(kind="operator", id=operator_id)
        case OfferDeclined(operator_id=operator_id):
            return Actor(kind="operator", id=operator_id)
        case TicketOpened(contact_id=contact_id) | CustomerReplied(contact_id=contact_id):
            return Actor(kind="contact", id=contact_id)
        case AutomaticMessageAdded(contact_id=contact_id):
            return Actor(kind="contact", id=contact_id)
    actor = getattr(event.fact, "actor", None)
    return actor if isinstance(actor, Actor) else Actor(kind="system")


def _fact(event: TicketEvent) -> FactShown:
    return FactShown(
        version=event.originator_version,
        type=event.type,
        at=event.time,
        actor=_actor(event),
        cause=CauseShown(correlation_id=event.cause.correlation_id, causation_id=event.cause.causation_id),
        data=_impersonal(event.fact),
    )


def _impersonal(fact: Fact) -> dict[str, Any]:
    data = fact.model_dump(mode="json", exclude={"reply_token"})
    for path, _of in personal_paths(type(fact)):
        _drop(data, path)
    return data


def _drop(node: Any, path: Sequence[str]) -> None:
    name, rest = path[0], path[1:]
    if name == "*":
        for item in node:
            _drop(item, rest)
    elif not rest:
        node.pop(name, None)
    elif node.get(name) is not None:
        _drop(node[name], rest)
