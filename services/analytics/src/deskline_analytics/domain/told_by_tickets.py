"""What tickets' events of messages, stages and priorities change."""

from typing import Any, Final
from uuid import UUID

from deskline_analytics.domain.rows import OVER, Card, DocumentRow, MessageSide
from deskline_analytics.domain.wording import searchable, storable
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.personal import ERASED
from deskline_events.tickets import (
    Actor,
    AutomaticMessageAdded,
    CustomerMessage,
    CustomerReplied,
    DeliveryChanged,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)


def on_ticket_opened(work: Work, envelope: Envelope, fact: TicketOpened) -> None:
    at = utc(envelope.time)
    card = Card(
        version=envelope.sequence,
        number=fact.number,
        stage="new",
        priority=fact.priority,
        level=fact.level,
        cycle=1,
        line_id=fact.line.line_id,
        line_name=storable(fact.line.name),
        channel=fact.line.channel,
        contact_id=fact.contact_id,
        company_id=fact.customer.company_id,
        tier=fact.customer.tier,
        locale=fact.customer.locale,
        subject=storable(fact.subject),
        open=True,
        opened_at=at,
        changed_at=at,
    )
    work.row(envelope.subject, "card").card = card
    _count_message(card, fact.message)
    work.changes.flow_at(at, card.line_id).opened += 1
    _index(
        work,
        envelope,
        _side(fact.message),
        fact.contact_id,
        body=_words(fact.message),
        subject=fact.subject,
    )
    work.tell(
        envelope,
        fact,
        _contact(fact.contact_id),
        number=fact.number,
        line_id=str(card.line_id),
        channel=card.channel,
        priority=fact.priority,
        level=fact.level,
        link=None if fact.link is None else fact.link.model_dump(mode="json"),
        **_about(fact.message),
    )


def on_customer_replied(work: Work, envelope: Envelope, fact: CustomerReplied) -> None:
    card = work.card(envelope)
    work.changes.flow_at(utc(envelope.time), card.line_id).customer_replies += 1
    _add_message(work, envelope, card, fact)


def on_automatic_message_added(work: Work, envelope: Envelope, fact: AutomaticMessageAdded) -> None:
    card = work.card(envelope)
    work.changes.flow_at(utc(envelope.time), card.line_id).automatic += 1
    _add_message(work, envelope, card, fact)


def on_message_set_aside(work: Work, envelope: Envelope, fact: MessageSetAside) -> None:
    work.changes.flow_at(utc(envelope.time), fact.line_id).set_aside += 1


def on_operator_replied(work: Work, envelope: Envelope, fact: OperatorReplied) -> None:
    card, at = work.card(envelope), utc(envelope.time)
    card.operator_messages += 1
    card.first_operator_at = card.first_operator_at or at
    card.last_operator_at = at
    card.last_message_kind = "operator"
    work.changes.flow_at(at, card.line_id).operator_replies += 1
    work.changes.load_of(fact.operator_id, at).replies += 1
    _index(work, envelope, "operator", fact.contact_id, body=fact.text)
    work.tell(
        envelope,
        fact,
        operator(fact.operator_id),
        reply_id=str(fact.reply_id),
        seen_version=fact.seen_version,
    )


def on_note_added(work: Work, envelope: Envelope, fact: NoteAdded) -> None:
    work.card(envelope).notes += 1
    mentions = [str(mention) for mention in fact.mentions]
    work.tell(envelope, fact, operator(fact.operator_id), note_id=str(fact.note_id), mentions=mentions)


def on_stage_changed(work: Work, envelope: Envelope, fact: StageChanged) -> None:
    card, at = work.card(envelope), utc(envelope.time)
    flow = work.changes.flow_at(at, card.line_id)
    over = fact.after in OVER
    if fact.after == "resolved":
        card.resolved_at = at
        flow.resolved += 1
        # Credited to whoever resolved it; what the system resolves, to who had it.
        credited = fact.actor.id if fact.actor.kind == "operator" else card.assignee_id
        if credited is not None:
            work.changes.load_of(credited, at).resolved += 1
    elif not over:
        card.resolved_at = None
    flow.closed += fact.after == "closed"
    card.closed_at = at if fact.after == "closed" else None
    if fact.cycle > card.cycle:
        card.reopened += 1
        flow.reopened += 1
    card.closing_reason = fact.closing_reason or (card.closing_reason if over else None)
    card.stage, card.cycle, card.open = fact.after, fact.cycle, not over
    card.waiting_until = None if fact.until is None else utc(fact.until)
    card.assignment_no = fact.assignment_no
    work.tell(
        envelope,
        fact,
        fact.actor,
        before=fact.before,
        after=fact.after,
        cycle=fact.cycle,
        assignment_no=fact.assignment_no,
        closing_reason=fact.closing_reason,
        until=None if fact.until is None else utc(fact.until).isoformat(),
    )


def on_priority_changed(work: Work, envelope: Envelope, fact: PriorityChanged) -> None:
    work.card(envelope).priority = fact.after
    work.tell(envelope, fact, fact.actor, before=fact.before, after=fact.after)


def on_delivery_changed(work: Work, envelope: Envelope, fact: DeliveryChanged) -> None:
    work.card(envelope)
    work.tell(
        envelope,
        fact,
        SYSTEM,
        reply_id=str(fact.reply_id),
        notification_id=str(fact.notification_id),
        state=fact.state,
        reason=fact.reason,
    )


def _add_message(
    work: Work, envelope: Envelope, card: Card, fact: CustomerReplied | AutomaticMessageAdded
) -> None:
    _count_message(card, fact.message)
    _index(work, envelope, _side(fact.message), fact.contact_id, body=_words(fact.message))
    work.tell(envelope, fact, _contact(fact.contact_id), **_about(fact.message))


def _count_message(card: Card, message: CustomerMessage) -> None:
    if message.kind != "human":
        card.automatic_messages += 1
        card.last_message_kind = "automatic"
        return
    # Messages are threaded in the order of their reading, which is not always that of their arrival.
    at = utc(message.received_at)
    card.customer_messages += 1
    card.first_customer_at = min(card.first_customer_at or at, at)
    card.last_customer_at = max(card.last_customer_at or at, at)
    card.last_message_kind = "customer"


def _index(
    work: Work,
    envelope: Envelope,
    kind: MessageSide,
    person_id: UUID,
    *,
    body: str,
    subject: str | None = None,
) -> None:
    texts = [body] if subject is None else [body, subject]
    work.changes.documents.append(
        DocumentRow(
            ticket_id=envelope.subject,
            sequence=envelope.sequence,
            kind=kind,
            person_id=person_id,
            written_at=utc(envelope.time),
            erased=all(text == ERASED for text in texts),
            subject=searchable(subject or ""),
            body=searchable(body),
        )
    )


def _side(message: CustomerMessage) -> MessageSide:
    return "customer" if message.kind == "human" else "automatic"


def _words(message: CustomerMessage) -> str:
    return message.text if message.reply is None else message.reply


def _about(message: CustomerMessage) -> dict[str, Any]:
    return {
        "kind": message.kind,
        "received_at": utc(message.received_at).isoformat(),
        "attachments": len(message.attachments),
        "problems": list(message.problems),
    }


def _contact(contact_id: UUID) -> Actor:
    return Actor(kind="contact", id=contact_id)


def operator(operator_id: UUID) -> Actor:
    """The operator as the one who did it."""
    return Actor(kind="operator", id=operator_id)


SYSTEM: Final = Actor(kind="system")

HANDLERS: Final[Handlers] = {
    TicketOpened: on_ticket_opened,
    CustomerReplied: on_customer_replied,
    AutomaticMessageAdded: on_automatic_message_added,
    MessageSetAside: on_message_set_aside,
    OperatorReplied: on_operator_replied,
    NoteAdded: on_note_added,
    StageChanged: on_stage_changed,
    PriorityChanged: on_priority_changed,
    DeliveryChanged: on_delivery_changed,
}
