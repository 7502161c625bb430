"""Each figure of a report equals a naive recount from the facts."""

import statistics
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from services.analytics.tests.door import Door, problem

from deskline_analytics import queries
from deskline_analytics.queries import reports
from deskline_analytics.queries.answering import dicts
from deskline_events.sla import ClockCancelled, ClockMet, ClockPaused, ClockResumed, ClockStarted, SlaBreached

pytestmark = pytest.mark.component

DAYS: dict[str, Any] = {"from": "2026-02-27", "to": "2026-03-20"}
OUTSIDE = {"merged", "spam"}
NOW = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def door(shared_rig: Any, make_story: Any, fill: Any) -> Door:
    if not hasattr(shared_rig, "report_story"):
        story = make_story(31).live(tickets=30, events=1200)
        for stage in ("spam", "abandoned", "spam", "abandoned"):
            ticket_id = story.open()
            story.start_clock(ticket_id, "first_response")
            story.start_clock(ticket_id)
            story.move(ticket_id, stage)
        shared_rig.report_story = fill(shared_rig, story)
    return Door(shared_rig, shared_rig.report_story)


def percentile(values: list[int], share: float) -> float:
    """Linear between neighbours."""
    ordered, place = sorted(values), share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def recount(door: Door, clock: str, zone: str, now: datetime) -> dict[date, dict[str, Any]]:
    """Per due day of the zone, from the facts alone."""
    stages: dict[Any, str] = {}
    clocks: dict[Any, dict[str, Any]] = {}
    for envelope, fact in door.story.events():
        if type(fact).__name__ == "StageChanged":
            stages[envelope.subject] = fact.after
        if getattr(fact, "clock", None) != clock:
            continue
        state = clocks.setdefault((envelope.subject, fact.cycle), {"late": False, "reason": None})
        state["due"] = getattr(fact, "due_at", state.get("due"))
        state["late"] |= isinstance(fact, SlaBreached) or getattr(fact, "breached", False)
        for model, name in (
            (ClockStarted, "running"),
            (ClockPaused, "paused"),
            (ClockResumed, "running"),
            (ClockMet, "met"),
            (ClockCancelled, "cancelled"),
        ):
            if isinstance(fact, model):
                state["state"] = name
        if isinstance(fact, ClockMet):
            state["elapsed"] = fact.elapsed_seconds
        if isinstance(fact, ClockCancelled):
            state["reason"] = fact.reason
    days: dict[date, dict[str, Any]] = {}
    for (ticket_id, _), state in clocks.items():
        if stages.get(ticket_id) in OUTSIDE or state["reason"] in OUTSIDE:
            continue
        day = days.setdefault(
            state["due"].astimezone(ZoneInfo(zone)).date(),
            {"met": 0, "breached": 0, "pending": 0, "elapsed": []},
        )
        overdue = state["state"] == "running" and state["due"] <= now
        abandoned = state["state"] == "cancelled" and "abandoned" in {state["reason"], stages.get(ticket_id)}
        if state["late"] or overdue or abandoned:
            day["breached"] += 1
        elif state["state"] == "met":
            day["met"] += 1
        elif state["state"] in {"running", "paused"}:
            day["pending"] += 1
        if state["state"] == "met":
            day["elapsed"].append(state["elapsed"])
    return days


@pytest.mark.parametrize("clock", ["first_response", "resolution"])
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kathmandu"])
def test_service_levels_equal_a_recount(door: Door, clock: Any, zone: str) -> None:
    expected = recount(door, clock, zone, NOW)
    days = queries.Days(date(2026, 2, 27), date(2026, 3, 20), zone)
    with door.rig.database.transaction() as connection:
        rows = {row["date"]: row for row in queries.sla_report(connection, days, clock, NOW)}
    whole = rows.pop(None)
    assert set(rows) == set(expected)
    for day, row in rows.items():
        counted = expected[day]
        for name in ("met", "breached", "pending"):
            assert row[name] == counted[name], (day, name)
        assert row["n"] == len(counted["elapsed"])
        if counted["elapsed"]:
            assert row["median"] == pytest.approx(statistics.median(counted["elapsed"]))
            assert row["p90"] == pytest.approx(percentile(counted["elapsed"], 0.9))
            assert row["mean"] == pytest.approx(statistics.fmean(counted["elapsed"]))
        else:
            assert row["median"] is row["p90"] is row["mean"] is None
    everything = [seconds for counted in expected.values() for seconds in counted["elapsed"]]
    assert whole["median"] == pytest.approx(statistics.median(everything))
    for name in ("met", "breached", "pending"):
        assert whole[name] == sum(row[name] for row in rows.values())
        assert whole[name] > 0
    overdue = recount(door, clock, zone, NOW + timedelta(days=100))
    assert sum(d["breached"] for d in overdue.values()) > whole["breached"]


def test_the_service_level_report_says_its_days_and_how_fresh_it_is(door: Door) -> None:
    answer = door.get("/v1/reports/sla", "analyst", **DAYS, clock="resolution", zone="Europe/Moscow")
    body = answer.json()
    assert (body["from"], body["to"], body["clock"], body["zone"]) == (
        *DAYS.values(),
        "resolution",
        "Europe/Moscow",
    )
    assert [day["date"] for day in body["days"]][::21] == list(DAYS.values())
    # By the time of this test all that was open is overdue.
    expected = recount(door, "resolution", "Europe/Moscow", datetime.now(UTC))
    for name in ("met", "breached", "pending"):
        assert body["total"][name] == sum(counted[name] for counted in expected.values())
        assert body["total"][name] == sum(day[name] for day in body["days"])
    met, breached = body["total"]["met"], body["total"]["breached"]
    assert body["total"]["compliance"] == pytest.approx(met / (met + breached))
    empty = next(day for day in body["days"] if not day["met"] + day["breached"])
    assert empty["compliance"] is None
    assert empty["elapsed"]["median"] is None
    assert body["as_of"]["sla"]


def test_load_equals_a_recount(door: Door) -> None:
    first, last = date(2026, 3, 1), date(2026, 3, 4)
    kinds = {"TicketOffered": "offered", "TicketAccepted": "accepted", "OfferDeclined": "declined"}
    kinds |= {"OperatorReplied": "replies"}
    expected: Counter[Any] = Counter()
    assignee: dict[Any, Any] = {}
    offers: dict[Any, Any] = {}
    over: dict[Any, bool] = {}
    for envelope, fact in door.story.events():
        kind, ticket = type(fact).__name__, envelope.subject
        told = []
        if kind in kinds:
            told.append((fact.operator_id, kinds[kind]))
        if kind == "OfferEnded" and fact.reason == "timed_out":
            told.append((fact.operator_id, "timed_out"))
        if kind == "StageChanged":
            over[ticket] = fact.after in {"resolved", "closed", "spam", "abandoned"}
            if fact.after == "resolved":
                told.append((fact.actor.id, "resolved"))
        for who, name in told:
            expected[str(who), name] += first <= envelope.time.date() <= last
        if kind in {"TicketAccepted", "TicketUnassigned"}:
            assignee[ticket] = fact.operator_id if kind == "TicketAccepted" else None
        if kind == "TicketOffered":
            offers[ticket] = fact.offer_id, fact.operator_id
        ends = kind in {"OfferDeclined", "OfferEnded", "TicketAccepted"}
        if ends and ticket in offers and offers[ticket][0] == fact.offer_id:
            del offers[ticket]
    expected += Counter(
        (str(who), "open_tickets") for ticket, who in assignee.items() if who and not over.get(ticket)
    )
    expected += Counter((str(who), "open_offers") for _, who in offers.values())
    asked: dict[str, Any] = {"from": str(first), "to": str(last)}
    answer = door.get("/v1/reports/operator-load", "lead", **asked).json()
    counted = {
        (row["operator_id"], name): row[name]
        for row in answer["operators"]
        for name in answer["total"]
        if row[name]
    }
    assert counted == {key: count for key, count in expected.items() if count}
    assert all(answer["total"].values())
    for name, count in answer["total"].items():
        assert count == sum(row[name] for row in answer["operators"])
    assert {row["name"] for row in answer["operators"]} == {f"{door.story.canary} name"}


def test_analysts_see_no_names_and_operators_nobody_else(door: Door) -> None:
    rows = door.get("/v1/reports/operator-load", "analyst", **DAYS).json()["operators"]
    assert len(rows) == 4
    assert all("name" not in row for row in rows)
    me = door.story.operators[0]
    own = door.get("/v1/reports/operator-load", "operator", actor=me, **DAYS).json()
    assert [row["operator_id"] for row in own["operators"]] == [str(me)]


def test_the_decisions_on_a_ticket_are_paged_in_their_order(door: Door) -> None:
    ticket_id = max(
        door.story.courses, key=lambda t: sum(s == t for o, s, _ in door.story.told if o == "routing")
    )
    made = [(e, f) for e, f in door.story.events() if (e.owner, e.subject) == ("routing", ticket_id)]
    assert len(made) > 5
    path, items = f"/v1/tickets/{ticket_id}/routing-decisions", []
    page = door.get(path, limit=2).json()
    items += page["items"]
    while page["next_cursor"] is not None:
        page = door.get(path, limit=2, cursor=page["next_cursor"]).json()
        items += page["items"]
    assert [item["event_id"] for item in items] == [str(e.id) for e, _ in made]
    assert [item["assignment_no"] for item in items] == [f.assignment_no for _, f in made]
    for item, (_, fact) in zip(items, made, strict=True):
        assert item["operator_id"] == (str(fact.operator_id) if hasattr(fact, "operator_id") else None)
        if item["kind"] in {"offered", "nobody"}:
            assert [c["operator_id"] for c in item["candidates"]] == [
                str(c.operator_id) for c in fact.candidates
            ]
    problem(door.get(path, cursor="x"), 400, "bad_cursor")
    other = next(t for t in door.story.tickets if t != ticket_id)
    cursor = door.get(path, limit=1).json()["next_cursor"]
    problem(door.get(f"/v1/tickets/{other}/routing-decisions", cursor=cursor), 400, "bad_cursor")


def test_no_report_reads_what_grows_with_events(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    days, asked = queries.Days(date(2026, 3, 1), date(2026, 3, 2), "UTC"), []

    def noted(connection: Any, query: str, values: Any) -> Any:
        asked.append(query)
        return dicts(connection, query, values)

    monkeypatch.setattr(reports, "dicts", noted)
    with door.rig.database.transaction() as connection:
        queries.sla_report(connection, days, "resolution", NOW)
        queries.operator_load(connection, days.first, days.last)
        queries.daily_flow(connection, days)
    assert len(asked) == 3
    for table in ("ticket_timeline", "ticket_documents", "routing_decisions", "notifications"):
        assert table not in str(asked)
