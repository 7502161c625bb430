"""Answers about many tickets: counts and times over a range of days."""

import datetime as dt
from typing import Any, Final

from deskline_analytics import queries
from deskline_analytics.api.access import OVERSEERS, is_staff
from deskline_analytics.api.asking import DayRange, SlaRange, ZonedRange
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Conn

MAX_DAYS: Final = 366
_NO_CLOCK: Final = {"met": 0, "breached": 0, "pending": 0, "n": 0, "median": None, "p90": None, "mean": None}


def flow(connection: Conn, asked: ZonedRange) -> dict[str, Any]:
    """What happened per day and line."""
    rows = queries.daily_flow(connection, _days(connection, asked))
    by_day: dict[dt.date, list[dict[str, Any]]] = {day: [] for day in _each_day(asked)}
    for row in rows:
        by_day[row["date"]].append(row)
    return {
        **_range(asked),
        "zone": asked.zone,
        "days": [
            {
                "date": day,
                "total": queries.total(lines),
                "lines": [{name: line[name] for name in line if name != "date"} for line in lines],
            }
            for day, lines in by_day.items()
        ],
        "total": queries.total(rows),
    }


def kept(connection: Conn, asked: SlaRange, now: dt.datetime) -> dict[str, Any]:
    """What came of a clock, by the day on which it was due."""
    rows = queries.sla_report(connection, _days(connection, asked), asked.clock, now)
    by_day = {row["date"]: row for row in rows}
    return {
        **_range(asked),
        "zone": asked.zone,
        "clock": asked.clock,
        "days": [{"date": day, **_kept(by_day.get(day, _NO_CLOCK))} for day in _each_day(asked)],
        "total": _kept(by_day.get(None, _NO_CLOCK)),
    }


def load(connection: Conn, asked: DayRange, caller: Identity) -> dict[str, Any]:
    """What operators did and have; an operator sees themselves only, an analyst no names."""
    _check_range(asked)
    only = caller.actor_id if caller.roles.isdisjoint(OVERSEERS) else None
    rows = queries.operator_load(connection, asked.from_, asked.to, only)
    shown = rows
    if not is_staff(caller):
        shown = [{name: row[name] for name in row if name != "name"} for row in rows]
    return {**_range(asked), "operators": shown, "total": queries.total_load(rows)}


def _kept(row: dict[str, Any]) -> dict[str, Any]:
    due = row["met"] + row["breached"]
    return {
        "met": row["met"],
        "breached": row["breached"],
        "pending": row["pending"],
        "compliance": row["met"] / due if due else None,
        "elapsed": {name: row[name] for name in ("n", "median", "p90", "mean")},
    }


def _range(asked: DayRange) -> dict[str, Any]:
    return {"from": asked.from_, "to": asked.to}


def _each_day(asked: DayRange) -> list[dt.date]:
    return [asked.from_ + dt.timedelta(days=day) for day in range((asked.to - asked.from_).days + 1)]


def _days(connection: Conn, asked: ZonedRange) -> queries.Days:
    _check_range(asked)
    if not queries.zone_exists(connection, asked.zone):
        raise _bad_range("zone", "`zone` must be an IANA name, such as Europe/Moscow or UTC.")
    return queries.Days(asked.from_, asked.to, asked.zone)


def _check_range(asked: DayRange) -> None:
    if asked.from_ > asked.to or (asked.to - asked.from_).days >= MAX_DAYS or asked.to == dt.date.max:
        raise _bad_range("to", f"`to` must be no earlier than `from`, and the range at most {MAX_DAYS} days.")


def _bad_range(field: str, message: str) -> Problem:
    return Problem(
        422,
        "invalid_request",
        "The request is not as this route takes it",
        errors=[{"field": f"query.{field}", "message": message}],
    )
