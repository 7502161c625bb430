"""I7, I15, I16: one mail per (event, recipient, channel), none to machines, and none of what is old."""

from collections import Counter

from tests.e2e.judging.records import Findings, Published, facts

from deskline_local.mailbox import Letter


def check_notifications(
    findings: Findings, notify: list[Published], tickets: list[Published], letters: list[Letter], repeats: int
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
