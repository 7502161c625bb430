"""Policies and calendars are put, each time as a new version; the first ones are there from the beginning."""

from dataclasses import dataclass
from typing import ClassVar, Final, Literal
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_events.sla import CalendarChanged, PolicyChanged
from deskline_events.tickets import Actor
from deskline_sla.domain.checking import check_calendar, check_policy
from deskline_sla.domain.defaults import (
    DEFAULT_CALENDAR_ID,
    DEFAULT_POLICY_ID,
    default_calendar,
    default_policy,
)
from deskline_sla.domain.rules import RuleBook
from deskline_sla.ports import ClockDesk, OpenDesk, Recalculation

_FROM_THE_START: Final = UUID(int=0)


class VersionMissing(Exception):  # noqa: N818 -- an answer
    """There is such a policy or calendar, and the caller does not say which version was seen."""

    safe_message: ClassVar[bool] = True


class StaleRule(Exception):  # noqa: N818 -- an answer
    """The caller saw another version; `current` is 0 where there is none."""

    safe_message: ClassVar[bool] = True

    def __init__(self, current: int) -> None:
        super().__init__(f"it is at version {current}")
        self.current = current


@dataclass(frozen=True, slots=True)
class PutRule:
    """A policy or calendar as it is to be; its version is given when it is put.

    `expected` is the version that was seen, None where none was named, `any` where that is no matter.
    """

    rule: PolicyChanged | CalendarChanged
    expected: int | Literal["any"] | None
    apply_to_open: bool
    actor: Actor | None
    cause: Cause


def put_rule(open_desk: OpenDesk, command: PutRule) -> PolicyChanged | CalendarChanged:
    """Keep the next version; raises VersionMissing, StaleRule, RulesRefused."""
    with open_desk() as desk:
        desk.lock()
        book = seeded_book(desk)
        rule = command.rule
        version = _version_of(rule, book)
        _check_version(command.expected, version)
        rule = rule.model_copy(update={"version": version + 1})
        if isinstance(rule, PolicyChanged):
            check_policy(rule, book, desk.now())
        else:
            check_calendar(rule, desk.now())
        change_id, at = desk.put_rules([rule], command.cause)
        if command.apply_to_open:
            desk.plan(
                Recalculation(
                    change_id=change_id,
                    rule_id=rule.policy_id if isinstance(rule, PolicyChanged) else rule.calendar_id,
                    reason="policy" if isinstance(rule, PolicyChanged) else "calendar",
                    at=at,
                    actor=command.actor,
                    cause=command.cause,
                    after=_FROM_THE_START,
                )
            )
        return rule


def seeded_book(desk: ClockDesk) -> RuleBook:
    """All rules, under the log's lock; what is to be there from the beginning is put where it is not."""
    book = desk.book()
    if book.policy(DEFAULT_POLICY_ID) is not None:
        return book
    missing: list[PolicyChanged | CalendarChanged] = []
    if book.calendar(DEFAULT_CALENDAR_ID) is None:
        missing.append(default_calendar())
    missing.append(default_policy())
    desk.put_rules(missing, Cause(DEFAULT_POLICY_ID))
    return book.joined_by(missing)


def seed(open_desk: OpenDesk) -> None:
    """Put what is to be there from the beginning."""
    with open_desk() as desk:
        desk.lock()
        seeded_book(desk)


def _version_of(rule: PolicyChanged | CalendarChanged, book: RuleBook) -> int:
    if isinstance(rule, PolicyChanged):
        return book.current_policies.get(rule.policy_id, 0)
    return book.current_calendars.get(rule.calendar_id, 0)


def _check_version(expected: int | Literal["any"] | None, current: int) -> None:
    if expected == "any" or (expected is None and current == 0):
        return
    if expected is None:
        raise VersionMissing
    if expected != current:
        raise StaleRule(current)
