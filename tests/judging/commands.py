"""I2: what was answered to a command is in the store, once, and nothing that was not.

A command is known by its id, which tickets derives from who gave it and its key: the events of a command name
it as their cause. One that was refused has none, one of unknown fate has been done once or not at all.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal
from uuid import UUID, uuid5

from tests.judging.records import Findings, Published, facts, first_occurrences

Json = dict[str, Any]

FACT_OF = {
    "replies": ("OperatorReplied", "reply_id"),
    "notes": ("NoteAdded", "note_id"),
    "accept": ("TicketAccepted", None),
    "decline": ("OfferDeclined", None),
    "stage": ("StageChanged", None),
    "priority": ("PriorityChanged", None),
}
COMMANDS = UUID("b3a1c7de-52a4-5f0e-8d39-3a4f60c1d7b2")


@dataclass(frozen=True)
class Given:
    """A command with its answer, definite or (status 0) none; `actor` is who gave it."""

    ticket_id: str
    what: str
    key: str
    body: Json
    status: int
    answer: Json
    match: str | None = None
    unknown_before: int = field(default=0, compare=False)
    actor: str | None = None

    @property
    def outcome(self) -> Literal["ok", "fail", "info"]:
        """What its sender knows of it."""
        if self.status == 0:
            return "info"
        return "ok" if self.status < 300 else "fail"

    @property
    def id(self) -> str:
        """What its events name as their cause."""
        return str(uuid5(COMMANDS, f"command|{self.actor}|{self.key}"))


def check_commands(findings: Findings, given: Iterable[Given], records: list[Published]) -> None:
    """Each command that was accepted left its fact under the version that it was told."""
    given = list(given)
    done = [one for one in given if one.outcome == "ok"]
    maybe = Counter(one.what for one in given if one.outcome == "info")
    streams = first_occurrences(records)
    for one in done:
        name, key = FACT_OF[one.what]
        upto = [event for event in streams.get(one.ticket_id, []) if event.sequence <= one.answer["version"]]
        named = [event for event in upto if event.name == name]
        if key is not None:
            named = [event for event in named if event.data[key] == one.answer[key]]
            findings.check("I2 kept", len(named) == 1, f"{one.what} {one.key}: {len(named)} facts")
        else:
            findings.check("I2 kept", bool(named), f"{one.what} {one.key}: no fact")
    # Declining an offer again, under another key, is quiet: it is declined already.
    counts = Counter(what for what, _ in {(one.what, one.body.get("offer_id", one.key)) for one in done})
    for what in ("replies", "notes", "decline"):
        name, _ = FACT_OF[what]
        found = len(facts(records, name))
        most = counts[what] + maybe[what]
        findings.check(
            "I2 no other",
            counts[what] <= found <= most,
            f"{found} {name} for {counts[what]} to {most} commands",
        )
    _check_caused(findings, [one for one in given if one.actor is not None], records)


def _check_caused(findings: Findings, given: list[Given], records: list[Published]) -> None:
    caused: dict[str, list[Published]] = defaultdict(list)
    for events in first_occurrences(records).values():
        for event in events:
            caused[event.headers.get("ce_causationid", "")].append(event)
    for one in given:
        events = caused[one.id]
        if one.outcome == "fail":
            findings.check("I2 refused", not events, f"{one.what} {one.key} was refused: {len(events)} facts")
            continue
        named = [event for event in events if event.name == FACT_OF[one.what][0]]
        findings.check("I2 once", len(named) <= 1, f"{one.what} {one.key} has {len(named)} facts")
        at_home = all(event.stream == one.ticket_id for event in events)
        findings.check("I2 once", at_home, f"{one.what} {one.key} has facts elsewhere")
    commands = {one.id for one in given if one.outcome != "fail"}
    people = {one.actor for one in given}
    for event in facts(records, *(name for name, _ in FACT_OF.values())):
        if _author(event) in people:
            known = event.headers.get("ce_causationid") in commands
            findings.check("I2 no other", known, f"{event.name} {event.id}: nobody asked for it")


def _author(event: Published) -> str | None:
    if "actor" in event.data:
        author: str | None = event.data["actor"]["id"]
        return author
    operator: str = event.data["operator_id"]
    return operator
