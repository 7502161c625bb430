"""I1: an accepted message has exactly one effect, one of unknown fate at most one, a refused one none."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping

from tests import witness
from tests.judging.records import Findings, Published, first_occurrences

EFFECTS = {
    "deskline.tickets.TicketOpened.v1",
    "deskline.tickets.CustomerReplied.v1",
    "deskline.tickets.AutomaticMessageAdded.v1",
    "deskline.tickets.MessageSetAside.v1",
}


def effects_by_mail(records: list[Published], keys: dict[str, bytes]) -> dict[str, list[Published]]:
    """Message-ID as the customer wrote it → the events that it had as an effect, each counted once."""
    effects: dict[str, list[Published]] = defaultdict(list)
    for events in first_occurrences(records).values():
        for event in events:
            if event.type not in EFFECTS:
                continue
            sealed = event.data.get("message", {}).get("message_id")
            if sealed is not None:
                written = witness.opened(sealed, event.id, "message.message_id", keys)
                effects[f"<{written.strip('<>')}>"].append(event)
    return effects


def effects_by_source(records: list[Published]) -> dict[str, list[Published]]:
    """Source key of a message → the events that it had as an effect, each counted once."""
    effects: dict[str, list[Published]] = defaultdict(list)
    for events in first_occurrences(records).values():
        for event in events:
            if event.type in EFFECTS:
                effects[event.data.get("message", event.data)["source_key"]].append(event)
    return dict(effects)


def source_of_form(line_id: str, key: str) -> str:
    """The source key of a form, by the line that it was sent to and its client's key."""
    return hashlib.sha256(f"form|{line_id}|{key}".encode()).hexdigest()


def check_effects(
    findings: Findings,
    accepted: Iterable[str],
    unknown: Iterable[str],
    effects: dict[str, list[Published]],
    refused: Iterable[str] = (),
) -> None:
    """I1: an accepted message has exactly one effect, one of unknown fate at most one, a refused one none."""
    for mail in accepted:
        count = len(effects.get(mail, []))
        findings.check("I1 accepted", count == 1, f"{mail} has {count} effects")
    for mail in unknown:
        count = len(effects.get(mail, []))
        findings.check("I1 unknown", count <= 1, f"{mail} has {count} effects")
    for mail in refused:
        count = len(effects.get(mail, []))
        findings.check("I1 refused", count == 0, f"{mail} was refused and has {count} effects")
    sources = Counter(
        event.data.get("message", event.data)["source_key"] for events in effects.values() for event in events
    )
    for source, count in sources.items():
        findings.check("I1 source", count == 1, f"{source} has {count} effects")


def check_deliveries(
    findings: Findings, deliveries: Mapping[str, Collection[str]], records: list[Published]
) -> None:
    """I1: of the deliveries of one message exactly one has an effect, whatever Message-ID others have.

    `deliveries`: message → the ids under which its deliveries were accepted; each event that follows from one
    has its id as its correlation. Only where no call was of unknown fate.
    """
    told = Counter(
        event.headers["ce_correlationid"]
        for events in first_occurrences(records).values()
        for event in events
        if event.type in EFFECTS
    )
    for message, ids in deliveries.items():
        count = sum(told[one] for one in ids)
        findings.check("I1 accepted", count == 1, f"{message}, accepted as {sorted(ids)}: {count} effects")
