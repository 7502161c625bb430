"""What routing's events change: its decisions, and the directory of operators, teams and queues."""

from typing import Final
from uuid import UUID

from deskline_analytics.domain.rows import DecisionKind, DecisionRow, OperatorRow, QueueRow, TeamRow
from deskline_analytics.domain.wording import storable
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.routing import (
    AssignmentWithdrawn,
    NobodyAvailable,
    OfferMade,
    OfferWithdrawn,
    OperatorChanged,
    QueueChanged,
    TeamChanged,
    TicketQueued,
)


def on_ticket_queued(work: Work, envelope: Envelope, fact: TicketQueued) -> None:
    row = _decide(work, envelope, "queued", envelope.id, fact.assignment_no)
    row.queue_id = fact.queue_id
    row.candidates = list(fact.considered)
    row.basis = {"circumstances": fact.circumstances, "fallback": fact.fallback}


def on_offer_made(work: Work, envelope: Envelope, fact: OfferMade) -> None:
    row = _decide(work, envelope, "offered", fact.offer_id, fact.assignment_no)
    row.attempt, row.queue_id, row.operator_id = fact.attempt, fact.queue_id, fact.operator_id
    row.offer_id, row.candidates = fact.offer_id, list(fact.candidates)
    row.basis = {
        "strategy": fact.strategy,
        "until": utc(fact.until).isoformat(),
        "waiting_since": utc(fact.waiting_since).isoformat(),
    }
    work.row(envelope.subject, "routing").routing.offers_made += 1


def on_offer_withdrawn(work: Work, envelope: Envelope, fact: OfferWithdrawn) -> None:
    row = _decide(work, envelope, "withdrawn", envelope.id, fact.assignment_no)
    row.offer_id, row.operator_id, row.reason = fact.offer_id, fact.operator_id, fact.reason


def on_nobody_available(work: Work, envelope: Envelope, fact: NobodyAvailable) -> None:
    row = _decide(work, envelope, "nobody", envelope.id, fact.assignment_no)
    row.attempt, row.queue_id, row.candidates = fact.attempt, fact.queue_id, list(fact.candidates)


def on_assignment_withdrawn(work: Work, envelope: Envelope, fact: AssignmentWithdrawn) -> None:
    row = _decide(work, envelope, "unassigned", envelope.id, fact.assignment_no)
    row.operator_id, row.reason = fact.operator_id, fact.reason


def on_operator_changed(work: Work, envelope: Envelope, fact: OperatorChanged) -> None:
    work.changes.operators[fact.operator_id] = OperatorRow(
        operator_id=fact.operator_id,
        version=envelope.sequence,
        changed_at=utc(envelope.time),
        name=storable(fact.name),
        language=fact.language,
        employed=fact.employed,
        team_ids=list(fact.team_ids),
        skills=list(fact.skills),
        capacity=fact.capacity,
    )


def on_team_changed(work: Work, envelope: Envelope, fact: TeamChanged) -> None:
    work.changes.teams[fact.team_id] = TeamRow(
        team_id=fact.team_id,
        version=envelope.sequence,
        changed_at=utc(envelope.time),
        name=storable(fact.name),
        lead_ids=list(fact.lead_ids),
        active=fact.active,
    )


def on_queue_changed(work: Work, envelope: Envelope, fact: QueueChanged) -> None:
    work.changes.queues[fact.queue_id] = QueueRow(
        queue_id=fact.queue_id,
        version=envelope.sequence,
        changed_at=utc(envelope.time),
        name=storable(fact.name),
        team_id=fact.team_id,
        place=fact.order,
        conditions=fact.conditions.model_dump(mode="json"),
        fallback=fact.fallback,
        strategy=fact.strategy,
        skills=list(fact.skills),
        accept_seconds=fact.accept_seconds,
        active=fact.active,
    )


def _decide(
    work: Work, envelope: Envelope, kind: DecisionKind, decision_id: UUID, assignment_no: int
) -> DecisionRow:
    part, at = work.row(envelope.subject, "routing").routing, utc(envelope.time)
    part.routing_decision, part.routing_decided_at = kind, at
    row = DecisionRow(decision_id, envelope.subject, kind, at, envelope.id, assignment_no)
    work.changes.decisions[decision_id] = row
    return row


HANDLERS: Final[Handlers] = {
    TicketQueued: on_ticket_queued,
    OfferMade: on_offer_made,
    OfferWithdrawn: on_offer_withdrawn,
    NobodyAvailable: on_nobody_available,
    AssignmentWithdrawn: on_assignment_withdrawn,
    OperatorChanged: on_operator_changed,
    TeamChanged: on_team_changed,
    QueueChanged: on_queue_changed,
}
