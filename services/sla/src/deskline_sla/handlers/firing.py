"""A due step fires, if the clock still runs towards it and nothing that was committed in time is missing."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from deskline_chassis.deadlines import Deadline, Identity
from deskline_chassis.event_log import NewEvent
from deskline_sla.domain.clock import Clock
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import PlannedStep, StepName, fire_step, firing
from deskline_sla.figures import STEP_SECONDS, STEPS_ALARMED, STEPS_HELD
from deskline_sla.ports import Change, ClockDesk, Watching

log = structlog.get_logger(__name__)

STALLED_AFTER: Final = timedelta(seconds=10)
"""How long a breach may wait for its owner's watermark before somebody should look."""

_MOST_ALARMED: Final = 10_000


class Alarms:
    """What was cried about already: once for each step in a process, not at each asking."""

    def __init__(self) -> None:
        self._cried: set[tuple[UUID, str, int, str]] = set()

    def held(self, deadline: Deadline, reason: str, now: datetime) -> None:
        """A step can't be decided; one whose stream is parked, or that waits too long, is cried about."""
        if reason != "parked" and now - deadline.due_at < STALLED_AFTER:
            return
        what = deadline.subject, deadline.key, deadline.generation, reason
        if what in self._cried:
            return
        if len(self._cried) >= _MOST_ALARMED:
            self._cried.clear()
        self._cried.add(what)
        STEPS_ALARMED.labels(reason).inc()
        log.error("a step can't be decided", ticket=str(deadline.subject), step=deadline.key, reason=reason)


def fire_steps(desk: ClockDesk, due: Sequence[Deadline], now: datetime, alarms: Alarms) -> list[Deadline]:
    """Fire what may fire, under the log's lock; gives back what can't be decided yet."""
    book = desk.book()
    found = desk.find({deadline.subject for deadline in due})
    possible = [
        (deadline, planned)
        for deadline in sorted(due, key=lambda one: one.due_at)
        if (planned := _planned(found, deadline, now, book)) is not None
    ]
    held = _undecided(desk, found, possible)
    events: list[NewEvent] = []
    touched: dict[UUID, dict[tuple[str, int], Clock]] = {}
    for deadline, _ in possible:
        if deadline.identity in held:
            STEPS_HELD.labels(held[deadline.identity]).inc()
            alarms.held(deadline, held[deadline.identity], now)
            continue
        # Looked at again: a step of the same clock may have fired just before.
        planned = _planned(found, deadline, now, book)
        if planned is None:
            continue
        watching, name = found[deadline.subject], StepName.read(deadline.key)
        clock, fact = fire_step(_clock(watching, name), planned, now, book)
        found[deadline.subject] = replace(watching, ticket=watching.ticket.with_clock(clock))
        touched.setdefault(deadline.subject, {})[clock.name, clock.cycle] = clock
        events.append(NewEvent(deadline.subject, fact, watching.cause))
        STEP_SECONDS.labels("breach" if planned.late else "warning").observe(
            max(0.0, (now - planned.at).total_seconds())
        )
    desk.save(events, [Change(found[ticket], list(clocks.values())) for ticket, clocks in touched.items()])
    return [deadline for deadline in due if deadline.identity in held]


def _planned(
    found: dict[UUID, Watching], deadline: Deadline, now: datetime, book: RuleBook
) -> PlannedStep | None:
    watching, name = found.get(deadline.subject), StepName.read(deadline.key)
    clock = None if watching is None else watching.ticket.clock(name.clock, name.cycle)
    return None if clock is None else firing(clock, name, deadline.generation, now, book)


def _clock(watching: Watching, name: StepName) -> Clock:
    clock = watching.ticket.clock(name.clock, name.cycle)
    assert clock is not None  # noqa: S101 -- it was found a moment ago
    return clock


def _undecided(
    desk: ClockDesk, found: dict[UUID, Watching], possible: Sequence[tuple[Deadline, PlannedStep]]
) -> dict[Identity, str]:
    """Steps of which something that would undo them may be missing, and why.

    A breach waits until all that was committed by its moment was applied. A warning waits only for what was
    announced: after an outage nobody is warned of what was answered meanwhile.
    """
    if not possible:
        return {}
    partitions = {found[deadline.subject].partition for deadline, _ in possible}
    # Facts that were applied need the log's lock, which is held: all of them are in what was found. In this
    # order: what is read and set aside meanwhile is seen by the last question.
    announced = desk.announced_until()
    complete = {partition: desk.complete_until(partition) for partition in sorted(partitions)}
    unsettled = desk.unsettled({deadline.subject for deadline, planned in possible if planned.late})
    held: dict[Identity, str] = {}
    for deadline, planned in possible:
        until = complete[found[deadline.subject].partition]
        enough = until is not None and (
            until >= planned.at or (not planned.late and announced is not None and until >= announced)
        )
        if planned.late and deadline.subject in unsettled:
            held[deadline.identity] = unsettled[deadline.subject]
        elif not enough:
            held[deadline.identity] = "incomplete"
    return held
