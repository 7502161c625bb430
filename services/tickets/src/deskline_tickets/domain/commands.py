"""What can be asked of a ticket, by whom, and on what it rests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from deskline_events.facts import Customer, Line, Priority
from deskline_events.tickets import Actor, CustomerMessage, Link, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenTicket:
    """A message starts a ticket; `erased`: the sender's key is gone."""

    actor: Actor
    number: int
    line: Line
    contact_id: UUID
    customer: Customer
    subject: str
    message: CustomerMessage
    reply_token: str
    priority: Priority = "medium"
    link: Link | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCustomerReply:
    """A participant wrote again; that it belongs here, threading decided."""

    actor: Actor
    contact_id: UUID
    message: CustomerMessage
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddAutomaticMessage:
    """A machine's mail is kept with the ticket."""

    actor: Actor
    contact_id: UUID
    message: CustomerMessage
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SetMessageAside:
    """A message makes no ticket; `already`: it was set aside before."""

    actor: Actor
    source_key: str
    line_id: UUID
    contact_id: UUID
    received_at: datetime
    reason: Literal["bounce", "list", "own_loop", "person_erased"]
    already: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyToCustomer:
    """An operator answers, having read up to `seen_version`, and may move the ticket with it.

    `then_stage` is left undone where the customer wrote after `seen_version`: the operator has not
    read it. `now` is the decision's moment.
    """

    actor: Actor
    roles: frozenset[str]
    reply_id: UUID
    text: str
    seen_version: int
    now: datetime
    then_stage: Stage | None = None
    closing_reason: str | None = None
    until: datetime | None = None
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AddNote:
    """An operator writes for colleagues only."""

    actor: Actor
    roles: frozenset[str]
    note_id: UUID
    text: str
    mentions: tuple[UUID, ...] = ()
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeStage:
    """The ticket moves: take, wait, resolve, close, reopen and spam alike.

    `expected_version` is None only where the system or a contact decides on the current state.
    """

    actor: Actor
    stage: Stage
    now: datetime
    expected_version: int | None
    roles: frozenset[str] = frozenset()
    closing_reason: str | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePriority:
    """The ticket becomes more or less urgent; `expected_version` as in ChangeStage."""

    actor: Actor
    priority: Priority
    expected_version: int | None
    roles: frozenset[str] = frozenset()


Command = (
    OpenTicket
    | AddCustomerReply
    | AddAutomaticMessage
    | SetMessageAside
    | ReplyToCustomer
    | AddNote
    | ChangeStage
    | ChangePriority
)
