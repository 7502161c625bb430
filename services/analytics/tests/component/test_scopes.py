"""Lists, single tickets and timelines show what the scope of the caller's identity reaches, and no more."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from services.analytics.tests.door import Door, problem

pytestmark = pytest.mark.component

FOR_ALL = {"new", "resolved", "closed", "merged", "abandoned"}
OVER = {"resolved", "closed", "merged", "spam", "abandoned"}
COLUMNS = "ticket_id, number, stage, queue_id, team_id, assignee_id, offer_operator_id"


@pytest.fixture
def door(shared_rig: Any, make_story: Any, fill: Any) -> Door:
    if not hasattr(shared_rig, "scope_story"):
        story = make_story(21).live(tickets=40, events=700)
        first, _, third, fourth = story.operators
        # One works for both teams, one has left.
        story.introduce(third, *story.teams)
        story.introduce(fourth, story.teams[1], employed=False)
        shared_rig.scope_story = story
        fill(shared_rig, story)
        shared_rig.as_owner("UPDATE open_tickets SET stage = 'spam' WHERE number % 9 = 0 AND NOT open")
        assert first in shared_rig.ask("SELECT lead_ids FROM teams WHERE name = 'first'")[0][0]
    return Door(shared_rig, shared_rig.scope_story)


def reachable(door: Door, scope: str, actor: UUID) -> set[str]:
    """The rules, said once more in another way."""
    story = door.story
    first, second, third, fourth = story.operators
    teams = {first: {0}, second: {0}, third: {0, 1}}.get(actor, set())
    led = {first: {0}, third: {1}}.get(actor, set())
    found = set()
    for ticket_id, _, stage, queue, team, assignee, offered in door.rig.ask(
        f"SELECT {COLUMNS} FROM open_tickets WHERE number IS NOT NULL"
    ):
        reached = {story.queues.index(queue)} if queue else set()
        if scope == "team" and team:
            reached |= {story.teams.index(team)}
        shown = stage in FOR_ALL or (assignee is None and stage not in OVER)
        own = actor in {assignee, offered} and actor != fourth
        by_team = scope != "own" and bool(led & reached or (shown and teams & reached))
        if scope == "all" or own or by_team:
            found.add(str(ticket_id))
    return found


@pytest.mark.parametrize("scope", ["own", "queue", "team", "all"])
@pytest.mark.parametrize("who", range(5))
def test_a_list_holds_what_is_reached(door: Door, scope: str, who: int) -> None:
    actor = [*door.story.operators, uuid4()][who]
    expected = reachable(door, scope, actor)
    items = door.whole(7, scope=scope, actor=actor)
    assert {item["ticket_id"] for item in items} == expected
    everything = len(door.story.tickets)
    if who < 3 and scope != "all":
        assert 0 < len(expected) < everything
    if who > 2:
        assert len(expected) == (everything if scope == "all" else 0)


@pytest.mark.parametrize("scope", ["own", "queue", "team", "nonsense"])
def test_what_is_not_reached_is_not_there(door: Door, scope: str) -> None:
    actor = door.story.operators[1]
    expected = reachable(door, scope, actor) if scope != "nonsense" else set()
    for ticket_id, number in door.rig.ask("SELECT ticket_id, number FROM open_tickets"):
        for path, absent in (
            (f"/v1/tickets/by-number/{number}", "/v1/tickets/by-number/987654"),
            (f"/v1/tickets/{ticket_id}/timeline", f"/v1/tickets/{uuid4()}/timeline"),
            (f"/v1/tickets/{ticket_id}/routing-decisions", f"/v1/tickets/{uuid4()}/routing-decisions"),
        ):
            answer = door.get(path, scope=scope, actor=actor)
            if str(ticket_id) in expected:
                assert answer.status_code == 200
            else:
                missing = problem(answer, 404, "ticket_unknown")
                assert missing == problem(door.get(absent), 404, "ticket_unknown")


def test_a_team_that_was_given_up_reaches_nothing(door: Door) -> None:
    second = door.story.operators[1]
    own = reachable(door, "own", second)
    door.rig.as_owner("UPDATE teams SET active = false")
    try:
        for scope in ("queue", "team"):
            assert {item["ticket_id"] for item in door.whole(50, scope=scope, actor=second)} == own
    finally:
        door.rig.as_owner("UPDATE teams SET active = true")


def test_a_ticket_that_tickets_has_not_told_of_is_not_there(door: Door) -> None:
    ticket_id = uuid4()
    door.rig.as_owner("INSERT INTO open_tickets (ticket_id) VALUES (%s)", (ticket_id,))
    try:
        problem(door.get(f"/v1/tickets/{ticket_id}/timeline"), 404, "ticket_unknown")
        assert str(ticket_id) not in {item["ticket_id"] for item in door.whole(50)}
        assert door.rig.as_owner("SELECT count(*) FROM analyst.tickets") == [(len(door.story.tickets),)]
    finally:
        door.rig.as_owner("DELETE FROM open_tickets WHERE ticket_id = %s", (ticket_id,))
