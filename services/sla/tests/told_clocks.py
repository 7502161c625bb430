"""Clocks that ran or stood still as told, by rules that count every hour: four hours for the solution."""

from dataclasses import replace
from typing import Any

from services.sla.tests.kit import CALENDAR, POLICY, after, book, office, policy

from deskline_events.sla import Basis
from deskline_sla.domain.clock import Clock, Segment

RULES = book(office(always=True, week=()), policy(resolution=4 * 3600, first_response=3600))
FIRST = Basis(
    policy_id=POLICY, policy_version=1, calendar_id=CALENDAR, calendar_version=1, target_seconds=3600
)
SOLUTION = FIRST.model_copy(update={"target_seconds": 4 * 3600})


def run(reason: Any, since: float, until: float | None = None) -> Segment:
    return Segment("run", reason, after(since), None if until is None else after(until), CALENDAR, 1)


def pause(since: float, until: float | None = None) -> Segment:
    end = None if until is None else after(until)
    return Segment("pause", "waiting_customer", after(since), end, CALENDAR, 1)


def running(**more: Any) -> Clock:
    clock = Clock("resolution", 1, 1, "running", SOLUTION, after(4), (run("opened", 0),))
    return replace(clock, **more)
