"""Operators, teams and queues, as admins put them."""

from typing import Literal
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.routing import OperatorChanged, QueueChanged, TeamChanged
from deskline_routing.domain.deciding import recover
from deskline_routing.domain.ids import FALLBACK_QUEUE
from deskline_routing.domain.refusals import OperatorErased, TeamInUse, Unfit, VersionRequired, VersionStale
from deskline_routing.handlers.sitting import PAGE, Sitting
from deskline_routing.ports import Desk, KeptQueue, OpenDesk

Expected = int | Literal["any"] | None
"""The version that a change rests on; None: it says none; any: whoever is at the shell knows."""


def put_operator(open_desk: OpenDesk, fact: OperatorChanged, expected: Expected, cause: Cause) -> int:
    """Register or change an operator; what they lose by it is taken back at once. Raises Refusal."""
    with open_desk() as desk:
        desk.lock()
        known = desk.operator(fact.operator_id)
        _check(None if known is None else known.version, expected)
        if known is not None and known.erased:
            raise OperatorErased
        _check_teams(desk, fact.team_ids, "team_ids")
        if known is not None and known.fact == fact:
            return known.version
        version = desk.put_operator(fact, cause)
        _redistribute(desk, fact.operator_id, cause)
        return version


def erase_operator(open_desk: OpenDesk, operator_id: UUID, cause: Cause) -> bool:
    """Let an operator leave and destroy their key; False where there is nobody to erase."""
    with open_desk() as desk:
        desk.lock()
        known = desk.operator(operator_id)
        if known is None or known.erased:
            return False
        if known.fact.employed:
            desk.put_operator(known.fact.model_copy(update={"employed": False}), cause)
            _redistribute(desk, operator_id, cause)
        desk.erase(operator_id)
        return True


def put_team(open_desk: OpenDesk, fact: TeamChanged, expected: Expected, cause: Cause) -> int:
    """Make or change a team. Raises Refusal."""
    with open_desk() as desk:
        desk.lock()
        known = desk.team(fact.team_id)
        _check(None if known is None else known.version, expected)
        served = [one.queue_id for one in desk.office().queues.values() if one.team_id == fact.team_id]
        if not fact.active and served:
            raise TeamInUse(sorted(served))
        if known is not None and known.fact == fact:
            return known.version
        return desk.put_team(fact, cause)


def put_queue(open_desk: OpenDesk, fact: QueueChanged, expected: Expected, cause: Cause) -> int:
    """Make or change a queue; what waits in it is decided anew. Raises Refusal."""
    with open_desk() as desk:
        Sitting(desk, cause)  # the fallback queue is there before anybody changes it
        known = desk.queue(fact.queue_id)
        _check(None if known is None else known.version, expected)
        _check_fallback(fact)
        _check_teams(desk, () if fact.team_id is None else (fact.team_id,), "team_id")
        if known is not None and as_fact(known) == fact:
            return known.version
        version = desk.put_queue(fact, cause)
        sitting = Sitting(desk, cause)
        if fact.active:
            sitting.settle((), {}, gained={one.operator_id for one in sitting.office.team(fact.team_id)})
        else:
            for ticket in desk.waiting_in([fact.queue_id], None, PAGE):
                sitting.redecide(ticket)
        sitting.close()
        return version


def as_fact(kept: KeptQueue) -> QueueChanged:
    """A queue as it was announced."""
    queue = kept.queue
    return QueueChanged(
        queue_id=queue.queue_id,
        name=queue.name,
        team_id=queue.team_id,
        order=queue.order,
        conditions=queue.conditions,
        fallback=queue.fallback,
        skills=tuple(sorted(queue.skills)),
        accept_seconds=queue.accept_seconds,
        active=queue.active,
    )


def _redistribute(desk: Desk, operator_id: UUID, cause: Cause) -> None:
    sitting = Sitting(desk, cause)
    for ticket in desk.held_by([operator_id]):
        sitting.rule(recover(sitting.office, ticket))
    sitting.settle((), {}, gained={operator_id})
    sitting.close()


def _check(version: int | None, expected: Expected) -> None:
    if expected == "any":
        return
    if version is None and expected is not None:
        raise VersionStale(0)
    if version is not None and expected is None:
        raise VersionRequired
    if version is not None and version != expected:
        raise VersionStale(version)


def _check_teams(desk: Desk, team_ids: tuple[UUID, ...], field: str) -> None:
    missing = desk.missing_teams(team_ids)
    if missing:
        raise Unfit(field, f"There is no active team {missing[0]}")


def _check_fallback(fact: QueueChanged) -> None:
    is_fallback = fact.queue_id == FALLBACK_QUEUE
    if fact.fallback != is_fallback:
        raise Unfit("fallback", "The fallback queue is one, and always the same")
    if is_fallback and not fact.active:
        raise Unfit("active", "The fallback queue always exists")
    if is_fallback and fact.conditions.model_dump(exclude_defaults=True):
        raise Unfit("conditions", "The fallback queue takes what matches nowhere: it has no conditions")
