"""What can be asked of a ticket, by whom, and on what it rests."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from deskline_events.facts import Customer, Line, Priority
from deskline_events.sla import ActionKind, ClockName
from deskline_events.tickets import Actor, CustomerMessage, Link, Stage, WithdrawalReason


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
    """A participant wrote again; that it belongs here, threading decided.

    `keeps_assignee`: where this reopens the ticket, its assignee still serves its queue.
    """

    actor: Actor
    contact_id: UUID
    message: CustomerMessage
    keeps_assignee: bool = True
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
    read it. `now` is the decision's moment, `keeps_assignee` as in AddCustomerReply.
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
    keeps_assignee: bool = True
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

    `expected_version` is None only where the system or a contact decides on the current state;
    `keeps_assignee` as in AddCustomerReply.
    """

    actor: Actor
    stage: Stage
    now: datetime
    expected_version: int | None
    roles: frozenset[str] = frozenset()
    closing_reason: str | None = None
    until: datetime | None = None
    keeps_assignee: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangePriority:
    """The ticket becomes more or less urgent; `expected_version` as in ChangeStage."""

    actor: Actor
    priority: Priority
    expected_version: int | None
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeQueue:
    """A person puts the ticket into another queue; `known`: there is such a queue, and it is in use."""

    actor: Actor
    roles: frozenset[str]
    queue_id: UUID
    team_id: UUID | None
    known: bool
    expected_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptOffer:
    """The operator to whom the ticket is offered takes it."""

    actor: Actor
    roles: frozenset[str]
    offer_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclineOffer:
    """The operator to whom the ticket is offered doesn't take it."""

    actor: Actor
    roles: frozenset[str]
    offer_id: UUID
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UnassignTicket:
    """The assignee gives the ticket back, or somebody who leads the team takes it away."""

    actor: Actor
    roles: frozenset[str]
    leads: bool
    expected_version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """What the next level is told: what was tried, how to reproduce it, who is affected."""

    note: str | None = None
    tried: str | None = None
    reproduce: str | None = None
    affected: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EscalateTicket:
    """A person sends the ticket to another support level, up or back down."""

    actor: Actor
    roles: frozenset[str]
    level: int
    expected_version: int
    hand_over: HandOver = HandOver()
    erased: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteTicket:
    """Routing chose the queue. Here and below `decision_id` is the `ce_id` of the event that decided."""

    decision_id: UUID
    queue_id: UUID
    team_id: UUID | None
    assignment_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferTicket:
    """Routing chose an operator."""

    decision_id: UUID
    offer_id: UUID
    operator_id: UUID
    queue_id: UUID
    until: datetime
    assignment_no: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EndOffer:
    """Routing takes its offer back."""

    decision_id: UUID
    offer_id: UUID
    reason: WithdrawalReason


@dataclass(frozen=True, slots=True, kw_only=True)
class EndAssignment:
    """Routing says that the assignee is lost to the ticket."""

    decision_id: UUID
    operator_id: UUID
    assignment_no: int
    reason: Literal["operator_left", "operator_lost"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TakeStep:
    """A step of a service level fired with actions on the ticket."""

    decision_id: UUID
    clock: ClockName
    cycle: int
    step: str
    generation: int
    due_at: datetime
    actions: tuple[ActionKind, ...]

    @property
    def key(self) -> str:
        """What is done once."""
        return f"{self.clock}/{self.cycle}/{self.step}/{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordDelivery:
    """notify tells what became of a reply."""

    decision_id: UUID
    reply_id: UUID
    notification_id: UUID
    state: Literal["sent", "failed"]
    reason: str | None = None


FromPerson = (
    ReplyToCustomer
    | AddNote
    | ChangeStage
    | ChangePriority
    | ChangeQueue
    | AcceptOffer
    | DeclineOffer
    | UnassignTicket
    | EscalateTicket
)
FromMessage = OpenTicket | AddCustomerReply | AddAutomaticMessage | SetMessageAside
FromService = RouteTicket | OfferTicket | EndOffer | EndAssignment | TakeStep | RecordDelivery
Command = FromPerson | FromMessage | FromService
