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
)


def golden_pairs() -> dict[str, dict[str, Any]]:
    """Stored type → stored data, public type, public data; sealed values are made up."""
    pairs: dict[str, dict[str, Any]] = {}
    for event in EVENTS:
        data = event.model_dump(mode="json")
        visit_personal(type(event), data, _sealed)
        public_type, public = publish(event.TYPE, data)
        pairs[event.TYPE] = {
            "stored_type": event.TYPE,
            "stored": data,
            "public_type": public_type,
            "public": public,
        }
    return pairs


def _sealed(subject: str, path: str, _text: str) -> dict[str, Any]:
    return {"k": subject, "v": 1, "c": f"bm9uY2Ugb2YgMTIgYnl0ZXMu{path.replace('.', '/')}=="}


def write() -> None:
    """Write the files; a frozen one must not change."""
    for name, pair in golden_pairs().items():
        text = json.dumps(pair, ensure_ascii=False, indent=2) + "\n"
        (FOLDER / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
