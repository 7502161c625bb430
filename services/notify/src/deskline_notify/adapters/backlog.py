"""The backlog: what is not finished, and how old it is."""

from collections.abc import Mapping
from dataclasses import dataclass

from deskline_chassis.postgres import Conn


@dataclass(frozen=True, slots=True)
class Backlog:
    """What is not finished."""

    states: Mapping[str, int]
    oldest_seconds: float


def backlog(connection: Conn) -> Backlog:
    """How many notifications are in which unfinished state, and the age of the oldest."""
    rows = connection.execute(
        "SELECT state, count(*), extract(epoch FROM clock_timestamp() - min(created_at))::float8"
        " FROM notifications WHERE state IN ('waiting', 'pending') GROUP BY state"
        " UNION ALL SELECT 'asked', count(*),"
        " extract(epoch FROM clock_timestamp() - min(asked_at))::float8 FROM questions"
    ).fetchall()
    states = {"waiting": 0, "pending": 0, "asked": 0} | {state: number for state, number, _ in rows}
    return Backlog(states, max((age for *_, age in rows if age is not None), default=0.0))
