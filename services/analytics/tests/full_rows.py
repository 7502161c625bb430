"""Rows in which everything is set, and events about them: what an event changes is seen in whole."""

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import fields, replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python

from deskline_analytics.domain.projecting import (
    Known,
    project,
)
from deskline_analytics.domain.rows import (
    Card,
    Changes,
    ClockRow,
    DocumentRow,
    NotifyPart,
    RoutingPart,
    SlaPart,
    TicketRow,
    TimelineRow,
)
from deskline_events.envelope import Envelope
from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject
from deskline_events.intake import MessageReceived
from deskline_events.notify import Recipient
from deskline_events.sla import (
    Basis,
)
from deskline_events.tickets import (
    Actor,
    CustomerMessage,
    Link,
    TicketOpened,
)

# In a zone of its own, so that a time that is not turned to UTC is seen.
MOSCOW = timezone(timedelta(hours=3))
NOW = datetime(2026, 3, 2, 1, 17, 30, tzinfo=MOSCOW)
AT = NOW.astimezone(UTC)
QUARTER = datetime(2026, 3, 1, 22, 15, tzinfo=UTC)
CAME = datetime(2026, 3, 2, 1, 7, tzinfo=MOSCOW)
BEFORE = datetime(2026, 2, 1, tzinfo=UTC)
TICKET, CONTACT, ANNA, BORIS, LINE, QUEUE, TEAM, OFFER, EVENT, CAUSE, STORY, COMPANY = (
    UUID(int=number) for number in range(1, 13)
)
BY_ANNA, BY_SYSTEM, BY_CONTACT = (
    Actor(kind="operator", id=ANNA),
    Actor(kind="system"),
    Actor(kind="contact", id=CONTACT),
)

# Everything is set, so that whatever an event should clear is seen to be cleared, and nothing else.
CARD = Card(
    version=4,
    number=7,
    stage="in_progress",
    priority="low",
    level=1,
    cycle=1,
    line_id=LINE,
    line_name="Support",
    channel="email",
    contact_id=CONTACT,
    company_id=COMPANY,
    tier="gold",
    locale="en",
    subject="Printer",
    open=True,
    opened_at=BEFORE,
    changed_at=BEFORE,
    first_customer_at=BEFORE,
    last_customer_at=BEFORE,
    first_operator_at=BEFORE,
    last_operator_at=BEFORE,
    last_message_kind="customer",
    customer_messages=10,
    operator_messages=20,
    automatic_messages=30,
    notes=40,
    reopened=50,
    resolved_at=BEFORE,
    closed_at=BEFORE,
    closing_reason="solved",
    waiting_until=BEFORE,
    assignment_no=3,
    queue_id=QUEUE,
    team_id=TEAM,
    routed_at=BEFORE,
    assignee_id=BORIS,
    assigned_at=BEFORE,
    offer_id=OFFER,
    offer_operator_id=ANNA,
    offer_until=BEFORE,
    escalations=60,
)
BASIS = Basis(
    policy_id=UUID(int=31), policy_version=2, calendar_id=UUID(int=32), calendar_version=3, target_seconds=60
)
CLOCK = ClockRow(
    ticket_id=TICKET,
    clock="resolution",
    cycle=1,
    generation=1,
    state="running",
    policy_id=UUID(int=41),
    policy_version=4,
    calendar_id=UUID(int=42),
    calendar_version=5,
    target_seconds=600,
    started_at=BEFORE,
    due_at=BEFORE + timedelta(hours=1),
    paused_at=BEFORE,
    elapsed_seconds=9,
    pauses=1,
    recalculated=1,
    warned_steps=["half"],
)
ROUTING = RoutingPart("nobody", BEFORE, 5)
SLA = SlaPart(BEFORE, BEFORE, True, 1, BEFORE, BEFORE, True)
NOTIFY = NotifyPart(BEFORE, BEFORE, 6, 7)


def envelope(fact: Fact, subject: UUID = TICKET, **more: Any) -> Envelope:
    owner = "tickets" if "." not in fact.TYPE else fact.TYPE.split(".")[1]
    made = Envelope(EVENT, f"/deskline/{owner}", fact.TYPE, NOW, subject, 5, STORY, CAUSE, 1, 1)
    return replace(made, **more)


def known() -> Known:
    row = TicketRow(TICKET, CARD, ROUTING, SLA, NOTIFY)
    return deepcopy(Known({TICKET: row}, {CLOCK.key: CLOCK}))


def told(fact: Fact, subject: UUID = TICKET, **more: Any) -> dict[str, Any]:
    """All that changes, but how fresh it is."""
    about = envelope(fact, subject, **more)
    changes = project([(about, fact)], known())
    assert changes.fresh == {about.owner: AT}
    for row in changes.timeline:
        # They go into a column of JSON as they are.
        assert json.loads(json.dumps(row.details)) == row.details
    for queue in changes.queues.values():
        assert json.loads(json.dumps(queue.conditions)) == queue.conditions
    changes.fresh.clear()
    return shown(changes)


def shown(changes: Changes) -> dict[str, Any]:
    """What is not empty, in JSON types."""
    named = {one.name: getattr(changes, one.name) for one in fields(Changes)}
    return {name: _plain(rows) for name, rows in named.items() if rows}


def _plain(rows: Any) -> Any:
    if isinstance(rows, list):
        return [_row(row) for row in rows]
    return {str(key): _row(row) for key, row in rows.items()}


def _row(row: Any) -> dict[str, Any]:
    # What a row does not compare is no column.
    columns = [one.name for one in fields(row) if one.compare]
    return {name: to_jsonable_python(getattr(row, name)) for name in columns}


def card(**changed: Any) -> TicketRow:
    moved = replace(CARD, version=5, changed_at=AT, **changed)
    return TicketRow(TICKET, moved, ROUTING, SLA, NOTIFY)


def timeline(name: str, actor: Actor, /, **details: Any) -> TimelineRow:
    return TimelineRow(TICKET, 5, EVENT, name, AT, actor.kind, actor.id, CAUSE, STORY, details)


def document(kind: Any, body: str, **more: Any) -> DocumentRow:
    fields_of: dict[str, Any] = {"person_id": CONTACT, "erased": False, "subject": ""} | more
    return DocumentRow(ticket_id=TICKET, sequence=5, kind=kind, written_at=AT, body=body, **fields_of)


def message(kind: Any = "human", **more: Any) -> CustomerMessage:
    file = Attachment(
        attachment_id=UUID(int=51),
        content=StoredObject(key="k", sha256="0" * 64, size=1),
        filename="f",
        media_type="text/plain",
    )
    given: dict[str, Any] = {"text": "Whole", "attachments": (file,), "problems": ("oversize",)} | more
    return CustomerMessage(source_key="0" * 64, received_at=CAME, kind=kind, **given)


ABOUT: dict[str, Any] = {
    "received_at": CAME.astimezone(UTC).isoformat(),
    "attachments": 1,
    "problems": ["oversize"],
}


def expected(**rows: Any) -> dict[str, Any]:
    keyed: dict[str, Callable[[Any], Any]] = {
        "tickets": lambda row: {TICKET: row},
        "clocks": lambda row: {row.key: row},
        "flow": lambda row: {(QUARTER, LINE): row},
        "load": lambda both: {(date(2026, 3, 1), both[0]): both[1]},
        "decisions": lambda row: {row.decision_id: row},
        "outcomes": lambda many: {
            row.decision_id: row for row in (many if isinstance(many, list) else [many])
        },
        "notifications": lambda row: {row.notification_id: row},
        "operators": lambda row: {row.operator_id: row},
        "teams": lambda row: {row.team_id: row},
        "queues": lambda row: {row.queue_id: row},
        "lines": lambda row: {row.line_id: row},
    }
    made: dict[str, Any] = {name: keyed[name](row) if name in keyed else [row] for name, row in rows.items()}
    return shown(Changes(**made))


def opening(**more: Any) -> TicketOpened:
    given: dict[str, Any] = {
        "number": 8,
        "line": Line(line_id=LINE, name="Sup\0port", channel="form", language="ru"),
        "contact_id": CONTACT,
        "customer": Customer(contact_id=CONTACT, company_id=COMPANY, tier="gold", locale="en"),
        "subject": "Ёлка\0",
        "message": message(reply="Short"),
        "priority": "high",
        "level": 2,
        "reply_token": "t",
        "link": Link(kind="follow_up_of", ticket_id=UUID(int=77)),
    }
    return TicketOpened(**(given | more))


WHICH: dict[str, Any] = {"clock": "resolution", "cycle": 1, "generation": 8}


def notified(**more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "notification_id": UUID(int=63),
        "event_id": CAUSE,
        "kind": "reply",
        "channel": "email",
        "recipient": Recipient(kind="operator", id=ANNA),
        "reply_id": UUID(int=61),
    }
    return given | more


def received(**more: Any) -> MessageReceived:
    given: dict[str, Any] = {
        "raw_id": UUID(int=71),
        "source_key": "0" * 64,
        "line": Line(line_id=LINE, name="Sup\0port", channel="form", language="en"),
        "contact_id": CONTACT,
        "customer": Customer(contact_id=CONTACT),
        "received_at": NOW,
        "kind": "human",
        "subject": "x",
        "text": "x",
    }
    return MessageReceived(**(given | more))
