"""What is there from the beginning: a policy that matches everything, and a calendar without a pause."""

from typing import Final
from uuid import UUID

from deskline_events.conditions import Conditions
from deskline_events.facts import Priority
from deskline_events.sla import CalendarChanged, ClockName, PolicyChanged, Step, Target
from deskline_sla.domain.rules import BREACH

# Fixed for ever: other services and people's scripts may name them.
DEFAULT_CALENDAR_ID: Final = UUID("00000000-0000-7000-8000-00000000c247")
DEFAULT_POLICY_ID: Final = UUID("00000000-0000-7000-8000-00000000051a")

DEFAULT_ORDER: Final = 1_000_000
"""After every policy that somebody puts without thinking of its place."""

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_TARGETS: Final[dict[ClockName, dict[Priority, int]]] = {
    "first_response": {"low": 8 * _HOUR, "medium": 4 * _HOUR, "high": _HOUR, "critical": 15 * _MINUTE},
    "resolution": {"low": 72 * _HOUR, "medium": 24 * _HOUR, "high": 8 * _HOUR, "critical": 4 * _HOUR},
}
_WARN: Final = Step(key="warn", percent=80, recipients=("assignee", "team_lead"))


def default_calendar() -> CalendarChanged:
    """Every moment is business time."""
    return CalendarChanged(calendar_id=DEFAULT_CALENDAR_ID, version=1, name="24/7", zone="UTC", always=True)


def default_policy() -> PolicyChanged:
    """Matches every ticket, after all other policies."""
    return PolicyChanged(
        policy_id=DEFAULT_POLICY_ID,
        version=1,
        name="Default",
        order=DEFAULT_ORDER,
        conditions=Conditions(),
        calendar_id=DEFAULT_CALENDAR_ID,
        targets=tuple(
            Target(clock=clock, priority=priority, seconds=seconds)
            for clock, by_priority in _TARGETS.items()
            for priority, seconds in by_priority.items()
        ),
        steps={
            "first_response": (_WARN, Step(key=BREACH, seconds=0, recipients=("team_lead",))),
            "resolution": (_WARN, Step(key=BREACH, seconds=0, recipients=("customer", "team_lead"))),
        },
    )
