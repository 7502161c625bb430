"""A short history of one ticket as the topics would have it, to be broken in one place by each test."""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.judging.records import Findings, Json, Published
from tests.judging.recounting import cards, clocks, told

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TICKET, SENDER, CONTACT, OPERATOR = "t-1", "s-1", "c-1", "o-1"
QUEUE, TEAM, LINE, OFFER = "q-1", "team-1", "line-1", "offer-1"
TARGET = timedelta(seconds=6)
SECOND = timedelta(seconds=1)


@dataclass
class History:
    """Events of all owners, in the order in which they were told; each a second after the one before."""

    topics: dict[str, list[Published]] = field(
        default_factory=lambda: {owner: [] for owner in ("intake", "tickets", "routing", "sla", "notify")}
    )
    now: datetime = START
    sequences: Counter[tuple[str, str]] = field(default_factory=Counter)

    def tell(self, owner: str, name: str, cause: str | None = None, stream: str = TICKET, **data: Any) -> str:
        """The event's id."""
        self.now += timedelta(seconds=1)
        self.sequences[owner, stream] += 1
        sequence = self.sequences[owner, stream]
        headers = {
            "ce_id": f"{owner}/{stream}/{sequence}",
            "ce_source": f"/deskline/{owner}",
            "ce_type": f"deskline.{owner}.{name}.v1",
            "ce_time": self.now.isoformat(),
            "ce_subject": stream,
            "ce_sequence": str(sequence),
        }
        if cause is not None:
            headers["ce_causationid"] = cause
        records = self.topics[owner]
        topic = f"deskline.{owner}.events"
        records.append(Published(topic, 0, len(records), headers, json.dumps(data).encode()))
        return headers["ce_id"]

    def named(self, owner: str, name: str) -> Published:
        return next(one for one in self.topics[owner] if one.name == name)

    def again(self, owner: str, name: str, **headers: str) -> None:
        """Tell the same once more, with other headers."""
        one = self.named(owner, name)
        records = self.topics[owner]
        records.append(replace(one, offset=len(records), headers=one.headers | headers))


def whole() -> History:
    """Opened, routed, offered, accepted, answered and resolved in time, all of it told."""
    history = History()
    tell = history.tell
    received = tell("intake", "MessageReceived", stream=SENDER)
    message = {"kind": "human", "suppress_auto_reply": False, "received_at": START.isoformat()}
    line, customer = {"line_id": LINE}, {"contact_id": CONTACT}
    known: Json = {"number": 1, "line": line, "customer": customer, "priority": "medium", "level": 1}
    opened = tell("tickets", "TicketOpened", received, contact_id=CONTACT, message=message, **known)
    queued = tell("routing", "TicketQueued", opened, queue_id=QUEUE)
    for clock in ("first_response", "resolution"):
        running: Json = {"clock": clock, "cycle": 1, "generation": 1, "due_at": (START + TARGET).isoformat()}
        tell("sla", "ClockStarted", opened, **running)
    system = {"kind": "system", "id": None}
    routed = tell(
        "tickets", "TicketRouted", queued, queue_id=QUEUE, team_id=TEAM, actor=system, assignment_no=0
    )
    made = tell("routing", "OfferMade", routed, offer_id=OFFER, operator_id=OPERATOR)
    offer: Json = {"offer_id": OFFER, "operator_id": OPERATOR}
    offered = tell("tickets", "TicketOffered", made, **offer, queue_id=QUEUE, assignment_no=0)
    actor = {"kind": "operator", "id": OPERATOR}
    tell("tickets", "TicketAccepted", "command-1", **offer, actor=actor, assignment_no=1)
    move: Json = {"cycle": 1, "assignment_no": 1, "actor": actor}
    tell("tickets", "StageChanged", "command-1", before="new", after="in_progress", **move)
    reply: Json = {"reply_id": "r-1", "operator_id": OPERATOR, "contact_id": CONTACT}
    replied = tell("tickets", "OperatorReplied", "command-2", **reply)
    late: Json = {"cycle": 1, "generation": 1, "due_at": (START + TARGET).isoformat(), "breached": True}
    tell("sla", "ClockMet", replied, clock="first_response", met_at=history.now.isoformat(), **late)
    moved = tell(
        "tickets", "StageChanged", "command-3", before="in_progress", after="resolved",
        closing_reason="solved", **move,
    )  # fmt: skip
    tell("sla", "ClockMet", moved, clock="resolution", met_at=history.now.isoformat(), **late)
    for number, (event, kind, recipient) in enumerate(
        ((opened, "acknowledgement", CONTACT), (offered, "offer", OPERATOR), (replied, "reply", CONTACT))
    ):
        to = {"kind": "contact" if recipient == CONTACT else "operator", "id": recipient}
        mail: Json = {
            "notification_id": f"n-{number}",
            "message_id": f"{number}@desk.example",
            "channel": "email",
        }
        tell("notify", "NotificationSent", event, event_id=event, kind=kind, recipient=to, **mail)
    return history


def ends(history: History) -> dict[tuple[str, int], int]:
    """Where the topics end."""
    return {(f"deskline.{owner}.events", 0): len(found) for owner, found in history.topics.items()}


def tables(history: History) -> dict[str, dict[Any, Json]]:
    """What services would keep of it: those tables that judges look at, by name."""
    found = cards(history.topics["tickets"])
    target = int(TARGET.total_seconds())
    return {
        "tickets": {stream: vars(card).copy() for stream, card in found.items()},
        "clocks": {
            place: vars(clock) | {"target_seconds": target}
            for place, clock in clocks(history.topics["sla"]).items()
        },
        "notifications": told(history.topics["notify"]),
    }


def wrong_in(judge: Callable[..., object], *given: Any, **named: Any) -> set[str]:
    """The promises that a judge finds broken; it must have looked at something."""
    findings = Findings()
    judge(findings, *given, **named)
    assert findings.checked, "nothing was looked at"
    return set(findings.wrong)
