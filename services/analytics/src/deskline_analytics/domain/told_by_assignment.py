"""What tickets' events of queue, offer, assignee and level change, and how they answer routing."""

from typing import Any, Final
from uuid import UUID

from deskline_analytics.domain.rows import Card, DecisionOutcome, OutcomeRow
from deskline_analytics.domain.told_by_tickets import SYSTEM, operator
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.tickets import (
    Actor,
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)


def on_ticket_routed(work: Work, envelope: Envelope, fact: TicketRouted) -> None:
    card = work.card(envelope)
    card.queue_id, card.team_id, card.routed_at = fact.queue_id, fact.team_id, utc(envelope.time)
    card.assignment_no = fact.assignment_no
    if fact.actor.kind == "system":
        _answer(work, envelope, envelope.causation_id, "routed")
    _tell(work, envelope, fact, fact.actor)


def on_ticket_offered(work: Work, envelope: Envelope, fact: TicketOffered) -> None:
    card = work.card(envelope)
    card.offer_id, card.offer_operator_id, card.offer_until = (
        fact.offer_id,
        fact.operator_id,
        utc(fact.until),
    )
    card.assignment_no = fact.assignment_no
    work.changes.load_of(fact.operator_id, utc(envelope.time)).offered += 1
    _answer(work, envelope, fact.offer_id, "offered")
    _tell(work, envelope, fact, SYSTEM)


def on_offer_declined(work: Work, envelope: Envelope, fact: OfferDeclined) -> None:
    card = work.card(envelope)
    _close_offer(card, fact.offer_id)
    card.assignment_no = fact.assignment_no
    work.changes.load_of(fact.operator_id, utc(envelope.time)).declined += 1
    _answer(work, envelope, fact.offer_id, "declined", fact.reason)
    _tell(work, envelope, fact, operator(fact.operator_id))


def on_offer_ended(work: Work, envelope: Envelope, fact: OfferEnded) -> None:
    card = work.card(envelope)
    _close_offer(card, fact.offer_id)
    card.assignment_no = fact.assignment_no
    _answer(work, envelope, fact.offer_id, "ended", fact.reason)
    if fact.reason == "timed_out":
        work.changes.load_of(fact.operator_id, utc(envelope.time)).timed_out += 1
    if fact.reason != "ticket_moved":
        # It answers routing's withdrawal, which is a decision too.
        _answer(work, envelope, envelope.causation_id, "ended", fact.reason)
    _tell(work, envelope, fact, SYSTEM)


def on_ticket_accepted(work: Work, envelope: Envelope, fact: TicketAccepted) -> None:
    card, at = work.card(envelope), utc(envelope.time)
    card.assignee_id, card.assigned_at, card.assignment_no = fact.operator_id, at, fact.assignment_no
    work.changes.load_of(fact.operator_id, at).accepted += 1
    if fact.offer_id is not None:
        _close_offer(card, fact.offer_id)
        _answer(work, envelope, fact.offer_id, "accepted")
    _tell(work, envelope, fact, fact.actor)


def on_ticket_unassigned(work: Work, envelope: Envelope, fact: TicketUnassigned) -> None:
    card = work.card(envelope)
    card.assignee_id, card.assigned_at, card.assignment_no = None, None, fact.assignment_no
    if fact.reason in {"operator_left", "operator_lost"}:
        _answer(work, envelope, envelope.causation_id, "ended", fact.reason)
    _tell(work, envelope, fact, fact.actor)


def on_escalated(work: Work, envelope: Envelope, fact: Escalated) -> None:
    card = work.card(envelope)
    card.level, card.assignment_no = fact.after, fact.assignment_no
    card.escalations += 1
    _tell(work, envelope, fact, fact.actor)


def on_decision_refused(work: Work, envelope: Envelope, fact: DecisionRefused) -> None:
    work.card(envelope)
    if fact.decision == "offer":
        _answer(work, envelope, fact.offer_id or fact.decision_id, "refused", fact.reason)
    elif fact.decision != "step":
        _answer(work, envelope, fact.decision_id, "refused", fact.reason)
    _tell(work, envelope, fact, SYSTEM)


def _close_offer(card: Card, offer_id: UUID) -> None:
    if card.offer_id == offer_id:
        card.offer_id = card.offer_operator_id = card.offer_until = None


def _answer(
    work: Work,
    envelope: Envelope,
    decision_id: UUID | None,
    outcome: DecisionOutcome,
    reason: str | None = None,
) -> None:
    if decision_id is not None:
        work.changes.outcomes[decision_id] = OutcomeRow(
            decision_id, envelope.subject, outcome, reason, utc(envelope.time)
        )


def _tell(work: Work, envelope: Envelope, fact: Fact, actor: Actor) -> None:
    # These facts hold ids, codes and numbers only.
    details: dict[str, Any] = fact.model_dump(mode="json", exclude={"actor"})
    work.tell(envelope, fact, actor, **details)


HANDLERS: Final[Handlers] = {
    TicketRouted: on_ticket_routed,
    TicketOffered: on_ticket_offered,
    OfferDeclined: on_offer_declined,
    OfferEnded: on_offer_ended,
    TicketAccepted: on_ticket_accepted,
    TicketUnassigned: on_ticket_unassigned,
    Escalated: on_escalated,
    DecisionRefused: on_decision_refused,
}
