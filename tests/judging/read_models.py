"""I8: what services keep and show of a ticket is what the topics say, counted anew by rules of our own.

The topics and the tables must be of one moment, at which the system was quiet.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

import psycopg
from psycopg.rows import dict_row
from tests.judging import recounting
from tests.judging.records import Findings, Json, Published, facts

SHOWN = ("version", "stage", "priority", "level", "cycle", "assignee_id", "queue_id", "assignment_no")
KEPT_BY_ROUTING = ("stage", "assignment_no", "queue_id", "assignee_id", "offer_id", "offer_operator_id")

Rows = Mapping[Any, Mapping[str, Any]]


def table(url: str, statement: str, *key: str) -> dict[Any, Json]:
    """What a database has: key columns → row; ids as text."""
    with psycopg.connect(url, row_factory=dict_row) as connection:
        found = [
            {name: str(value) if isinstance(value, UUID) else value for name, value in row.items()}
            for row in connection.execute(statement)
        ]
    return {tuple(row[name] for name in key) if len(key) > 1 else row[key[0]]: row for row in found}


def check_rows(findings: Findings, promise: str, wanted: Rows, found: Rows) -> None:
    """The same keys, and in each row at least what is wanted of it."""
    findings.check(promise, wanted.keys() == found.keys(), f"{set(wanted) ^ set(found)}"[:300])
    for key in wanted.keys() & found.keys():
        other = {
            name: (value, found[key].get(name))
            for name, value in wanted[key].items()
            if found[key].get(name) != value
        }
        findings.check(promise, not other, f"{key}: (counted, kept) {other}")


def check_shown(findings: Findings, tickets: list[Published], shown: Mapping[str, Json]) -> None:
    """Cards as the door shows them."""
    counted = recounting.cards(tickets)
    wanted = {
        stream: {name: getattr(counted[stream], name) for name in SHOWN}
        | {"offer_id": counted[stream].offer_id}
        for stream in shown.keys() & counted.keys()
    }
    found = {
        stream: card | {"offer_id": card["offer"] and card["offer"]["offer_id"]}
        for stream, card in shown.items()
    }
    check_rows(findings, "I8 tickets", wanted, found)


def check_routing(findings: Findings, tickets: list[Published], url: str, shown: Mapping[str, float]) -> None:
    """Routing's tickets, and the load that each operator has by it (as the door shows it)."""
    counted = recounting.cards(tickets)
    wanted = {
        stream: {name: getattr(card, name) for name in KEPT_BY_ROUTING} for stream, card in counted.items()
    }
    check_rows(findings, "I8 routing", wanted, table(url, "SELECT * FROM tickets", "ticket_id"))
    loads = recounting.loads(counted)
    for operator, load in shown.items():
        findings.check(
            "I8 load", loads[operator] == load, f"{operator}: {loads[operator]} is shown as {load}"
        )
    findings.check("I8 load", loads.keys() <= shown.keys(), f"{set(loads) - set(shown)}")


def check_clocks(findings: Findings, topics: Mapping[str, list[Published]], url: str) -> None:
    """Clocks as sla announced them, and as the answers and resolutions of the tickets ask for.

    By calendars that are open all the time, so that a clock is due so many seconds after it began.
    """
    announced = recounting.clocks(topics["sla"])
    wanted: dict[Any, Json] = {
        place: {
            "state": clock.state,
            "generation": clock.generation,
            "due_at": clock.due_at,
            "ended_at": clock.ended_at,
            "breached": clock.breached,
        }
        for place, clock in announced.items()
    }
    statement = "SELECT *, breached_since IS NOT NULL AS breached FROM clocks"
    found = table(url, statement, "ticket_id", "name", "cycle")
    # What stands still is due at no moment; what passed its moment a moment ago will be told of next.
    for place, row in found.items():
        if row["state"] in {"paused", "cancelled"} and place in wanted:
            wanted[place].pop("due_at")
    check_rows(findings, "I8 sla", wanted, found)
    counted = recounting.cards(topics["tickets"])
    resolved = {
        (event.stream, event.data["cycle"]): event.time
        for event in facts(topics["tickets"], "StageChanged")
        if event.data["after"] == "resolved"
    }
    for (stream, name, cycle), row in found.items():
        card = counted[stream]
        answered = card.first_operator_at if name == "first_response" else resolved.get((stream, cycle))
        met = row["ended_at"] if row["state"] == "met" else None
        findings.check("I8 sla met", met == answered, f"{stream} {name} {cycle}: met {met}, was {answered}")
        if name == "first_response" and row["state"] in {"running", "met"}:
            since = card.first_customer_at
            due = None if since is None else since + timedelta(seconds=row["target_seconds"])
            findings.check("I8 sla due", row["due_at"] == due, f"{stream}: due {row['due_at']}, not {due}")


def check_told(findings: Findings, topics: Mapping[str, list[Published]], url: str) -> None:
    """Notify's list: what it announced, and an intent for each fact that somebody must be told of."""
    found = table(url, "SELECT * FROM notifications", "notification_id")
    ended = {key: row for key, row in found.items() if row["state"] in {"sent", "failed"}}
    check_rows(findings, "I8 notify", recounting.told(topics["notify"]), ended)
    intents = {(row["event_id"], row["kind"], row["recipient_id"]) for row in found.values()}
    named = {"TicketOpened": "acknowledgement", "OperatorReplied": "reply", "TicketOffered": "offer"}
    wanted = {
        (
            event.id,
            named[event.name],
            event.data["operator_id" if event.name == "TicketOffered" else "contact_id"],
        )
        for event in facts(topics["tickets"], *named)
    }
    kept = {intent for intent in intents if intent[1] in named.values()}
    findings.check("I8 intents", wanted == kept, f"{wanted ^ kept}"[:300])
    findings.check("I8 intents", len(intents) == len(found), "an intent has two rows")


def check_analytics(findings: Findings, topics: dict[str, list[Published]], url: str) -> None:
    """The analysts' tables."""
    rows = table(url, "SELECT * FROM open_tickets", "ticket_id")
    check_rows(findings, "I8 analytics", recounting.analysts_rows(topics), rows)
    told = table(url, "SELECT * FROM notifications", "notification_id")
    check_rows(findings, "I8 analytics", recounting.told(topics["notify"]), told)
    clocks: Rows = {
        place: {"state": clock.state, "breached": clock.breached, "generation": clock.generation}
        for place, clock in recounting.clocks(topics["sla"]).items()
    }
    outcomes = table(url, "SELECT * FROM sla_outcomes", "ticket_id", "clock", "cycle")
    check_rows(findings, "I8 analytics", clocks, outcomes)
    events: Rows = {
        (event.stream, event.sequence): {"event_id": event.id, "type": event.name, "time": event.time}
        for event in facts(topics["tickets"], *{one.name for one in topics["tickets"]})
        if event.name != "MessageSetAside"
    }
    timeline = table(url, "SELECT * FROM ticket_timeline", "ticket_id", "sequence")
    check_rows(findings, "I8 analytics", events, timeline)
    sums = ", ".join(f"sum({name})::int AS {name}" for name in recounting.flow(topics))
    flow = table(url, f"SELECT 'all' AS rows, {sums} FROM daily_flow", "rows")
    check_rows(findings, "I8 analytics", {"all": recounting.flow(topics)}, flow)
    counted = recounting.work(topics["tickets"])
    sums = ", ".join(f"sum({name})::int AS {name}" for name in recounting.WORK)
    load = table(url, f"SELECT operator_id, {sums} FROM operator_load GROUP BY operator_id", "operator_id")
    check_rows(findings, "I8 analytics", counted, load)
