"""I5: each record had its effect once and in its order, and positions stand where the topics end.

An effect names its cause (`ce_causationid`). A record that was applied twice would have caused the same
twice; one whose position was kept without its effect would have caused nothing and be known as applied.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

import psycopg
from tests.judging.records import Findings, Json, Published, first_occurrences

Topics = Mapping[str, list[Published]]

# What tells apart several effects of one kind that one record has on one ticket.
APART = ("clock", "cycle", "step", "generation", "recipient")
# These follow from the clock, or from what an operator does, after the record that they name.
LATER = {"SlaWarned", "SlaBreached", "OfferWithdrawn"}
# Which fact of a reader answers which fact of another owner, whatever it decides.
ANSWERS = {
    ("intake", "MessageReceived"): (
        "tickets",
        {"TicketOpened", "CustomerReplied", "AutomaticMessageAdded", "MessageSetAside"},
    ),
    ("routing", "TicketQueued"): ("tickets", {"TicketRouted", "DecisionRefused"}),
    ("routing", "OfferMade"): ("tickets", {"TicketOffered", "DecisionRefused"}),
    ("routing", "OfferWithdrawn"): ("tickets", {"OfferEnded", "DecisionRefused"}),
    ("routing", "AssignmentWithdrawn"): ("tickets", {"TicketUnassigned", "DecisionRefused"}),
    ("tickets", "TicketOpened"): ("routing", {"TicketQueued"}),
}


@dataclass(frozen=True)
class Applied:
    """How far a reader says that it is: the end of its work by partition, and the last sequence by stream."""

    positions: Mapping[tuple[str, int], int]
    streams: Mapping[tuple[str, str], int]
    undone: int

    @classmethod
    def of(cls, url: str, reader: str) -> "Applied":
        """As the reader's database has it."""
        with psycopg.connect(url) as connection:
            positions = connection.execute(
                "SELECT topic, partition, next_offset FROM positions WHERE reader = %s", (reader,)
            ).fetchall()
            streams = connection.execute(
                "SELECT owner, subject::text, sequence FROM reader_streams WHERE reader = %s AND NOT parked",
                (reader,),
            ).fetchall()
            waiting = connection.execute(
                "SELECT count(*) FROM waiting_records WHERE reader = %s", (reader,)
            ).fetchall()
        return cls(
            {(topic, partition): offset for topic, partition, offset in positions},
            {(owner, stream): sequence for owner, stream, sequence in streams},
            waiting[0][0],
        )

    def without(self, streams: Collection[tuple[str, str]]) -> "Applied":
        """As if these streams were not there."""
        left = {place: last for place, last in self.streams.items() if place not in streams}
        return replace(self, streams=left)


def check_positions(
    findings: Findings,
    reader: str,
    applied: Applied,
    topics: Topics,
    ends: Mapping[tuple[str, int], int],
) -> None:
    """A quiet reader stands at the end of each partition, with each stream at its last sequence."""
    owners = {f"deskline.{owner}.events": owner for owner in topics}
    for place, end in ends.items():
        if place[0] in owners:
            at = applied.positions.get(place, 0)
            findings.check("I5 position", at == end, f"{reader} {place}: at {at}, the end is {end}")
    wanted = {
        (owner, stream): max(event.sequence for event in events)
        for owner, records in topics.items()
        for stream, events in first_occurrences(records).items()
    }
    known = {place: sequence for place, sequence in applied.streams.items() if place[0] in topics}
    findings.check(
        "I5 streams", known == wanted, f"{reader}: {set(known.items()) ^ set(wanted.items())}"[:300]
    )
    findings.check("I5 waiting", applied.undone == 0, f"{reader}: {applied.undone} records wait")


def check_effects_once(findings: Findings, topics: Topics) -> int:
    """No record caused the same twice, and what must be answered was, once; how many effects there are."""
    causes = {event.id: event for _, event in _events(topics)}
    effects = [
        (owner, event) for owner, event in _events(topics) if event.headers.get("ce_causationid") in causes
    ]
    counts = Counter(_effect(owner, event) for owner, event in effects)
    for effect, count in counts.items():
        findings.check("I5 once", count == 1, f"{effect} {count} times")
    answered: dict[tuple[str, str], int] = Counter()
    for owner, event in effects:
        answered[event.headers["ce_causationid"], owner] += _is_answer(causes, owner, event)
    for owner, event in _events(topics):
        if (owner, event.name) in ANSWERS:
            reader, _ = ANSWERS[owner, event.name]
            count = answered[event.id, reader]
            findings.check("I5 answered", count == 1, f"{event.name} {event.id} has {count} answers")
    return len(effects)


def check_effects_in_order(findings: Findings, topics: Topics) -> None:
    """What a reader made of a stream stands in the order of that stream."""
    causes = {event.id: (owner, event) for owner, event in _events(topics)}
    for reader, records in topics.items():
        for stream, events in first_occurrences(records).items():
            last: dict[tuple[str, ...], int] = defaultdict(int)
            for event in sorted(events, key=lambda one: one.sequence):
                cause = causes.get(event.headers.get("ce_causationid", ""))
                if cause is None or event.name in LATER or cause[0] == reader:
                    continue
                # Mails go out side by side; one recipient gets theirs in order.
                recipient = event.data["recipient"]["id"] if "recipient" in event.data else ""
                place = cause[0], cause[1].stream, recipient
                in_order = last[place] <= cause[1].sequence
                findings.check("I5 order", in_order, f"{reader} {stream}/{event.sequence} {event.name}")
                last[place] = cause[1].sequence


def repeats(topics: Topics) -> int:
    """How many records were announced again: without any, nothing was redelivered."""
    return sum(len(records) - len({record.id for record in records}) for records in topics.values())


def _events(topics: Topics) -> Iterable[tuple[str, Published]]:
    for owner, records in topics.items():
        for events in first_occurrences(records).values():
            for event in events:
                yield owner, event


def _effect(owner: str, event: Published) -> tuple[object, ...]:
    data: Json = event.data
    apart = tuple(str(data[name]) for name in APART if name in data)
    return owner, event.stream, event.headers["ce_causationid"], event.name, *apart


def _is_answer(causes: Mapping[str, Published], owner: str, event: Published) -> bool:
    cause = causes[event.headers["ce_causationid"]]
    by = cause.headers["ce_source"].rpartition("/")[2]
    reader, names = ANSWERS.get((by, cause.name), ("", set()))
    return owner == reader and event.name in names
