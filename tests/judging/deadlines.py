"""I6: a step of a clock fires once, never early, and no breach for an answer that was committed in time."""

from collections import Counter, defaultdict
from datetime import datetime

from tests.judging.records import Findings, Published, facts

Place = tuple[str, str, int]


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def check_firings(findings: Findings, sla: list[Published], tickets: list[Published]) -> list[float]:
    """Seconds by which each firing came after its moment."""
    fired = facts(sla, "SlaWarned", "SlaBreached")
    named = ("clock", "cycle", "step", "generation")
    keys = Counter((event.stream, *(event.data[name] for name in named)) for event in fired)
    for key, count in keys.items():
        findings.check("I6 once", count == 1, f"{key} fired {count} times")
    breached = Counter(
        (e.stream, e.data["clock"], e.data["cycle"])
        for e in fired
        if (e.name, e.data["step"]) == ("SlaBreached", "breach")
    )
    for place, count in breached.items():
        findings.check("I6 one breach", count == 1, f"{place} was breached {count} times")
    late: list[float] = []
    for event in fired:
        after = (event.time - moment(event.data["step_due_at"])).total_seconds()
        findings.check("I6 not early", after >= 0, f"{event.stream}: {after} s")
        late.append(after)
    _check_answered(findings, fired, tickets)
    return sorted(late)


def _check_answered(findings: Findings, fired: list[Published], tickets: list[Published]) -> None:
    answered: dict[str, datetime] = {}
    for event in facts(tickets, "OperatorReplied"):
        answered[event.stream] = min(event.time, answered.get(event.stream, event.time))
    for event in fired:
        if event.data["clock"] != "first_response" or event.name != "SlaBreached":
            continue
        at = answered.get(event.stream)
        in_time = at is not None and at <= moment(event.data["due_at"])
        findings.check("I6 no false breach", not in_time, f"{event.stream} was answered at {at}")


def check_all_fired(findings: Findings, sla: list[Published], now: datetime) -> int:
    """A clock whose moment is over was met in time, breached, paused, recalculated or cancelled; how many."""
    ended: dict[Place, set[str]] = defaultdict(set)
    for event in facts(sla, "ClockMet", "SlaBreached", "ClockCancelled", "ClockPaused"):
        ended[event.stream, event.data["clock"], event.data["cycle"]].add(event.name)
    due: dict[Place, datetime] = {}
    for event in sorted(
        facts(sla, "ClockStarted", "ClockResumed", "SlaRecalculated"), key=lambda one: one.sequence
    ):
        due[event.stream, event.data["clock"], event.data["cycle"]] = moment(event.data["due_at"])
    over = [place for place, at in due.items() if at < now]
    for place in over:
        findings.check("I6 all fired", bool(ended[place]), f"{place} was due at {due[place]}")
    return len(over)
