"""Rules: the versions of policies and calendars that are known, and which of them measures a clock."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from deskline_events.conditions import Circumstances
from deskline_events.sla import Basis, CalendarChanged, ClockName, PolicyChanged, Step
from deskline_sla.domain.business_time import BusinessTime

CLOCKS: Final[tuple[ClockName, ...]] = ("first_response", "resolution")
BREACH: Final = "breach"

VersionOf = tuple[UUID, int]
"""(id, version) of a policy or a calendar."""


@dataclass(frozen=True, slots=True)
class RuleBook:
    """All that was ever put, and what is current; versions never change."""

    policies: Mapping[VersionOf, PolicyChanged] = field(default_factory=dict)
    calendars: Mapping[VersionOf, BusinessTime] = field(default_factory=dict)
    current_policies: Mapping[UUID, int] = field(default_factory=dict)
    current_calendars: Mapping[UUID, int] = field(default_factory=dict)

    def joined_by(self, put: list[PolicyChanged | CalendarChanged]) -> "RuleBook":
        """The book with these versions, each the newest of its own."""
        policies, calendars = dict(self.policies), dict(self.calendars)
        current_policies, current_calendars = dict(self.current_policies), dict(self.current_calendars)
        for one in put:
            if isinstance(one, PolicyChanged):
                policies[one.policy_id, one.version] = one
                current_policies[one.policy_id] = one.version
            else:
                calendars[one.calendar_id, one.version] = BusinessTime(one)
                current_calendars[one.calendar_id] = one.version
        return RuleBook(policies, calendars, current_policies, current_calendars)

    def policy(self, policy_id: UUID) -> PolicyChanged | None:
        """A policy as it is now."""
        version = self.current_policies.get(policy_id)
        return None if version is None else self.policies[policy_id, version]

    def calendar(self, calendar_id: UUID) -> CalendarChanged | None:
        """A calendar as it is now."""
        version = self.current_calendars.get(calendar_id)
        return None if version is None else self.calendars[calendar_id, version].calendar

    def steps(self, clock: ClockName, basis: Basis) -> tuple[Step, ...]:
        """What is to happen on a clock of this basis."""
        return self.policies[basis.policy_id, basis.policy_version].steps.get(clock, ())

    def choose_basis(self, clock: ClockName, found: Circumstances, held: Basis | None = None) -> Basis | None:
        """By what a clock is measured: the first policy whose conditions hold and that has a target.

        A clock that has a basis keeps the versions of the policy and the calendar that it has: an edit is
        for what begins after it. None: there is no such policy.
        """
        return self._first(clock, found, self._candidates(held), held)

    def renew_basis(self, clock: ClockName, found: Circumstances, held: Basis, rule_id: UUID) -> Basis:
        """The basis of an open clock once an edited policy or calendar is to apply to it too.

        Other edits, which were not to apply to open clocks, have no part in it.
        """
        if rule_id == held.calendar_id:
            return held.model_copy(update={"calendar_version": self.current_calendars[rule_id]})
        edited = self.policy(rule_id)
        if edited is None:
            return held
        among = [edited] if edited.active else []
        if held.policy_id != rule_id:
            among.append(self.policies[held.policy_id, held.policy_version])
        chosen = self._first(clock, found, among, held)
        # What its own policy lets go is chosen anew among all.
        return chosen or self._first(clock, found, self._candidates(None), held) or held

    def _first(
        self, clock: ClockName, found: Circumstances, among: Iterable[PolicyChanged], held: Basis | None
    ) -> Basis | None:
        for policy in sorted(among, key=lambda one: (one.order, one.policy_id)):
            seconds = target_of(policy, clock, found)
            if seconds is not None and not policy.conditions.unmet_by(found):
                calendar_version = self.current_calendars[policy.calendar_id]
                if held is not None and held.calendar_id == policy.calendar_id:
                    calendar_version = held.calendar_version
                return Basis(
                    policy_id=policy.policy_id,
                    policy_version=policy.version,
                    calendar_id=policy.calendar_id,
                    calendar_version=calendar_version,
                    target_seconds=seconds,
                )
        return None

    def _candidates(self, held: Basis | None) -> Iterator[PolicyChanged]:
        for policy_id, version in self.current_policies.items():
            if held is not None and policy_id == held.policy_id:
                yield self.policies[policy_id, held.policy_version]
            elif self.policies[policy_id, version].active:
                yield self.policies[policy_id, version]


def target_of(policy: PolicyChanged, clock: ClockName, found: Circumstances) -> int | None:
    """Business seconds of a clock under a policy; None where the policy has no target for it."""
    for target in policy.targets:
        if (target.clock, target.priority) == (clock, found.priority):
            return target.seconds
    return None
