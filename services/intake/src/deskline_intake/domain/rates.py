"""How often something may happen: never more than a number of times within any window of time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `limit` times in any span of `window`, wherever it begins."""

    limit: int
    window: timedelta


def recent(hits: Sequence[datetime], now: datetime, rate: Rate) -> list[datetime]:
    """Those of the hits that still count."""
    return [hit for hit in hits if now - hit < rate.window]


def wait_for(hits: Sequence[datetime], now: datetime, rate: Rate) -> timedelta:
    """How long until once more is allowed; zero: now."""
    counted = sorted(recent(hits, now, rate))
    if len(counted) < rate.limit:
        return timedelta()
    return counted[len(counted) - rate.limit] + rate.window - now
