"""Routing over HTTP: who may what, versions, pages, what is shown to whom, and what is refused."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from deskline_chassis.cursors import write_cursor
from deskline_routing.domain.ids import FALLBACK_QUEUE

pytestmark = pytest.mark.component
Play = Callable[[], None]

OPERATOR = {"name": "Ольга", "address": "olga@staff.example", "capacity": 3, "skills": ["b", "a", "a"]}
QUEUE = {"name": "First line", "order": 1, "conditions": {"levels": [1]}}


def test_an_operator_is_put_and_read_and_changed(bureau: Any, door: Any) -> None:
    team = bureau.team()
    path = f"/v1/operators/{uuid4()}"
    made = door.put(path, OPERATOR | {"team_ids": [str(team)]})
    assert (made.status_code, made.headers["ETag"], made.headers["Cache-Control"]) == (200, '"1"', "no-store")
    assert made.json() == {
        "operator_id": path.rpartition("/")[2],
        "version": 1,
        "name": "Ольга",
        "address": "olga@staff.example",
        "language": "ru",
        "employed": True,
        "team_ids": [str(team)],
        "skills": ["a", "b"],
        "capacity": 3.0,
        "presence": "offline",
        "load": 0.0,
        "last_offered_at": None,
    }
    body = OPERATOR | {"name": "Ольга П."}
    assert door.put(path, body).json()["code"] == "if_match_required"
    stale = door.put(path, body, version=7)
    assert (stale.status_code, stale.headers["ETag"], stale.json()["current_version"]) == (412, '"1"', 1)
    assert door.put(path, body, headers={"If-Match": "*"}).status_code == 400
    changed = door.put(path, body, version=1)
    assert (changed.json()["name"], changed.headers["ETag"]) == ("Ольга П.", '"2"')
    assert door.put(path, body, version=2).headers["ETag"] == '"2"'  # nothing changed, nothing is said
    assert bureau.said(UUID(path.rpartition("/")[2])) == ["OperatorChanged"] * 2
    assert door.put(f"/v1/operators/{uuid4()}", body, version=1).status_code == 412


def test_names_are_sealed_wherever_they_are_kept(bureau: Any, door: Any) -> None:
    door.put(f"/v1/operators/{uuid4()}", OPERATOR)
    for table in ("events", "operators", "person_keys"):
        assert bureau.rows(f"SELECT count(*) FROM {table} t WHERE t::text ~ 'Ольга|olga@'") == [(0,)]


def test_an_address_is_for_admins_only(bureau: Any, door: Any) -> None:
    olga = bureau.operator()
    one, listed = f"/v1/operators/{olga}", "/v1/operators"
    for role in ("admin", "operator", "lead"):
        for shown in (door.get(one, role).json(), door.get(listed, role).json()["items"][0]):
            assert shown["name"] == "Ольга"
            assert shown.get("address") == ("olga@staff.example" if role == "admin" else None)
            assert ("address" in shown) == (role == "admin")


def test_teams_and_queues_are_put_and_listed(bureau: Any, door: Any) -> None:
    teams = sorted(str(uuid4()) for _ in range(3))
    for team in teams:
        lead = str(uuid4())
        made = door.put(f"/v1/teams/{team}", {"name": "Team", "lead_ids": [lead, lead]})
        assert (made.status_code, made.json()["lead_ids"]) == (200, [lead])
    page = door.get("/v1/teams", "operator", params={"limit": 2}).json()
    rest = door.get("/v1/teams", "lead", params={"cursor": page["next_cursor"]}).json()
    assert [one["team_id"] for one in [*page["items"], *rest["items"]]] == teams
    assert rest["next_cursor"] is None
    queues = [str(uuid4()) for _ in range(3)]
    for order, queue in enumerate(queues):
        made = door.put(f"/v1/queues/{queue}", QUEUE | {"order": 9 - order, "team_id": teams[0]})
        assert made.status_code == 200, made.text
    found, cursor = [], None
    while True:
        page = door.get("/v1/queues", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        found += [one["queue_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == [str(FALLBACK_QUEUE), *reversed(queues)]
    shown = door.get(f"/v1/queues/{queues[0]}", "operator").json()
    assert (shown["fallback"], shown["strategy"], shown["conditions"]["levels"]) == (
        False,
        "longest_idle",
        [1],
    )
    used = door.put(f"/v1/teams/{teams[0]}", {"name": "Team", "active": False}, version=1)
    assert (used.status_code, used.json()["code"], len(used.json()["queue_ids"])) == (409, "team_in_use", 3)


def test_the_fallback_queue_gets_a_team_and_stays_what_it_is(bureau: Any, door: Any) -> None:
    team = bureau.team()
    bureau.sweep()
    path = f"/v1/queues/{FALLBACK_QUEUE}"
    shown = door.get(path).json()
    assert (shown["fallback"], shown["team_id"], shown["version"]) == (True, None, 1)
    body = {"name": "Everything else", "order": 0, "team_id": str(team), "fallback": True}
    assert door.put(path, body, version=1).json()["team_id"] == str(team)
    for wrong in ({"active": False}, {"conditions": {"levels": [1]}}, {"fallback": False}):
        answer = door.put(path, body | wrong, version=2)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, f"body.{next(iter(wrong))}")
    other = door.put(f"/v1/queues/{uuid4()}", QUEUE | {"fallback": True})
    assert other.status_code == 422


def test_a_queue_that_is_switched_off_gives_its_tickets_to_another(
    bureau: Any, tickets: Any, play: Play
) -> None:
    queue = bureau.queue(bureau.team())
    ticket = tickets.open()
    play()
    assert bureau.rows("SELECT queue_id, waiting FROM tickets") == [(queue, True)]
    bureau.queue(None, queue_id=queue, active=False)
    play()
    assert bureau.facts(ticket)[2].queue_id == FALLBACK_QUEUE


ADMINS_ONLY = ["operators", "teams", "queues"]
BODIES = {"operators": OPERATOR, "teams": {"name": "Team"}, "queues": QUEUE}


@pytest.mark.parametrize("what", ADMINS_ONLY)
@pytest.mark.parametrize("role", ["operator", "lead", "analyst", "system"])
def test_only_admins_put(bureau: Any, door: Any, what: str, role: str) -> None:
    answer = door.put(f"/v1/{what}/{uuid4()}", BODIES[what], role)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    assert bureau.rows(f"SELECT count(*) FROM {what}") == [(0,)]


def test_each_route_has_its_roles(bureau: Any, tickets: Any, play: Play, door: Any) -> None:
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    staff = {"operator", "lead", "admin"}
    allowed = {
        "/v1/operators": staff,
        f"/v1/operators/{olga}": staff,
        "/v1/teams": staff,
        "/v1/queues": staff,
        f"/v1/queues/{FALLBACK_QUEUE}": staff,
        f"/v1/queues/{FALLBACK_QUEUE}/waiting": staff,
        "/v1/offers": staff,
        f"/v1/tickets/{ticket}/decisions": staff | {"analyst"},
    }
    for path, roles in allowed.items():
        for role in ("operator", "lead", "admin", "analyst", "system"):
            assert door.get(path, role).status_code == (200 if role in roles else 403), (path, role)
        assert door.request("GET", path, headers={"Deskline-Identity": ""}).status_code == 401
    for role in ("admin", "analyst", "system"):
        answer = door.request("POST", "/v1/presence", role, actor=olga, json={"state": "online"})
        assert answer.status_code == 403


def test_presence_brings_offers_which_are_listed_with_their_end(
    bureau: Any, tickets: Any, play: Play, door: Any
) -> None:
    olga = bureau.operator(online=False)
    ticket = tickets.open()
    play()
    answer = door.request("POST", "/v1/presence", "operator", actor=olga, json={"state": "online"})
    assert (answer.status_code, answer.json()["state"]) == (200, "online")
    offers = door.get("/v1/offers", "operator", actor=olga).json()
    assert offers == {"items": []}  # only what tickets says is told to people
    play()
    (offer,) = door.get("/v1/offers", "operator", actor=olga).json()["items"]
    made = bureau.last(ticket)
    assert (offer["ticket_id"], offer["offer_id"]) == (str(ticket), str(made.offer_id))
    assert (offer["queue_id"], offer["until"]) == (
        str(made.queue_id),
        made.until.isoformat().replace("+00:00", "Z"),
    )
    assert door.get("/v1/offers", "operator").json() == {"items": []}
    shown = door.get(f"/v1/operators/{olga}").json()
    assert (shown["presence"], shown["load"]) == ("online", 1.0)
    play()
    bureau.time_out(ticket)
    assert door.get("/v1/offers", "operator", actor=olga).json() == {"items": []}


def test_who_is_no_operator_here_has_no_presence(bureau: Any, door: Any) -> None:
    left = bureau.operator()
    bureau.operator(operator_id=left, employed=False, online=False)
    for actor in (left, uuid4()):
        for state in ("online", "away"):
            answer = door.request("POST", "/v1/presence", "operator", actor=actor, json={"state": state})
            assert (answer.status_code, answer.json()["code"]) == (404, "operator_unknown")


def test_waiting_tickets_are_listed_the_oldest_first(
    bureau: Any, tickets: Any, play: Play, door: Any
) -> None:
    opened = [tickets.open(priority=priority) for priority in ("low", "high", "medium")]
    play()
    path, seen, cursor = f"/v1/queues/{FALLBACK_QUEUE}/waiting", [], None
    for _ in range(2):
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = door.get(path, "operator", params=params).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert [one["ticket_id"] for one in seen] == [str(one) for one in opened]
    assert [one["priority"] for one in seen] == ["low", "high", "medium"]


def test_decisions_are_explained_with_their_snapshot(
    bureau: Any, tickets: Any, play: Play, door: Any
) -> None:
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    path = f"/v1/tickets/{ticket}/decisions"
    queued, made = door.get(path, "analyst").json()["items"]
    assert [queued["type"], made["type"]] == ["TicketQueued", "OfferMade"]
    assert queued["decision"]["circumstances"]["channel"] == "email"
    assert made["decision"]["candidates"] == [
        {
            "operator_id": str(olga),
            "rejected": None,
            "load": 0.0,
            "capacity": 1.0,
            "last_offered_at": None,
        }
    ]
    page = door.get(path, params={"limit": 1}).json()
    rest = door.get(path, params={"cursor": page["next_cursor"]}).json()
    assert (rest["items"][0]["type"], rest["next_cursor"]) == ("OfferMade", None)


def test_what_is_out_of_scope_does_not_exist(bureau: Any, tickets: Any, play: Play, door: Any) -> None:
    mine, theirs = bureau.team(), bureau.team()
    queue = bureau.queue(theirs)
    olga, oleg = bureau.operator(mine), bureau.operator(theirs)
    lead = uuid4()
    bureau.team(team_id=theirs, lead_ids=(lead,))
    ticket = tickets.open()
    play()
    decisions, waiting = f"/v1/tickets/{ticket}/decisions", f"/v1/queues/{queue}/waiting"

    def status(path: str, actor: UUID, scope: str) -> int:
        answer = door.get(path, "operator", actor=actor, scope=scope)
        return int(answer.status_code)

    assert [status(decisions, olga, scope) for scope in ("all", "team", "queue", "own")] == [
        200,
        404,
        404,
        404,
    ]
    assert [status(decisions, oleg, scope) for scope in ("all", "team", "queue", "own")] == [200] * 4
    assert [status(decisions, lead, scope) for scope in ("team", "own")] == [200, 404]
    assert [status(waiting, olga, scope) for scope in ("all", "team", "own")] == [200, 404, 404]
    assert [status(waiting, oleg, scope) for scope in ("all", "team", "own")] == [200, 200, 404]
    unknown = door.get(f"/v1/tickets/{uuid4()}/decisions", "operator", scope="own").json()
    assert door.get(decisions, "operator", actor=olga, scope="own").json() == unknown


REFUSED: list[tuple[str, Any]] = [
    ("operators", OPERATOR | {"colour": 1}),
    ("operators", OPERATOR | {"capacity": "3"}),
    ("operators", OPERATOR | {"capacity": -1}),
    ("operators", OPERATOR | {"capacity": 1e300}),
    ("operators", OPERATOR | {"employed": "yes"}),
    ("operators", OPERATOR | {"language": "de"}),
    ("operators", OPERATOR | {"address": "nobody"}),
    ("operators", OPERATOR | {"address": "a@b\nBcc: c@d"}),
    ("operators", OPERATOR | {"name": " "}),
    ("operators", OPERATOR | {"name": "x" * 101}),
    ("operators", OPERATOR | {"skills": ["Not A Code"]}),
    ("operators", OPERATOR | {"team_ids": [str(UUID(int=7))]}),
    ("teams", {"name": ""}),
    ("teams", {"name": "x", "lead_ids": [str(UUID(int=n)) for n in range(201)]}),
    ("queues", QUEUE | {"conditions": {"lvels": [2]}}),
    ("queues", QUEUE | {"conditions": {"levels": [4]}}),
    ("queues", QUEUE | {"conditions": {"company_ids": [str(UUID(int=n)) for n in range(201)]}}),
    ("queues", QUEUE | {"order": -1}),
    ("queues", QUEUE | {"accept_seconds": 0}),
    ("queues", QUEUE | {"strategy": "random"}),
    ("queues", QUEUE | {"team_id": str(UUID(int=7))}),
    ("queues", {"name": "x"}),
]


@pytest.mark.parametrize(("what", "body"), REFUSED)
def test_what_cannot_be_taken_is_refused_and_changes_nothing(
    bureau: Any, door: Any, what: str, body: Any
) -> None:
    answer = door.put(f"/v1/{what}/{uuid4()}", body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request"), answer.text
    assert answer.json()["errors"]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert bureau.rows("SELECT count(*) FROM events WHERE type NOT LIKE '%QueueChanged%'") == [(0,)]


def test_a_cursor_of_nobodys_or_of_another_list_is_refused(
    bureau: Any, tickets: Any, play: Play, door: Any
) -> None:
    ticket, other = tickets.open(), tickets.open()
    play()
    listed = [f"queues/{FALLBACK_QUEUE}/waiting", f"tickets/{ticket}/decisions"]
    others = [write_cursor("of nobody", UUID(int=1)), write_cursor(f"decisions {other}", 1)]
    for path in ("operators", "teams", "queues", *listed):
        for cursor in ("x", "WzFd", *others):
            answer = door.get(f"/v1/{path}", params={"cursor": cursor})
            assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor"), path
    assert door.get(f"/v1/tickets/{other}/decisions", params={"cursor": others[1]}).status_code == 200


def test_there_is_no_other_thing_and_no_other_query(bureau: Any, door: Any) -> None:
    for path in ("operators", "teams", "queues"):
        assert door.get(f"/v1/{path}/{uuid4()}").status_code == 404
        assert door.get(f"/v1/{path}/7").status_code == 422
        assert door.get(f"/v1/{path}", params={"colour": 1}).status_code == 422
        assert door.get(f"/v1/{path}", params={"limit": 101}).status_code == 422
        assert door.get(f"/v1/{path}/{uuid4()}", params={"x": 1}).status_code == 422
    assert door.get(f"/v1/tickets/{uuid4()}/decisions").status_code == 404
    assert door.get(f"/v1/queues/{uuid4()}/waiting").status_code == 404
