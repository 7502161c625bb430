"""Kafka's door: events of others become commands; all of a batch in the reader's one transaction."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from deskline_chassis.applying import ReaderSpec, Transaction
from deskline_chassis.decoding import Received
from deskline_events.facts import Fact
from deskline_events.intake import MessageReceived
from deskline_events.notify import NotificationFailed, NotificationSent
from deskline_events.routing import (
    AssignmentWithdrawn,
    OfferMade,
    OfferWithdrawn,
    OperatorChanged,
    QueueChanged,
    TeamChanged,
    TicketQueued,
)
from deskline_events.sla import SlaBreached, SlaWarned
from deskline_tickets.adapters.desk import PostgresDesk
from deskline_tickets.adapters.ticket_store import TicketStore
from deskline_tickets.domain.commands import (
    EndAssignment,
    EndOffer,
    FromService,
    OfferTicket,
    RecordDelivery,
    RouteTicket,
    TakeStep,
)
from deskline_tickets.handlers.incoming import AnswerDecision, Incoming, take_in
from deskline_tickets.handlers.messages import Rules, TakeMessage
from deskline_tickets.projections import keep_directory

READER: Final = "deskline.tickets"
DIRECTORY: Final = (OperatorChanged, TeamChanged, QueueChanged)


def reader_of(store: TicketStore, rules: Rules) -> ReaderSpec:
    """What tickets reads: messages, decisions, and of whom its rights speak; with their keys, without which
    neither a message nor an operator's announcement can be opened.
    """

    def apply(transaction: Transaction, received: Sequence[Received]) -> None:
        keep_directory(
            transaction.connection, (one.fact for one in received if isinstance(one.fact, DIRECTORY))
        )
        commands = [command for one in received if (command := command_of(one)) is not None]
        if commands:
            take_in(PostgresDesk(transaction.connection, store, transaction.after_commit), commands, rules)

    return ReaderSpec(
        name=READER,
        owners=("intake", "routing", "sla", "notify"),
        key_owners=("intake", "routing"),
        types=frozenset(model.TYPE for model in _READ),
        apply=apply,
    )


def command_of(received: Received) -> Incoming | None:
    """The command that an event is to tickets, if it is one."""
    if isinstance(received.fact, MessageReceived):
        return on_message_received(received, received.fact)
    translate = _DECISIONS.get(type(received.fact))
    decision = None if translate is None else translate(received, received.fact)
    if decision is None:
        return None
    return AnswerDecision(received.envelope.subject, decision, received.cause, received.envelope.time)


def on_message_received(received: Received, fact: MessageReceived) -> TakeMessage:
    return TakeMessage(fact, received.cause)


def on_ticket_queued(received: Received, fact: TicketQueued) -> RouteTicket:
    return RouteTicket(
        decision_id=received.envelope.id,
        queue_id=fact.queue_id,
        team_id=fact.team_id,
        assignment_no=fact.assignment_no,
    )


def on_offer_made(received: Received, fact: OfferMade) -> OfferTicket:
    return OfferTicket(
        decision_id=received.envelope.id,
        offer_id=fact.offer_id,
        operator_id=fact.operator_id,
        queue_id=fact.queue_id,
        until=fact.until,
        assignment_no=fact.assignment_no,
    )


def on_offer_withdrawn(received: Received, fact: OfferWithdrawn) -> EndOffer:
    return EndOffer(decision_id=received.envelope.id, offer_id=fact.offer_id, reason=fact.reason)


def on_assignment_withdrawn(received: Received, fact: AssignmentWithdrawn) -> EndAssignment:
    return EndAssignment(
        decision_id=received.envelope.id,
        operator_id=fact.operator_id,
        assignment_no=fact.assignment_no,
        reason=fact.reason,
    )


def on_step(received: Received, fact: SlaWarned | SlaBreached) -> TakeStep:
    return TakeStep(
        decision_id=received.envelope.id,
        clock=fact.clock,
        cycle=fact.cycle,
        step=fact.step,
        generation=fact.generation,
        due_at=fact.due_at,
        actions=fact.actions,
    )


def on_notification(received: Received, fact: NotificationSent | NotificationFailed) -> RecordDelivery | None:
    """Only of a reply that it carried does a ticket know."""
    if fact.reply_id is None:
        return None
    return RecordDelivery(
        decision_id=received.envelope.id,
        reply_id=fact.reply_id,
        notification_id=fact.notification_id,
        state="failed" if isinstance(fact, NotificationFailed) else "sent",
        reason=fact.reason if isinstance(fact, NotificationFailed) else None,
    )


_DECISIONS: Final[Mapping[type[Fact], Callable[[Received, Any], FromService | None]]] = {
    TicketQueued: on_ticket_queued,
    OfferMade: on_offer_made,
    OfferWithdrawn: on_offer_withdrawn,
    AssignmentWithdrawn: on_assignment_withdrawn,
    SlaWarned: on_step,
    SlaBreached: on_step,
    NotificationSent: on_notification,
    NotificationFailed: on_notification,
}
_READ: Final[tuple[type[Fact], ...]] = (MessageReceived, *DIRECTORY, *_DECISIONS)
