"""What sla's events change: clocks and what came of them."""

from typing import Final

from deskline_analytics.domain.rows import ClockRow
from deskline_analytics.domain.work import Handlers, Work, utc
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact
from deskline_events.sla import (
    Basis,
    CalendarChanged,
    ClockCancelled,
    ClockMet,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    PolicyChanged,
    SlaBreached,
    SlaRecalculated,
    SlaWarned,
)


def on_clock_started(work: Work, envelope: Envelope, fact: ClockStarted) -> None:
    basis = fact.basis
    row = ClockRow(
        ticket_id=envelope.subject,
        clock=fact.clock,
        cycle=fact.cycle,
        generation=fact.generation,
        state="running",
        policy_id=basis.policy_id,
        policy_version=basis.policy_version,
        calendar_id=basis.calendar_id,
        calendar_version=basis.calendar_version,
        target_seconds=basis.target_seconds,
        started_at=utc(fact.started_at),
        due_at=utc(fact.due_at),
    )
    work.changes.clocks[row.key] = row
    _show(work, row)


def on_clock_paused(work: Work, envelope: Envelope, fact: ClockPaused) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.generation, row.state, row.paused_at = fact.generation, "paused", utc(fact.paused_at)
    row.elapsed_seconds = fact.elapsed_seconds
    row.pauses += 1
    _show(work, row)


def on_clock_resumed(work: Work, envelope: Envelope, fact: ClockResumed) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.generation, row.state, row.paused_at = fact.generation, "running", None
    row.elapsed_seconds, row.due_at = None, utc(fact.due_at)
    _show(work, row)


def on_clock_met(work: Work, envelope: Envelope, fact: ClockMet) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.generation, row.state, row.paused_at = fact.generation, "met", None
    row.met_at, row.due_at, row.elapsed_seconds = utc(fact.met_at), utc(fact.due_at), fact.elapsed_seconds
    if fact.breached:
        _breach(row)
    _show(work, row)


def on_clock_cancelled(work: Work, envelope: Envelope, fact: ClockCancelled) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.generation, row.state, row.paused_at = fact.generation, "cancelled", None
    row.cancelled_at, row.cancel_reason = utc(fact.cancelled_at), fact.reason
    _show(work, row)


def on_sla_recalculated(work: Work, envelope: Envelope, fact: SlaRecalculated) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.generation, row.due_at = fact.generation, utc(fact.due_at)
    _measure_by(row, fact.basis)
    row.recalculated += 1
    _show(work, row)


def on_sla_warned(work: Work, envelope: Envelope, fact: SlaWarned) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    if fact.step not in row.warned_steps:
        row.warned_steps.append(fact.step)


def on_sla_breached(work: Work, envelope: Envelope, fact: SlaBreached) -> None:
    row = work.clock(envelope, fact.clock, fact.cycle)
    row.due_at = utc(fact.due_at)
    _breach(row)
    _show(work, row)


def on_policy_or_calendar(_work: Work, _envelope: Envelope, _fact: Fact) -> None:
    """Only freshness moves: each clock says by which version it is measured."""


def _measure_by(row: ClockRow, basis: Basis) -> None:
    row.policy_id, row.policy_version = basis.policy_id, basis.policy_version
    row.calendar_id, row.calendar_version = basis.calendar_id, basis.calendar_version
    row.target_seconds = basis.target_seconds


def _breach(row: ClockRow) -> None:
    # A breach that happened stays, and so does its moment, whatever is recalculated later.
    row.breached, row.breached_at = True, row.breached_at or row.due_at


def _show(work: Work, row: ClockRow) -> None:
    part = work.row(row.ticket_id, "sla").sla
    due_at = row.due_at if row.state in {"running", "met"} else None
    if row.clock == "first_response":
        part.first_response_due_at, part.first_response_at = due_at, row.met_at
        part.first_response_breached = row.breached
    elif row.cycle >= (part.resolution_cycle or 0):
        part.resolution_cycle, part.resolution_due_at = row.cycle, due_at
        part.resolution_met_at, part.resolution_breached = row.met_at, row.breached


HANDLERS: Final[Handlers] = {
    ClockStarted: on_clock_started,
    ClockPaused: on_clock_paused,
    ClockResumed: on_clock_resumed,
    ClockMet: on_clock_met,
    ClockCancelled: on_clock_cancelled,
    SlaRecalculated: on_sla_recalculated,
    SlaWarned: on_sla_warned,
    SlaBreached: on_sla_breached,
    PolicyChanged: on_policy_or_calendar,
    CalendarChanged: on_policy_or_calendar,
}
