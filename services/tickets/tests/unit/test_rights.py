"""Who sees a ticket: every scope against every standing and stage."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from services.tickets.tests.givens import NOW, STAGES, Given, Moved

from deskline_events.tickets import Actor, Stage
from deskline_tickets.domain.events import TicketAccepted, TicketOffered, TicketRouted
from deskline_tickets.domain.rights import Viewer, leads, may_see
from deskline_tickets.domain.ticket import Ticket

pytestmark = pytest.mark.unit


ME, ASSIGNEE, QUEUE, TEAM, QUEUE_TEAM, OTHER_TEAM = (UUID(int=n) for n in (5, 3, 60, 70, 71, 72))
# What is assigned is seen by its queue's operators only in these stages; written by hand from the semantics.
SEEN_BY_QUEUE = {"new", "resolved", "closed", "merged", "abandoned"}


def me(scope: str, **more: Any) -> Viewer:
    fields: dict[str, Any] = {"operator_id": ME, "roles": frozenset({"operator"}), "scope": scope}
    return Viewer(**(fields | more))


@pytest.fixture
def routed() -> TicketRouted:
    return TicketRouted(queue_id=QUEUE, team_id=TEAM, actor=Actor(kind="system"), assignment_no=0)


@pytest.fixture
def in_stage(given: Given, moved: Moved, routed: TicketRouted) -> Callable[[Stage], Ticket]:
    """Somebody else's ticket of team TEAM in a queue of QUEUE_TEAM."""
    taken = TicketAccepted(operator_id=ASSIGNEE, actor=Actor(kind="operator", id=ASSIGNEE), assignment_no=1)

    def make(stage: Stage) -> Ticket:
        return given(routed) if stage == "new" else given(routed, taken, moved(stage, no=2))

    return make


@pytest.mark.parametrize("stage", STAGES)
def test_all_sees_everything_and_an_unknown_scope_nothing(
    in_stage: Callable[[Stage], Ticket], stage: Stage
) -> None:
    ticket = in_stage(stage)
    assert may_see(me("all"), ticket, None)
    everywhere = frozenset({TEAM, QUEUE_TEAM})
    for scope in ("", "ALL", "customer"):
        assert not may_see(me(scope, team_ids=everywhere, led_team_ids=everywhere), ticket, QUEUE_TEAM)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize(
    ("scope", "team", "reached"),
    [
        ("team", TEAM, True),
        ("team", QUEUE_TEAM, True),
        ("team", OTHER_TEAM, False),
        ("queue", TEAM, False),
        ("queue", QUEUE_TEAM, True),
        ("queue", OTHER_TEAM, False),
        ("own", TEAM, False),
        ("own", QUEUE_TEAM, False),
    ],
)
def test_a_scope_reaches_its_teams_and_the_stage_says_who_of_them_sees_it(
    in_stage: Callable[[Stage], Ticket], scope: str, team: UUID, reached: bool, stage: Stage
) -> None:
    ticket = in_stage(stage)
    member, lead = (me(scope, **{name: frozenset({team})}) for name in ("team_ids", "led_team_ids"))
    assert may_see(member, ticket, QUEUE_TEAM) == (reached and stage in SEEN_BY_QUEUE)
    assert may_see(lead, ticket, QUEUE_TEAM) == reached
    assert not may_see(me(scope, employed=False, team_ids=member.team_ids), ticket, QUEUE_TEAM)


@pytest.mark.parametrize("scope", ["own", "team", "queue"])
@pytest.mark.parametrize("stage", STAGES)
def test_what_is_assigned_to_somebody_they_see_in_every_stage(
    in_stage: Callable[[Stage], Ticket], scope: str, stage: Stage
) -> None:
    mine = me(scope, operator_id=ASSIGNEE)
    ticket = in_stage(stage)
    assert may_see(mine, ticket, QUEUE_TEAM) == (ticket.assignee_id == ASSIGNEE)
    assert not may_see(me(scope, operator_id=ASSIGNEE, employed=False), ticket, QUEUE_TEAM)


@pytest.mark.parametrize("scope", ["own", "team", "queue"])
def test_what_is_offered_to_somebody_they_see(given: Given, routed: TicketRouted, scope: str) -> None:
    made = TicketOffered(
        offer_id=UUID(int=80), operator_id=ME, queue_id=QUEUE, until=NOW, assignment_no=0, decision_id=None
    )
    ticket = given(routed, made)
    assert may_see(me(scope), ticket, None)
    assert not may_see(me(scope, operator_id=UUID(int=6)), ticket, None)


@pytest.mark.parametrize("stage", ["in_progress", "waiting_customer"])
def test_what_is_nobodys_the_queue_sees_as_if_it_were_new(
    given: Given, moved: Moved, routed: TicketRouted, stage: Stage
) -> None:
    ticket = given(routed, moved(stage))
    assert may_see(me("queue", team_ids=frozenset({QUEUE_TEAM})), ticket, QUEUE_TEAM)
    assert not may_see(me("queue", team_ids=frozenset({OTHER_TEAM})), ticket, QUEUE_TEAM)


def test_a_ticket_in_no_queue_is_in_nobodys_reach(given: Given) -> None:
    everywhere = frozenset({TEAM, QUEUE_TEAM, OTHER_TEAM})
    for scope in ("own", "team", "queue"):
        assert not may_see(me(scope, team_ids=everywhere, led_team_ids=everywhere), given(), None)


def test_who_leads_the_ticket(given: Given, routed: TicketRouted) -> None:
    ticket = given(routed)
    assert leads(me("team", led_team_ids=frozenset({TEAM})), ticket, QUEUE_TEAM)
    assert leads(me("team", led_team_ids=frozenset({QUEUE_TEAM})), ticket, QUEUE_TEAM)
    assert not leads(me("team", led_team_ids=frozenset({OTHER_TEAM})), ticket, QUEUE_TEAM)
    assert not leads(me("team", team_ids=frozenset({TEAM})), ticket, QUEUE_TEAM)
    assert not leads(me("team", employed=False, led_team_ids=frozenset({TEAM})), ticket, QUEUE_TEAM)
    lead = frozenset({"lead"})
    assert leads(me("all", roles=lead), ticket, None)
    assert not leads(me("team", roles=lead), ticket, None)
    assert not leads(me("all"), ticket, None)
