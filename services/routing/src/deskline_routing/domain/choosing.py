"""The two choices of routing: which queue a ticket belongs to, and which operator it is offered to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from uuid import UUID

from deskline_events.conditions import Circumstances
from deskline_events.routing import Candidate, ConsideredQueue, Rejection
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.office import Office, Operator, Queue

Refusal = Literal["declined", "timed_out"]
Refusals = Mapping[UUID, Refusal]
"""Who was asked in this round already, and how it ended."""

MOST_CANDIDATES: Final = 1000
"""Named in one event: each takes some 200 bytes, and an event has 256 KiB."""


@dataclass(frozen=True, slots=True)
class QueueChoice:
    """The queue, and those that were looked at before it."""

    queue: Queue
    considered: tuple[ConsideredQueue, ...]


@dataclass(frozen=True, slots=True)
class OperatorChoice:
    """The operator, None where nobody can be offered it, and everybody who was looked at."""

    operator: Operator | None
    candidates: tuple[Candidate, ...]


def choose_queue(office: Office, found: Circumstances) -> QueueChoice:
    """The first queue in the explicit order (then by id) whose conditions hold; else the fallback."""
    considered: list[ConsideredQueue] = []
    for queue in office.in_order:
        unmet = queue.conditions.unmet_by(found)
        considered.append(ConsideredQueue(queue_id=queue.queue_id, unmet=unmet))
        if not unmet:
            return QueueChoice(queue, tuple(considered))
    considered.append(ConsideredQueue(queue_id=FALLBACK_QUEUE))
    return QueueChoice(office.queues[FALLBACK_QUEUE], tuple(considered))


def choose_operator(
    office: Office, queue: Queue, refusals: Refusals, preferred: UUID | None = None
) -> OperatorChoice:
    """Who has waited longest since their last offer, of those that can take it; the preferred one first."""
    considered = office.longest_idle_first(office.team(queue.team_id))
    if preferred is not None:
        first = office.operators.get(preferred) or Operator(preferred, employed=False)
        considered = [first, *(one for one in considered if one.operator_id != preferred)]
    chosen: Operator | None = None
    candidates: list[Candidate] = []
    for operator in considered:
        rejected = rejection_of(operator, queue, refusals)
        if rejected is None and chosen is None:
            chosen = operator
        candidates.append(_seen(office, operator, rejected))
    return OperatorChoice(chosen, _named(candidates, chosen))


def rejection_of(operator: Operator, queue: Queue, refusals: Refusals) -> Rejection | None:
    """Why an operator can't be offered a ticket of the queue; None: they can."""
    if not operator.employed:
        return "left"
    if queue.team_id is not None and queue.team_id not in operator.team_ids:
        return "not_in_team"
    if not queue.skills <= operator.skills:
        return "skill_missing"
    if operator.operator_id in refusals:
        return refusals[operator.operator_id]
    if operator.presence != "online":
        return operator.presence
    return None if operator.has_room else "at_capacity"


def could_take(office: Office, queue: Queue, refusals: Refusals) -> bool:
    """Whether anybody can be offered it: the question without its explanation."""
    return any(rejection_of(one, queue, refusals) is None for one in office.team(queue.team_id))


def _seen(office: Office, operator: Operator, rejected: Rejection | None) -> Candidate:
    # From one ticket to the next only the operator changes who was offered the last one.
    as_seen = operator.operator_id, rejected, operator.load, operator.last_offered_at
    found = office.seen.get(as_seen)
    if found is None:
        found = office.seen[as_seen] = Candidate(
            operator_id=operator.operator_id,
            rejected=rejected,
            load=max(operator.load, 0.0),
            capacity=operator.capacity,
            last_offered_at=operator.last_offered_at,
        )
    return found


def _named(candidates: list[Candidate], chosen: Operator | None) -> tuple[Candidate, ...]:
    if len(candidates) <= MOST_CANDIDATES or chosen is None:
        return tuple(candidates[:MOST_CANDIDATES])
    # The chosen one stays, wherever they stood.
    first = [one for one in candidates if one.operator_id == chosen.operator_id]
    rest = [one for one in candidates if one.operator_id != chosen.operator_id]
    return (*first, *rest[: MOST_CANDIDATES - 1])
