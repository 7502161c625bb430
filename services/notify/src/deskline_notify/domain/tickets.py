"""The ticket as notify knows it: what decides who is told, and nothing that is personal."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from deskline_events.facts import Fact, Language, Priority
from deskline_events.intake import MessageKind
from deskline_events.tickets import (
    AutomaticMessageAdded,
    CustomerReplied,
    Escalated,
    PriorityChanged,
    TicketAccepted,
    TicketOpened,
    TicketRouted,
    TicketUnassigned,
)

History = list[tuple[str, str | None]]
"""(moment, id) in JSON types, oldest first: who it was from then on, None for nobody."""

MOST_REMEMBERED: Final = 8


@dataclass(slots=True)
class Ticket:
    """Columns of `tickets` that hold nothing of a person's, in the table's order."""

    ticket_id: UUID
    number: int
    line_id: UUID
    line_name: str
    line_address: str | None
    contact_id: UUID
    locale: Language
    verified: bool
    reply_token: str
    priority: Priority
    level: int
    last_kind: MessageKind
    last_suppresses: bool
    team_id: UUID | None = None
    assignee_id: UUID | None = None
    teams: History = field(default_factory=list)
    assignees: History = field(default_factory=list)

    @property
    def takes_automatic_mail(self) -> bool:
        """Whether its last message was written by a person who did not ask for silence."""
        return self.last_kind == "human" and not self.last_suppresses


def opened(ticket_id: UUID, fact: TicketOpened) -> Ticket:
    """The ticket as it begins."""
    return Ticket(
        ticket_id=ticket_id,
        number=fact.number,
        line_id=fact.line.line_id,
        line_name=fact.line.name,
        line_address=fact.line.address,
        contact_id=fact.contact_id,
        locale=fact.customer.locale,
        verified=fact.customer.verified,
        reply_token=fact.reply_token,
        priority=fact.priority,
        level=fact.level,
        last_kind=fact.message.kind,
        last_suppresses=fact.message.suppress_auto_reply,
    )


def evolve(ticket: Ticket, fact: Fact, at: datetime) -> bool:
    """Bring the ticket forward by one of its facts; False where it says nothing to notify."""
    match fact:
        case CustomerReplied() | AutomaticMessageAdded():
            ticket.last_kind = fact.message.kind
            ticket.last_suppresses = fact.message.suppress_auto_reply
        case PriorityChanged():
            ticket.priority = fact.after
        case Escalated():
            ticket.level = fact.after
        case TicketRouted():
            ticket.team_id = fact.team_id
            _remember(ticket.teams, at, fact.team_id)
        case TicketAccepted():
            ticket.assignee_id = fact.operator_id
            _remember(ticket.assignees, at, fact.operator_id)
        case TicketUnassigned():
            ticket.assignee_id = None
            _remember(ticket.assignees, at, None)
        case _:
            return False
    return True


def who_at(history: History, at: datetime, patience: timedelta) -> UUID | None:
    """Who it was at that moment; where it was nobody, who it became within the time of patience.

    A breach drops the assignee and moves the ticket to another team: whom it is told to must not hang on
    which of these facts comes here first.
    """
    entries = [(datetime.fromisoformat(moment), named) for moment, named in history]
    then = next((named for moment, named in reversed(entries) if moment <= at), None)
    later = (named for moment, named in entries if at < moment <= at + patience and named is not None)
    found = then or next(later, None)
    return None if found is None else UUID(found)


def _remember(history: History, at: datetime, who: UUID | None) -> None:
    history.append((at.isoformat(), None if who is None else str(who)))
    del history[:-MOST_REMEMBERED]
