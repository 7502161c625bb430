"""Lists, one ticket, timelines and the flow report by HTTP, for those whose roles allow it."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.analytics.tests.door import Door, problem

from deskline_analytics.consumer import OWNERS
from deskline_analytics.domain.models import MODELS

pytestmark = pytest.mark.component


@pytest.fixture
def door(shared_rig: Any, make_story: Any, fill: Any) -> Door:
    if not hasattr(shared_rig, "api_story"):
        shared_rig.api_story = fill(shared_rig, make_story(11).live(tickets=25, events=200))
    return Door(shared_rig, shared_rig.api_story)


FILTERS = st.fixed_dictionaries(
    {},
    optional={
        "stage": st.sampled_from(["new", "in_progress", "resolved", "closed"]),
        "priority": st.sampled_from(["low", "medium", "critical"]),
        "open": st.booleans(),
        "line": st.integers(0, 1),
        "level": st.integers(1, 3),
        "queue": st.integers(0, 1),
        "team": st.integers(0, 1),
        "assignee": st.integers(0, 3),
        "from": st.integers(0, 25),
        "to": st.integers(0, 25),
    },
)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(wanted=FILTERS, limit=st.integers(1, 12))
def test_pages_together_are_the_whole_list(door: Door, wanted: dict[str, Any], limit: int) -> None:
    opened = [row[0] for row in door.rig.ask("SELECT opened_at FROM open_tickets ORDER BY opened_at")]
    assert None not in opened
    filters: dict[str, Any] = {
        name: wanted[name] for name in ("stage", "priority", "open", "level") if name in wanted
    }
    if "line" in wanted:
        filters["line_id"] = str(door.story.lines[wanted["line"]].line_id)
    for name, known in (("queue", "queues"), ("team", "teams"), ("assignee", "operators")):
        if name in wanted:
            filters[f"{name}_id"] = str(getattr(door.story, known)[wanted[name]])
    for bound in ("from", "to"):
        if bound in wanted:
            moment = opened[min(wanted[bound], len(opened) - 1)]
            filters[f"opened_{bound}"] = moment.astimezone(UTC).isoformat()
    items = door.whole(limit, **filters)
    rows = door.rig.ask(
        "SELECT ticket_id::text, stage, priority, open, line_id::text, opened_at, level, queue_id::text,"
        " team_id::text, assignee_id::text FROM open_tickets WHERE number IS NOT NULL"
    )
    expected = [
        row
        for row in sorted(rows, key=lambda row: (row[5], row[0]))
        if filters.get("stage") in {None, row[1]}
        and filters.get("priority") in {None, row[2]}
        and filters.get("open") in {None, row[3]}
        and filters.get("line_id") in {None, row[4]}
        and filters.get("level") in {None, row[6]}
        and filters.get("queue_id") in {None, row[7]}
        and filters.get("team_id") in {None, row[8]}
        and filters.get("assignee_id") in {None, row[9]}
        and row[5] >= datetime.fromisoformat(filters.get("opened_from", "0001-01-01T00:00:00+00:00"))
        and row[5] < datetime.fromisoformat(filters.get("opened_to", "9999-01-01T00:00:00+00:00"))
    ]
    assert [item["ticket_id"] for item in items] == [row[0] for row in expected]


def test_the_list_without_filters_holds_all_and_says_how_fresh_it_is(door: Door) -> None:
    answer = door.get("/v1/tickets", limit=100).json()
    assert len(answer["items"]) == len(door.story.tickets)
    assert answer["next_cursor"] is None
    fresh = dict(door.rig.ask("SELECT owner, as_of FROM freshness"))
    assert {o: datetime.fromisoformat(t) for o, t in answer["as_of"].items()} == fresh
    assert set(fresh) == set(OWNERS)


def test_equal_times_of_opening_lose_nobody(door: Door) -> None:
    door.rig.as_owner("UPDATE open_tickets SET opened_at = '2026-03-01T09:00:00Z'")
    # The index would give the right order by itself; here the query has to ask for it.
    door.rig.as_owner("DROP INDEX open_tickets_opened")
    try:
        found = [item["ticket_id"] for item in door.whole(4)]
    finally:
        del door.rig.api_story
    assert sorted(found) == found
    assert len(found) == len(door.story.tickets)


@pytest.mark.parametrize("cursor", ["", "x", "AAAA", "é" * 10, "A" * 52, "A" * 5000])
def test_a_bad_cursor_is_told_what_to_do(door: Door, cursor: str) -> None:
    body = problem(door.get("/v1/tickets", cursor=cursor), 400, "bad_cursor")
    assert "next_cursor" in body["detail"]


def test_a_cursor_is_bound_to_its_filters(door: Door) -> None:
    cursor = door.get("/v1/tickets", limit=2).json()["next_cursor"]
    problem(door.get("/v1/tickets", limit=2, cursor=cursor, open=True), 400, "bad_cursor")
    assert door.get("/v1/tickets", limit=7, cursor=cursor).status_code == 200


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/v1/tickets", {"colour": "red"}),
        ("/v1/tickets", {"limit": 101}),
        ("/v1/tickets", {"limit": 0}),
        ("/v1/tickets", {"stage": "lost"}),
        ("/v1/tickets", {"number": 2**63}),
        ("/v1/tickets", {"opened_from": "2026-03-01T09:00:00"}),
        ("/v1/tickets", {"line_id": "x"}),
        ("/v1/tickets/by-number/x", {}),
        ("/v1/tickets/by-number/0", {}),
        ("/v1/tickets/by-number/7", {"more": 1}),
        ("/v1/tickets/x/timeline", {}),
        (f"/v1/tickets/{UUID(int=5)}/timeline", {"limit": 1001}),
        ("/v1/tickets", {"level": 4}),
        ("/v1/tickets", {"min_version": "7"}),
        ("/v1/tickets", {"min_version": f"{UUID(int=1)}:0"}),
        (f"/v1/tickets/{UUID(int=4)}/routing-decisions", {"limit": 101}),
        ("/v1/reports/sla", {"from": "2026-03-01", "to": "2026-03-01"}),
        ("/v1/reports/sla", {"from": "2026-03-01", "to": "2026-03-01", "clock": "level"}),
        ("/v1/reports/operator-load", {"from": "2026-03-01", "to": "2026-03-01", "zone": "UTC"}),
        ("/v1/reports/operator-load", {"from": "2026-03-02", "to": "2026-03-01"}),
        ("/v1/reports/daily-flow", {"to": "2026-03-01"}),
        ("/v1/reports/daily-flow", {"from": "2026-03-02", "to": "2026-03-01"}),
        ("/v1/reports/daily-flow", {"from": "2025-01-01", "to": "2026-03-01"}),
        ("/v1/reports/daily-flow", {"from": "9999-12-31", "to": "9999-12-31"}),
        ("/v1/reports/daily-flow", {"from": "2026-03-01", "to": "2026-03-01", "zone": "Mars/Base"}),
        ("/v1/reports/daily-flow", {"from": "2026-03-01", "to": "2026-03-01", "zone": "foo+3"}),
        ("/v1/reports/daily-flow", {"from": "2026-03-01", "to": "2026-03-01", "zone": "a\x00b"}),
    ],
)
def test_what_a_route_does_not_take_is_refused(door: Door, path: str, parameters: dict[str, Any]) -> None:
    assert problem(door.get(path, **parameters), 422, "invalid_request")["errors"]


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tickets",
        "/v1/tickets/by-number/1000",
        f"/v1/tickets/{UUID(int=3)}/timeline",
        f"/v1/tickets/{UUID(int=3)}/routing-decisions",
        "/v1/reports/daily-flow?from=2026-03-01&to=2026-03-01",
        "/v1/reports/sla?from=2026-03-01&to=2026-03-01&clock=resolution",
        "/v1/reports/operator-load?from=2026-03-01&to=2026-03-01",
    ],
)
def test_who_may_not_read_gets_nothing(door: Door, path: str) -> None:
    problem(door.get(path, role=None), 401, "identity_refused")
    problem(door.get(path, role="system"), 403, "not_permitted")


@pytest.mark.parametrize("role", ["operator", "lead", "admin", "analyst"])
def test_analysts_see_no_subject(door: Door, role: str) -> None:
    number = next(iter(door.story.tickets.values())).number
    one = door.get(f"/v1/tickets/by-number/{number}", role=role).json()["ticket"]
    listed = door.get("/v1/tickets", role=role).json()["items"][0]
    assert one["number"] == number
    assert ("subject" in one) == ("subject" in listed) == (role != "analyst")


def test_a_number_finds_its_ticket_or_says_how_fresh_the_answer_is(door: Door) -> None:
    ticket_id, opened = next(iter(door.story.tickets.items()))
    found = door.get(f"/v1/tickets/by-number/{opened.number}").json()["ticket"]
    assert (found["ticket_id"], found["subject"]) == (str(ticket_id), opened.subject)
    assert problem(door.get("/v1/tickets/by-number/987654"), 404, "ticket_unknown")["as_of"]["tickets"]


def test_a_timeline_tells_each_event_once_in_order(door: Door) -> None:
    ticket_id = max(door.story.tickets, key=lambda t: sum(stream == t for _, stream, _ in door.story.told))
    events = [(e, f) for e, f in door.story.events() if (e.owner, e.subject) == ("tickets", ticket_id)]
    assert len(events) > 5
    told: list[dict[str, Any]] = []
    after: int | None = 0
    while after is not None:
        page = door.get(f"/v1/tickets/{ticket_id}/timeline", after=after, limit=3).json()
        told, after = told + page["events"], page["next_after"]
    assert [(e["sequence"], e["event_id"], e["type"]) for e in told] == [
        (e.sequence, str(e.id), type(f).__name__) for e, f in events
    ]
    assert [e["causation_id"] for e in told] == [str(e.causation_id) for e, _ in events]
    assert door.story.canary not in str(told)
    problem(door.get(f"/v1/tickets/{uuid4()}/timeline"), 404, "ticket_unknown")


@pytest.mark.parametrize(
    ("zone", "hours"),
    [("UTC", 0), ("Europe/Moscow", 3), ("Asia/Kathmandu", 5.75), ("America/St_Johns", -3.5)],
)
def test_the_flow_of_a_day_is_the_flow_of_that_zones_day(door: Door, zone: str, hours: float) -> None:
    # No zone here changes its clocks on these days.
    shift = timedelta(hours=hours)
    expected: Counter[tuple[str, str]] = Counter()
    for envelope, fact in door.story.events():
        kind = type(fact).__name__
        if kind == "MessageReceived":
            expected[str((fact.received_at + shift).date()), "received"] += 1
        elif kind == "TicketOpened":
            expected[str((envelope.time + shift).date()), "opened"] += 1
        elif kind == "OperatorReplied":
            expected[str((envelope.time + shift).date()), "operator_replies"] += 1
    asked: dict[str, Any] = {"from": "2026-02-27", "to": "2026-03-05", "zone": zone}
    answer = door.get("/v1/reports/daily-flow", **asked).json()
    assert [day["date"] for day in answer["days"]][0::6] == ["2026-02-27", "2026-03-05"]
    for day in answer["days"]:
        for name in ("received", "opened", "operator_replies"):
            assert day["total"][name] == expected[day["date"], name]
            assert day["total"][name] == sum(line[name] for line in day["lines"])
    assert answer["total"]["opened"] == len(door.story.tickets)
    assert answer["as_of"]["intake"]


def test_an_empty_database_answers(door: Door) -> None:
    for model in MODELS:
        door.rig.as_owner(f"DELETE FROM {model}")
    del door.rig.api_story
    answer = door.get("/v1/tickets").json()
    assert answer == {"items": [], "next_cursor": None, "as_of": dict.fromkeys(OWNERS)}
