"""Who is told of a fact, by which kind of mail; the actor is not told of what they did themselves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, Literal, cast
from uuid import UUID

from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.notify import NotificationKind, Recipient
from deskline_events.sla import RecipientKind, SlaBreached, SlaWarned
from deskline_events.tickets import OperatorReplied, TicketAccepted, TicketOffered, TicketOpened
from deskline_notify.domain.tickets import Ticket, who_at

State = Literal["waiting", "pending", "sent", "failed", "stale", "capped", "suppressed"]

STALE_AFTER: Final = timedelta(hours=24)
MOST_AUTOMATIC: Final = 10
CAP_WINDOW: Final = timedelta(hours=1)
NOBODY_AFTER: Final = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Intent:
    """One notification to be: who is told what of which event; `text` is under the recipient's key."""

    event_id: UUID
    ticket_id: UUID
    kind: NotificationKind
    recipient: Recipient
    fact_at: datetime
    details: Mapping[str, str] = field(default_factory=dict)
    reply_id: UUID | None = None
    text: str | None = None
    expires_at: datetime | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether no person wrote it."""
        return self.kind != "reply"

    @property
    def to_customer(self) -> bool:
        """Whether it leaves the company."""
        return self.recipient.kind == "contact"


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody is to be told, by their part in the ticket: who that is, the ticket's state answers."""

    event_id: UUID
    ticket_id: UUID
    kind: NotificationKind
    role: RecipientKind
    fact_at: datetime
    asked_at: datetime
    details: Mapping[str, str] = field(default_factory=dict)


def tells(ticket: Ticket, envelope: Envelope, fact: Fact) -> tuple[Intent, ...]:
    """What one of a ticket's own facts tells, and to whom."""
    tell = _TELLERS.get(type(fact))
    return () if tell is None else tell(ticket, envelope, cast("Any", fact))


def _opened(ticket: Ticket, envelope: Envelope, fact: TicketOpened) -> tuple[Intent, ...]:
    to = Recipient(kind="contact", id=fact.contact_id)
    return (Intent(envelope.id, ticket.ticket_id, "acknowledgement", to, envelope.time),)


def _replied(ticket: Ticket, envelope: Envelope, fact: OperatorReplied) -> tuple[Intent, ...]:
    return (
        Intent(
            envelope.id,
            ticket.ticket_id,
            "reply",
            Recipient(kind="contact", id=fact.contact_id),
            envelope.time,
            {"operator_id": str(fact.operator_id)},
            reply_id=fact.reply_id,
            text=fact.text,
        ),
    )


def _offered(ticket: Ticket, envelope: Envelope, fact: TicketOffered) -> tuple[Intent, ...]:
    return (
        Intent(
            envelope.id,
            ticket.ticket_id,
            "offer",
            Recipient(kind="operator", id=fact.operator_id),
            envelope.time,
            {"until": fact.until.isoformat()},
            expires_at=fact.until,
        ),
    )


def _accepted(ticket: Ticket, envelope: Envelope, fact: TicketAccepted) -> tuple[Intent, ...]:
    if fact.actor.kind == "operator" and fact.actor.id == fact.operator_id:
        return ()
    to = Recipient(kind="operator", id=fact.operator_id)
    return (Intent(envelope.id, ticket.ticket_id, "assignment", to, envelope.time),)


_Teller = Callable[[Ticket, Envelope, Any], tuple[Intent, ...]]
_TELLERS: Final[dict[type[Fact], _Teller]] = {
    TicketOpened: _opened,
    OperatorReplied: _replied,
    TicketOffered: _offered,
    TicketAccepted: _accepted,
}


def asks(envelope: Envelope, fact: SlaWarned | SlaBreached, now: datetime) -> tuple[Question, ...]:
    """What a step of a clock tells, by the recipients' part in the ticket."""
    details = {"clock": fact.clock, "due_at": fact.due_at.isoformat()}
    breached = isinstance(fact, SlaBreached)
    if isinstance(fact, SlaBreached) and fact.forecast_at is not None:
        details["forecast_at"] = fact.forecast_at.isoformat()
    questions = []
    for role in dict.fromkeys(fact.recipients):
        kind: NotificationKind = "breach" if breached else "warning"
        if role == "customer":
            if not breached:
                continue  # nothing has happened yet that a customer could be told
            kind = "apology"
        questions.append(Question(envelope.id, envelope.subject, kind, role, envelope.time, now, details))
    return tuple(questions)


def recipients_of(
    question: Question, ticket: Ticket | None, leads: Mapping[UUID, tuple[UUID, ...]], now: datetime
) -> tuple[Recipient, ...] | None:
    """Who is meant; None while that can't be said yet. `leads` are those of the teams known here."""
    if ticket is None:
        return None
    if question.role == "customer":
        return (Recipient(kind="contact", id=ticket.contact_id),)
    operators: tuple[UUID, ...] | None
    if question.role == "assignee":
        assignee = who_at(ticket.assignees, question.fact_at, NOBODY_AFTER)
        operators = None if assignee is None else (assignee,)
    else:
        team = who_at(ticket.teams, question.fact_at, NOBODY_AFTER)
        if team is not None and team not in leads:
            return None  # a team that there is will be told of
        operators = None if team is None else leads[team]
    if operators is None:
        # The clock's owner and the ticket's come in any order: what is missing may be on its way.
        return () if now - question.asked_at >= NOBODY_AFTER else None
    return tuple(Recipient(kind="operator", id=one) for one in operators)


def first_state(
    intent: Intent, ticket: Ticket, *, now: datetime, recent: int, known: bool
) -> tuple[State, str | None]:
    """What an intent begins as, and why; `recent` are automatic mails of that ticket and recipient."""
    if now - intent.fact_at > STALE_AFTER:
        return "stale", "older_than_a_day"
    if intent.is_automatic:
        if intent.to_customer and not ticket.takes_automatic_mail:
            return "suppressed", "automatic" if ticket.last_kind != "human" else "asked_for_silence"
        if recent >= MOST_AUTOMATIC:
            return "capped", "too_many"
    return ("pending", None) if known else ("waiting", None)
