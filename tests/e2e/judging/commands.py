"""I2: what was answered to a command is in the store, once, and nothing that was not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.e2e.judging.records import Findings, Published, facts, first_occurrences

Json = dict[str, Any]

FACT_OF = {
    "replies": ("OperatorReplied", "reply_id"),
    "notes": ("NoteAdded", "note_id"),
    "accept": ("TicketAccepted", None),
    "decline": ("OfferDeclined", None),
    "stage": ("StageChanged", None),
    "priority": ("PriorityChanged", None),
}


@dataclass(frozen=True)
class Given:
    """A command with its definite answer."""

    ticket_id: str
    what: str
    key: str
    body: Json
    status: int
    answer: Json
    match: str | None = None
    unknown_before: int = field(default=0, compare=False)


def check_commands(findings: Findings, given: Iterable[Given], records: list[Published]) -> None:
    """Each command that was accepted left its fact under the version that it was told."""
    done = [one for one in given if one.status < 300]
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
        findings.check("I2 no other", found == counts[what], f"{found} {name} for {counts[what]} commands")
