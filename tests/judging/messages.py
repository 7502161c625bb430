"""I1: an accepted message has exactly one effect, a message of unknown fate at most one."""

from collections import Counter, defaultdict
from collections.abc import Iterable

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


def check_effects(
    findings: Findings, accepted: Iterable[str], unknown: Iterable[str], effects: dict[str, list[Published]]
) -> None:
    """I1: an accepted mail has exactly one effect, one whose fate is unknown at most one."""
    for mail in accepted:
        count = len(effects.get(mail, []))
        findings.check("I1 accepted", count == 1, f"{mail} has {count} effects")
    for mail in unknown:
        count = len(effects.get(mail, []))
        findings.check("I1 unknown", count <= 1, f"{mail} has {count} effects")
    sources = Counter(event.data["message"]["source_key"] for events in effects.values() for event in events)
    for source, count in sources.items():
        findings.check("I1 source", count == 1, f"{source} has {count} effects")
