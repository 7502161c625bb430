"""Queries: policies, calendars and a ticket's clocks, as they are answered."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

from deskline_chassis.cursors import read_cursor, write_cursor
from deskline_chassis.postgres import Conn
from deskline_events.sla import CalendarChanged, Interval, PolicyChanged
from deskline_sla.adapters.clock_rows import find_watched
from deskline_sla.adapters.rule_store import RuleStore
from deskline_sla.answers import (
    CalendarPage,
    CalendarShown,
    ClockShown,
    ClocksShown,
    ExceptionShown,
    HoursShown,
    PolicyPage,
    PolicyShown,
    SegmentShown,
    StepShown,
)
from deskline_sla.domain.clock import Clock, elapsed_of
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.steps import planned_steps

# (table, key, what a list is ordered by)
_POLICIES: Final = "policies", "policy_id", "(content->>'order')::bigint"
_CALENDARS: Final = "calendars", "calendar_id", "0::bigint"
_BEGINNING: Final = -1, UUID(int=0)

Shown = TypeVar("Shown", PolicyShown, CalendarShown)


def policy(connection: Conn, policy_id: UUID, version: int | None) -> PolicyShown | None:
    """A policy, in its newest version unless another is asked for."""
    return _one(connection, _POLICIES, policy_id, version, _policy)


def calendar(connection: Conn, calendar_id: UUID, version: int | None) -> CalendarShown | None:
    """A calendar, in its newest version unless another is asked for."""
    return _one(connection, _CALENDARS, calendar_id, version, _calendar)


def policies(connection: Conn, cursor: str | None, limit: int) -> PolicyPage:
    """Policies in their newest versions; raises BadCursorError."""
    items, following = _page(connection, _POLICIES, cursor, limit, _policy)
    return PolicyPage(items=items, next_cursor=following)


def calendars(connection: Conn, cursor: str | None, limit: int) -> CalendarPage:
    """Calendars in their newest versions; raises BadCursorError."""
    items, following = _page(connection, _CALENDARS, cursor, limit, _calendar)
    return CalendarPage(items=items, next_cursor=following)


def clocks(connection: Conn, rules: RuleStore, ticket_id: UUID) -> ClocksShown | None:
    """A ticket's clocks; None where it is not known."""
    watching = find_watched(connection, [ticket_id]).get(ticket_id)
    if watching is None:
        return None
    book = rules.book(connection)
    row = connection.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None  # noqa: S101 -- a SELECT without FROM has one row
    now: datetime = row[0]
    ordered = sorted(watching.ticket.clocks, key=lambda one: (one.cycle, one.name))
    shown = [_clock(clock, now, book) for clock in ordered]
    return ClocksShown(ticket_id=ticket_id, as_of=now, clocks=shown)


def _one(
    connection: Conn,
    of: tuple[str, str, str],
    rule_id: UUID,
    version: int | None,
    shown: Callable[[str, datetime], Shown],
) -> Shown | None:
    table, key, _ = of
    row = connection.execute(
        f"SELECT content::text, put_at FROM {table} WHERE {key} = %(id)s"
        " AND (%(version)s::bigint IS NULL OR version = %(version)s::bigint) ORDER BY version DESC LIMIT 1",
        {"id": rule_id, "version": version},
    ).fetchone()
    return None if row is None else shown(*row)


def _page(
    connection: Conn,
    of: tuple[str, str, str],
    cursor: str | None,
    limit: int,
    shown: Callable[[str, datetime], Shown],
) -> tuple[list[Shown], str | None]:
    table, key, order = of
    place, after = _BEGINNING if cursor is None else read_cursor(table, cursor, int, UUID)
    rows: list[tuple[Any, ...]] = connection.execute(
        f"SELECT content::text, put_at, place, {key} FROM (SELECT DISTINCT ON ({key}) {key}, content, put_at,"
        f" {order} AS place FROM {table} ORDER BY {key}, version DESC) AS newest"
        f" WHERE (place, {key}) > (%s, %s) ORDER BY place, {key} LIMIT %s",
        (place, after, limit + 1),
    ).fetchall()
    following = None
    if len(rows) > limit:
        rows = rows[:limit]
        following = write_cursor(table, rows[-1][2], rows[-1][3])
    return [shown(content, put_at) for content, put_at, *_ in rows], following


def _policy(content: str, put_at: datetime) -> PolicyShown:
    found = PolicyChanged.model_validate_json(content)
    return PolicyShown.model_validate(found.model_dump() | {"put_at": put_at})


def _calendar(content: str, put_at: datetime) -> CalendarShown:
    found = CalendarChanged.model_validate_json(content)
    return CalendarShown(
        calendar_id=found.calendar_id,
        version=found.version,
        name=found.name,
        zone=found.zone,
        always=found.always,
        week=[[_hours(interval) for interval in day] for day in found.week],
        exceptions=[
            ExceptionShown(day=one.day, intervals=[_hours(interval) for interval in one.intervals])
            for one in found.exceptions
        ],
        put_at=put_at,
    )


def _hours(interval: Interval) -> HoursShown:
    return HoursShown(start=_wall_clock(interval.start), end=_wall_clock(interval.end))


def _wall_clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _clock(clock: Clock, now: datetime, book: RuleBook) -> ClockShown:
    basis = clock.basis
    elapsed = elapsed_of(clock, now, book)
    fired = {(one.key, one.generation): one.at for one in clock.fired}
    last_fired = {one.key: one.at for one in clock.fired}
    planned = {one.step.key: one for one in planned_steps(clock, book)}
    steps = [
        StepShown(
            key=step.key,
            at=planned[step.key].at if step.key in planned and clock.state != "paused" else None,
            fired_at=fired.get((step.key, clock.generation), last_fired.get(step.key)),
            actions=list(step.actions),
            recipients=list(step.recipients),
        )
        for step in book.steps(clock.name, basis)
    ]
    return ClockShown(
        clock=clock.name,
        cycle=clock.cycle,
        generation=clock.generation,
        state=clock.state,
        started_at=clock.started_at,
        due_at=clock.due_at,
        ended_at=clock.ended_at,
        breached=clock.breached_since is not None,
        elapsed_seconds=_whole(elapsed),
        left_seconds=_whole(clock.target - elapsed),
        basis=basis,
        policy=book.policies[basis.policy_id, basis.policy_version].name,
        calendar=book.calendars[basis.calendar_id, basis.calendar_version].calendar.name,
        segments=_segments(clock, now, book),
        steps=steps,
    )


def _segments(clock: Clock, now: datetime, book: RuleBook) -> list[SegmentShown]:
    shown = []
    for segment in clock.segments:
        counted = timedelta()
        if segment.kind == "run":
            time = book.calendars[segment.calendar_id, segment.calendar_version]
            counted = time.elapsed(segment.since, segment.until or now)
        shown.append(
            SegmentShown(
                kind=segment.kind,
                reason=segment.reason,
                since=segment.since,
                until=segment.until,
                business_seconds=_whole(counted),
            )
        )
    return shown


def _whole(span: timedelta) -> int:
    return span // timedelta(seconds=1)
