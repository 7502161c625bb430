"""Policies, calendars and clocks over HTTP: who may, what is refused, versions and pages."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.sla.tests.kit import LINE, answered, moved, opened
from services.sla.tests.replica import Replica, Tickets, ago

from deskline_local.databases import ServiceDatabase
from deskline_sla.domain.defaults import DEFAULT_CALENDAR_ID, DEFAULT_POLICY_ID
from deskline_sla.handlers.rules import seed

pytestmark = pytest.mark.component

DAY = [{"start": "09:00", "end": "13:00"}, {"start": "14:00", "end": "18:00"}]
OFFICE: dict[str, Any] = {
    "name": "Офис",
    "zone": "Europe/Moscow",
    "week": [DAY, DAY, DAY, DAY, DAY, [], [{"start": "22:00", "end": "24:00"}]],
    "exceptions": [{"day": "2027-01-01"}, {"day": "2027-02-20", "intervals": [{"start": 540, "end": 1020}]}],
}
OURS: dict[str, Any] = {
    "name": "Ours",
    "order": 10,
    "conditions": {"line_ids": [str(LINE)], "tiers": ["gold"]},
    "calendar_id": str(DEFAULT_CALENDAR_ID),
    "targets": [
        {"clock": "first_response", "priority": "medium", "seconds": 1},
        {"clock": "resolution", "priority": "medium", "seconds": 3},
    ],
    "steps": {"resolution": [{"key": "warn", "percent": 50, "recipients": ["assignee", "assignee"]}]},
}


@pytest.fixture
def seeded(sla: Replica) -> Replica:
    seed(sla.desks.open)
    return sla


@pytest.fixture(scope="module")
def refusing(new_base: Callable[[], ServiceDatabase]) -> Iterator[Replica]:
    """One for all that is refused, which leaves nothing behind."""
    made = Replica(new_base())
    seed(made.desks.open)
    yield made
    made.close()


def test_what_is_there_from_the_beginning(seeded: Replica) -> None:
    seed(seeded.desks.open)
    policies = seeded.get("/v1/policies").json()
    assert [one["policy_id"] for one in policies["items"]] == [str(DEFAULT_POLICY_ID)]
    (calendar,) = seeded.get("/v1/calendars").json()["items"]
    assert (calendar["calendar_id"], calendar["always"]) == (str(DEFAULT_CALENDAR_ID), True)
    seconds = {(one["clock"], one["priority"]): one["seconds"] for one in policies["items"][0]["targets"]}
    assert seconds["first_response", "critical"] == 900
    assert seconds["resolution", "low"] == 72 * 3600
    assert len(seeded.rows("SELECT FROM events")) == 2


def test_a_calendar_is_put_and_read_as_it_was_written(seeded: Replica) -> None:
    path = f"/v1/calendars/{uuid4()}"
    put = seeded.put(path, OFFICE)
    assert (put.status_code, put.headers["ETag"], put.json()["version"]) == (201, '"1"', 1)
    read = seeded.get(path, "analyst")
    assert read.headers["ETag"] == '"1"'
    shown = read.json()
    assert shown["week"] == OFFICE["week"]
    assert shown["exceptions"][1]["intervals"] == [{"start": "09:00", "end": "17:00"}]
    assert seeded.put(path, OFFICE | {"name": "Новый"}, seen=1).status_code == 200
    assert seeded.get(path).json()["name"] == "Новый"
    assert seeded.get(path, params={"version": 1}).json()["name"] == "Офис"
    told = seeded.told(UUID(shown["calendar_id"]))
    assert [(name, data["version"]) for name, data in told] == [
        ("CalendarChanged", 1),
        ("CalendarChanged", 2),
    ]


def test_a_policy_gets_a_step_for_the_breach_and_applies_at_once(seeded: Replica, tickets: Tickets) -> None:
    path = f"/v1/policies/{uuid4()}"
    assert seeded.put(path, OURS).status_code == 201
    shown = seeded.get(path).json()
    assert [step["key"] for step in shown["steps"]["resolution"]] == ["warn", "breach"]
    assert shown["steps"]["resolution"][0]["recipients"] == ["assignee"]
    assert [step["key"] for step in shown["steps"]["first_response"]] == ["breach"]
    begin = ago(seconds=30)
    gold, plain = uuid4(), uuid4()
    tickets.say(gold, (opened(begin, tier="gold"), begin))
    tickets.say(plain, (opened(begin), begin))
    seeded.take(tickets)
    clocks = {ticket: seeded.get(f"/v1/tickets/{ticket}/clocks").json()["clocks"] for ticket in (gold, plain)}
    assert {one["policy"] for one in clocks[gold]} == {"Ours"}
    assert {one["policy"] for one in clocks[plain]} == {"Default"}
    assert {one["basis"]["target_seconds"] for one in clocks[gold]} == {1, 3}


def test_a_version_is_to_be_named_and_to_be_the_current_one(seeded: Replica) -> None:
    path = f"/v1/policies/{uuid4()}"
    assert seeded.put(path, OURS, seen=1).status_code == 412
    assert seeded.put(path, OURS).status_code == 201
    missing = seeded.put(path, OURS, headers={"Accept-Language": "ru"})
    assert (missing.status_code, missing.json()["code"]) == (428, "if_match_required")
    assert missing.json()["title"] == "Укажите версию"
    stale = seeded.put(path, OURS, seen=2)
    assert (stale.status_code, stale.json()["current"], stale.headers["ETag"]) == (412, 1, '"1"')
    for wrong in ("*", 'W/"1"', '"0"', "1"):
        assert seeded.put(path, OURS, seen=wrong).json()["code"] == "if_match_malformed"
    assert seeded.get(path).json()["version"] == 1


ROUTES = ("/v1/policies", f"/v1/policies/{DEFAULT_POLICY_ID}", "/v1/calendars", "/v1/tickets/{}/clocks")


def test_who_may_read_and_who_may_put(seeded: Replica, tickets: Tickets) -> None:
    ticket = uuid4()
    tickets.say(ticket, (opened(ago()), ago()))
    seeded.take(tickets)
    for route in (*ROUTES, f"/v1/calendars/{DEFAULT_CALENDAR_ID}"):
        path = route.format(ticket)
        for role in ("operator", "lead", "admin", "analyst"):
            assert seeded.get(path, role).status_code == 200, (path, role)
        for role in ("system", "nobody"):
            refused = seeded.get(path, role)
            assert (refused.status_code, refused.json()["code"]) == (403, "not_permitted")
    for role in ("operator", "lead", "analyst", "system"):
        assert seeded.put(f"/v1/policies/{uuid4()}", OURS, role).status_code == 403
        assert seeded.put(f"/v1/calendars/{uuid4()}", OFFICE, role).status_code == 403
    assert len(seeded.rows("SELECT FROM policies")) == 1


def test_nobody_is_let_in_without_an_identity(seeded: Replica) -> None:
    for path in ("/v1/policies", f"/v1/tickets/{uuid4()}/clocks"):
        answer = seeded.get(path, headers={"Deskline-Identity": "x"})
        assert (answer.status_code, answer.json()["code"]) == (401, "identity_refused")


POLICY_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"targets": OURS["targets"][:1]}, "body.targets"),
    ({"targets": []}, "body.targets"),
    ({"targets": [OURS["targets"][0] | {"seconds": 0}]}, "body.targets.0.seconds"),
    ({"targets": [OURS["targets"][0] | {"seconds": 31_536_001}]}, "body.targets.0.seconds"),
    ({"steps": {"resolution": [{"key": "a"}]}}, "body.steps.resolution.0"),
    ({"steps": {"resolution": [{"key": "a", "percent": 1, "seconds": 1}]}}, "body.steps.resolution.0"),
    ({"steps": {"resolution": [{"key": "a", "percent": 1}] * 2}}, "body.steps.resolution"),
    ({"steps": {"resolution": [{"key": "A b", "percent": 1}]}}, "body.steps.resolution.0.key"),
    ({"steps": {"other": []}}, "body.steps.other.[key]"),
    ({"calendar_id": str(UUID(int=7))}, "body.calendar_id"),
    ({"conditions": {"line_ids": [str(LINE)] * 201}}, "body.conditions.line_ids"),
    ({"conditions": {"colour": ["red"]}}, "body.conditions.colour"),
    ({"colour": "red"}, "body.colour"),
    ({"name": ""}, "body.name"),
    ({"order": -1}, "body.order"),
]


@pytest.mark.parametrize(("change", "field"), POLICY_FAULTS, ids=lambda value: str(value)[:40])
def test_a_policy_that_makes_no_sense_is_refused(
    refusing: Replica, change: dict[str, Any], field: str
) -> None:
    refused = refusing.put(f"/v1/policies/{UUID(int=7)}", OURS | change)
    assert (refused.status_code, refused.json()["code"]) == (422, "invalid_request")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert field in {one["field"] for one in refused.json()["errors"]}
    assert len(refusing.rows("SELECT FROM policies")) == 1


CALENDAR_FAULTS: list[tuple[dict[str, Any], str]] = [
    ({"zone": "Mars/Olympus"}, "body.zone"),
    ({"week": OFFICE["week"][:6]}, "body.week"),
    ({"week": [[]] * 7, "exceptions": []}, "body.week"),
    ({"week": [[{"start": "9:00", "end": "18:00"}]] * 7}, "body.week.0.0.start"),
    ({"week": [[{"start": "09:00", "end": "08:00"}]] + [[]] * 6}, "body.week.0"),
    ({"week": [[{"start": "09:00", "end": "18:00"}] * 2] + [[]] * 6}, "body.week.0"),
    ({"week": [[{"start": "24:00", "end": "25:00"}]] + [[]] * 6}, "body.week.0.0.start"),
    ({"week": [[{"start": "23:00", "end": "48:01"}]] + [[]] * 6}, "body.week.0.0.end"),
    ({"exceptions": [{"day": "2027-01-01"}] * 2}, "body.exceptions"),
    ({"exceptions": [{"day": "2027-02-30"}]}, "body.exceptions.0.day"),
    ({"always": True}, "body.always"),
]


@pytest.mark.parametrize(("change", "field"), CALENDAR_FAULTS, ids=lambda value: str(value)[:40])
def test_a_calendar_that_makes_no_sense_is_refused(
    refusing: Replica, change: dict[str, Any], field: str
) -> None:
    refused = refusing.put(f"/v1/calendars/{UUID(int=7)}", OFFICE | change)
    assert refused.status_code == 422, refused.text
    assert field in {one["field"] for one in refused.json()["errors"]}
    assert len(refusing.rows("SELECT FROM calendars")) == 1


def test_unknown_things_and_queries_are_refused(seeded: Replica) -> None:
    for path, code in (
        (f"/v1/policies/{uuid4()}", "policy_unknown"),
        (f"/v1/policies/{DEFAULT_POLICY_ID}?version=2", "policy_unknown"),
        (f"/v1/calendars/{uuid4()}", "calendar_unknown"),
        (f"/v1/tickets/{uuid4()}/clocks", "ticket_unknown"),
    ):
        answer = seeded.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, code)
    for path in ("/v1/policies?x=1", f"/v1/tickets/{uuid4()}/clocks?x=1", "/v1/calendars?limit=101"):
        assert seeded.get(path).status_code == 422
    put = seeded.put(f"/v1/policies/{uuid4()}?x=1", OURS)
    assert put.status_code == 422


@pytest.mark.parametrize("cursor", ["!", "e30", "bm90aGluZw", "W10", "WyJjYWxlbmRhcnMiLDAsIngiXQ"])
def test_a_cursor_of_nobodys_is_refused(refusing: Replica, cursor: str) -> None:
    answer = refusing.get("/v1/policies", params={"cursor": cursor})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")


def test_pages_give_everything_once_in_order(seeded: Replica) -> None:
    for number in range(5):
        assert seeded.put(f"/v1/policies/{uuid4()}", OURS | {"order": number % 2}).status_code == 201
    orders: list[int] = []
    seen: list[str] = []
    cursor = None
    for _ in range(4):
        page = seeded.get("/v1/policies", params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        orders += [one["order"] for one in page["items"]]
        seen += [one["policy_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert orders == [0, 0, 0, 1, 1, 1_000_000]
    assert len(set(seen)) == 6
    calendars = seeded.get("/v1/policies", params={"limit": 1}).json()["next_cursor"]
    assert seeded.get("/v1/calendars", params={"cursor": calendars}).status_code == 400


def test_a_tickets_clocks_are_shown_with_their_segments_and_steps(seeded: Replica, tickets: Tickets) -> None:
    ticket, begin = uuid4(), ago(hours=3)
    tickets.say(
        ticket,
        (opened(begin), begin),
        (answered(), begin + timedelta(hours=1)),
        (moved("in_progress", "waiting_customer"), begin + timedelta(hours=2)),
    )
    seeded.take(tickets)
    answer = seeded.get(f"/v1/tickets/{ticket}/clocks")
    assert answer.headers["Cache-Control"] == "no-store"
    first, solution = answer.json()["clocks"]
    assert (first["clock"], first["state"], first["elapsed_seconds"]) == ("first_response", "met", 3600)
    assert (solution["state"], solution["elapsed_seconds"], solution["left_seconds"]) == (
        "paused",
        7200,
        22 * 3600,
    )
    assert [(one["kind"], one["business_seconds"]) for one in solution["segments"]] == [
        ("run", 7200),
        ("pause", 0),
    ]
    assert [(one["key"], one["at"]) for one in solution["steps"]] == [("warn", None), ("breach", None)]
    assert json.dumps(answer.json()).count("Принтер") == 0


def test_two_who_put_at_once_do_not_overwrite_one_another(seeded: Replica, other: Replica) -> None:
    path = f"/v1/policies/{uuid4()}"
    seeded.put(path, OURS)
    answers = [replica.put(path, OURS, seen=1).status_code for replica in (seeded, other)]
    assert sorted(answers) == [200, 412]
