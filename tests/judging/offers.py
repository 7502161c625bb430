"""One assignee, one open offer: what tickets announced obeys its own rules, and routing was fair."""

from collections import Counter

from tests.judging.records import Findings, Published, facts, first_occurrences


def check_offers(findings: Findings, tickets: list[Published]) -> Counter[str]:
    """Each offer has one end, no two are open at once; how many offers each operator got.

    In the order of their sequences: a relay may send an event to a topic that was just wiped, before it
    sees the loss and announces all that went before it.
    """
    for stream, events in first_occurrences(tickets).items():
        open_offer: str | None = None
        number = 0
        for event in sorted(events, key=lambda one: one.sequence):
            data = event.data
            if "assignment_no" in data and event.name != "DecisionRefused":
                findings.check("assignment_no", data["assignment_no"] >= number, f"{stream}/{event.sequence}")
                number = data["assignment_no"]
            if event.name == "TicketOffered":
                findings.check("one offer", open_offer is None, f"{stream}/{event.sequence}")
                open_offer = data["offer_id"]
            elif event.name in {"OfferDeclined", "OfferEnded"}:
                findings.check("one offer", open_offer == data["offer_id"], f"{stream}/{event.sequence}")
                open_offer = None
            elif event.name == "TicketAccepted":
                theirs = data["offer_id"] in {open_offer, None}
                findings.check("one offer", theirs, f"{stream}/{event.sequence} accepted another offer")
                if data["offer_id"] is not None:
                    open_offer = None
    return Counter(event.data["operator_id"] for event in facts(tickets, "TicketOffered"))


def check_routed(findings: Findings, tickets: list[Published]) -> None:
    """Every ticket came to a queue."""
    routed = {event.stream for event in facts(tickets, "TicketRouted")}
    for event in facts(tickets, "TicketOpened"):
        findings.check("routed", event.stream in routed, f"{event.stream} stands in no queue")
