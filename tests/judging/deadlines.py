"""I6: a step of a clock fires once, never early, and no breach for an answer that was committed in time."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.judging.records import Findings, Published, facts

HEALTHY = timedelta(seconds=2)
RECOVERED = timedelta(seconds=5)

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


@dataclass(frozen=True)
class Calm:
    """A stretch in which nothing was disturbed, from the moment on at which everything had recovered."""

    begin: datetime
    end: datetime


def undisturbed(calms: Sequence[Calm], deaths: Iterable[datetime]) -> list[Calm]:
    """What is left of them without deaths, and without the time that recovering from each may take.

    A process that is armed dies whenever it comes to its crash point, however calm it is by then.
    """
    left: list[Calm] = []
    died = sorted(deaths)
    for calm in calms:
        begin = calm.begin
        for death in died:
            if begin <= death + RECOVERED and death < calm.end:
                if death > begin:
                    left.append(Calm(begin, death))
                begin = max(begin, death + RECOVERED)
        if begin < calm.end:
            left.append(Calm(begin, calm.end))
    return left


def check_punctual(findings: Findings, sla: list[Published], calms: Sequence[Calm]) -> dict[str, float]:
    """Due in a calm it fires within 2 s, due before that within 5 s of the recovery; the latest of each.

    What came to a calm that was too short to wait for it is asked of the next one.
    """
    latest = {"I6 in 2 s": 0.0, "I6 in 5 s": 0.0}
    for event in facts(sla, "SlaWarned", "SlaBreached"):
        due = moment(event.data["step_due_at"])
        for calm in calms:
            promise, within = ("I6 in 2 s", HEALTHY) if calm.begin <= due else ("I6 in 5 s", RECOVERED)
            since = max(due, calm.begin)
            if since + within > calm.end:
                continue
            after = event.time - since
            findings.check(promise, after <= within, f"{event.stream} {event.id} after {after}, due {due}")
            latest[promise] = max(latest[promise], after.total_seconds())
            break
    return latest


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
