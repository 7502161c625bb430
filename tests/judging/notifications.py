"""I7, I15, I16: one mail per (event, recipient, channel), none to machines, and none of what is old.

A mail may arrive again where its sender was killed between the provider's accept and the commit. So between
two copies there lies a death of a sender, before which the mail was not committed; and a process has at most
two mails a connection handed over and uncommitted, so that each death repeats no more than those.
"""

import email
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from tests.judging.records import Findings, Published, facts
from tests.judging.site import Letter

CONNECTIONS = 8  # DESKLINE_NOTIFY_SMTP_CONNECTIONS where it is not set
REPEATS_PER_DEATH = 2 * CONNECTIONS
# A file is written before its sender hears of it, and a process is dead a moment after the signal.
BLUR = timedelta(milliseconds=500)


@dataclass(frozen=True)
class Arrival:
    """A copy of a mail and when it came, by the name of its file."""

    message_id: str
    at: datetime


def arrivals(maildir: Path) -> list[Arrival]:
    """What a Maildir holds, in the order of arrival."""
    found: list[Arrival] = []
    for file in sorted((maildir / "new").iterdir()):
        at = datetime.fromtimestamp(int(file.name.split(".")[0]) / 1e9, UTC)
        found.append(Arrival(str(email.message_from_bytes(file.read_bytes())["Message-ID"]).strip(), at))
    return found


def check_repeats(
    findings: Findings, notify: list[Published], arrived: Iterable[Arrival], deaths: Sequence[datetime]
) -> int:
    """Each copy after the first has the death that excuses it, and no death excuses many; copies too many."""
    committed = {f"<{e.data['message_id']}>": e.time for e in facts(notify, "NotificationSent")}
    copies: dict[str, list[datetime]] = defaultdict(list)
    for one in arrived:
        copies[one.message_id].append(one.at)
    repeats: list[tuple[str, list[datetime]]] = []
    for mail, moments in copies.items():
        for before, after in pairwise(sorted(moments)):
            between = [
                death
                for death in deaths
                if before - BLUR <= death <= after + BLUR and death <= committed.get(mail, death) + BLUR
            ]
            findings.check("I7 repeat", bool(between), f"{mail} came at {before} and again at {after}")
            repeats.append((mail, between))
    left = not_excused([one for one in repeats if one[1]])
    findings.check("I7 repeats", not left, f"{len(left)} mails more than deaths excuse came again: {left}")
    return sum(len(moments) - 1 for moments in copies.values())


def not_excused(repeats: Sequence[tuple[str, Sequence[datetime]]]) -> list[str]:
    """Repeated mails that are left when each death, of those a mail was between, excuses so many at most.

    Whose last chance comes first is excused first, so that as many as can be are.
    """
    waiting, left = sorted(repeats, key=lambda one: max(one[1])), []
    room = Counter({death: REPEATS_PER_DEATH for _, deaths in repeats for death in deaths})
    for mail, deaths in waiting:
        free = [death for death in sorted(deaths) if room[death]]
        if free:
            room[free[0]] -= 1
        else:
            left.append(mail)
    return left


def check_quiet(
    findings: Findings, notify: list[Published], new: Iterable[str], known: Collection[str]
) -> None:
    """I16: mails that came after a moment tell of nothing that was known at it; `known` are ids of events."""
    sent = {f"<{e.data['message_id']}>": e.data["event_id"] for e in facts(notify, "NotificationSent")}
    findings.check("I16 known", bool(known), "nothing was known")
    for mail in new:
        told = sent.get(mail)
        findings.check("I16 quiet", told is not None and told not in known, f"{mail} tells of {told}")


def check_notifications(
    findings: Findings,
    notify: list[Published],
    tickets: list[Published],
    letters: Sequence[Letter],
    repeats: int,
) -> None:
    """`repeats`: how many mails may have arrived twice, under one Message-ID, as their sender was killed."""
    sent = facts(notify, "NotificationSent")
    intents = Counter(
        (e.data["event_id"], e.data["recipient"]["kind"], e.data["recipient"]["id"], e.data["channel"])
        for e in sent
    )
    for intent, count in intents.items():
        findings.check("I7 once", count == 1, f"{intent} was sent {count} times")
    announced = {f"<{e.data['message_id']}>" for e in sent}
    arrived = Counter(letter.message_id for letter in letters)
    findings.check("I7 wire", announced == set(arrived), f"{announced ^ set(arrived)}"[:500])
    twice = sum(count - 1 for count in arrived.values())
    findings.check("I7 wire", twice <= repeats, f"{twice} mails arrived again, {repeats} may")
    told = Counter((e.data["event_id"], e.data["kind"]) for e in sent)
    for event in facts(tickets, "TicketOpened"):
        human = event.data["message"]["kind"] == "human" and not event.data["message"]["suppress_auto_reply"]
        count = told[event.id, "acknowledgement"]
        findings.check("I7 acknowledged", count == int(human), f"{event.id} was acknowledged {count} times")
    for event in facts(tickets, "OperatorReplied"):
        count = told[event.id, "reply"]
        findings.check("I7 reply", count == 1, f"reply {event.id} was sent {count} times")
    for event in facts(tickets, "AutomaticMessageAdded"):
        answered = [kind for (one, kind) in told if one == event.id]
        findings.check("I15 loop", not answered, f"{event.id} was answered by {answered}")
