"""Stored events and their public forms, frozen from their release; run this file to write them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject
from deskline_events.personal import visit_personal
from deskline_events.tickets import Actor, CustomerMessage, Link
from deskline_tickets.domain import events as stored
from deskline_tickets.publisher import publish

FOLDER = Path(__file__).parent
CONTACT = UUID("11111111-1111-4111-8111-111111111111")
OPERATOR = UUID("22222222-2222-4222-8222-222222222222")
OTHER = UUID("33333333-3333-4333-8333-333333333333")
QUEUE = UUID("44444444-4444-4444-8444-444444444444")
TEAM = UUID("55555555-5555-4555-8555-555555555555")
DECISION = UUID("66666666-6666-4666-8666-666666666666")
AT = datetime(2026, 3, 2, 9, 30, 15, 250000, tzinfo=UTC)
OBJECT = StoredObject(key="2026/03/example", sha256="0a" * 32, size=70_001)
MESSAGE = CustomerMessage(
    source_key="5c" * 32,
    received_at=AT,
    kind="human",
    suppress_auto_reply=True,
    text="whole text",
    reply="text without quotes",
    text_object=OBJECT,
    message_id="<example@customer.example>",
    attachments=(
        Attachment(attachment_id=OTHER, content=OBJECT, filename="photo.jpg", media_type="image/jpeg"),
    ),
    raw=OBJECT,
    problems=("charset_guessed",),
)
BOUNCE = MESSAGE.model_copy(update={"kind": "bounce", "reply": None, "text_object": None, "raw": None})
PERSON = Actor(kind="operator", id=OPERATOR)
EVENTS: tuple[Fact, ...] = (
    stored.TicketOpened(
        number=1042,
        line=Line(line_id=OTHER, name="Поддержка", channel="email", language="ru"),
        contact_id=CONTACT,
        customer=Customer(contact_id=CONTACT, company_id=OTHER, tier="gold", locale="en", new=True),
        subject="subject",
        message=MESSAGE,
        priority="high",
        reply_token="abcdefghijklmnopqrstuvwxyz234567abcdefghij",
        link=Link(kind="follow_up_of", ticket_id=OTHER),
    ),
    stored.CustomerReplied(contact_id=CONTACT, message=MESSAGE),
    stored.AutomaticMessageAdded(contact_id=CONTACT, message=BOUNCE),
    stored.MessageSetAside(
        source_key="5d" * 32, line_id=OTHER, contact_id=CONTACT, received_at=AT, reason="list"
    ),
    stored.OperatorReplied(
        reply_id=OTHER, operator_id=OPERATOR, contact_id=CONTACT, text="answer", seen_version=3
    ),
    stored.NoteAdded(
        note_id=OTHER, operator_id=OPERATOR, contact_id=CONTACT, text="note", mentions=(OPERATOR,)
    ),
    stored.StageChanged(
        before="in_progress", after="waiting_until", actor=PERSON, cycle=2, assignment_no=3, until=AT
    ),
    stored.PriorityChanged(before="low", after="critical", actor=Actor(kind="system")),
    stored.PriorityRaised(
        before="medium",
        after="high",
        actor=Actor(kind="system"),
        step_key="resolution/1/late/2",
        decision_id=DECISION,
    ),
    stored.TicketRouted(
        queue_id=QUEUE, team_id=TEAM, actor=Actor(kind="system"), assignment_no=1, decision_id=DECISION
    ),
    stored.TicketOffered(
        offer_id=OTHER,
        operator_id=OPERATOR,
        queue_id=QUEUE,
        until=AT,
        assignment_no=1,
        decision_id=DECISION,
    ),
    stored.OfferDeclined(offer_id=OTHER, operator_id=OPERATOR, reason="busy", assignment_no=1),
    stored.OfferEnded(
        offer_id=OTHER, operator_id=OPERATOR, reason="timed_out", assignment_no=1, decision_id=DECISION
    ),
    stored.TicketAccepted(operator_id=OPERATOR, offer_id=OTHER, actor=PERSON, assignment_no=2),
    stored.TicketUnassigned(
        operator_id=OPERATOR,
        reason="operator_left",
        actor=Actor(kind="system"),
        assignment_no=3,
        decision_id=DECISION,
    ),
    stored.Escalated(
        before=1,
        after=2,
        reason="timeout",
        actor=PERSON,
        assignment_no=4,
        preferred_operator_id=OTHER,
        step_key="first_response/1/breach/1",
        has_note=True,
        contact_id=CONTACT,
        note="note",
        tried="tried",
        reproduce="reproduce",
        affected="affected",
        decision_id=DECISION,
    ),
    stored.DecisionRefused(
        decision="withdrawal",
        decision_id=DECISION,
        offer_id=OTHER,
        reason="accepted",
        stage="in_progress",
        assignee_id=OPERATOR,
        assignment_no=2,
        step_key=None,
    ),
    stored.DeliveryChanged(
        reply_id=OTHER, notification_id=QUEUE, state="failed", reason="smtp_550", decision_id=DECISION
    ),
)
# Optional fields that came after a type was released: its first pair is without them, for ever.
ADDED: dict[str, Any] = {"TicketOpened.v1": {"line": {"address"}, "customer": {"verified"}}}


def golden_pairs() -> dict[str, dict[str, Any]]:
    """File → stored type and data, public type and data; sealed values are made up."""
    pairs = {event.TYPE: _pair(event, ADDED.get(event.TYPE)) for event in EVENTS}
    typed = Line(line_id=OTHER, name="Форма", channel="form", language="ru", address="desk@example.com")
    opened = EVENTS[0].model_copy(
        update={"line": typed, "customer": Customer(contact_id=CONTACT, verified=False), "link": None}
    )
    return pairs | {"TicketOpened.v1.form": _pair(opened, None)}


def _pair(event: Fact, without: Any) -> dict[str, Any]:
    data = event.model_dump(mode="json", exclude=without)
    visit_personal(type(event), data, _sealed)
    public_type, public = publish(event.TYPE, data)
    return {"stored_type": event.TYPE, "stored": data, "public_type": public_type, "public": public}


def _sealed(subject: str, path: str, _text: str) -> dict[str, Any]:
    return {"k": subject, "v": 1, "c": f"bm9uY2Ugb2YgMTIgYnl0ZXMu{path.replace('.', '/')}=="}


def write() -> None:
    """Write the files that are not there; raises ValueError where a released one would change."""
    for name, pair in golden_pairs().items():
        file, text = FOLDER / f"{name}.json", json.dumps(pair, ensure_ascii=False, indent=2) + "\n"
        if file.exists() and file.read_text(encoding="utf-8") != text:
            raise ValueError(f"{file.name} is released and would change")
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
