"""Owners' topics have no order between them: whatever comes first, the same people are told the same."""

import random
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.component

TABLES = ("notifications", "questions", "tickets", "contacts", "operators", "teams")
KEPT = (
    "SELECT event_id, recipient_id, kind, state, reason, details FROM notifications ORDER BY 1, 2",
    "SELECT ticket_id, number, level, last_kind, assignee_id, teams, assignees FROM tickets ORDER BY 1",
    "SELECT contact_id, address IS NULL FROM contacts ORDER BY 1",
    "SELECT operator_id, language, employed, team_ids FROM operators ORDER BY 1",
    "SELECT team_id, lead_ids FROM teams ORDER BY 1",
    "SELECT count(*) FROM questions",
)


def tickets_facts(desk: Any, ticket_id: Any, *facts: Any) -> list[Any]:
    return [desk.envelope("tickets", ticket_id, fact) for fact in facts]


@pytest.fixture
def story(desk: Any, facts: Any) -> list[Any]:
    """Two tickets: offered, accepted, breached, escalated to another team, answered; by four owners."""
    told: list[Any] = []
    teams = [uuid4(), uuid4()]
    leads, first, second = [desk.person(), desk.person()], desk.person(), desk.person()
    for team, lead in zip(teams, leads, strict=True):
        told.append(desk.envelope("routing", team, facts.team(team, lead)))
    for number, person in enumerate((*leads, first, second)):
        told.append(desk.envelope("routing", person, facts.operator(person, f"o{number}@brand.example")))
    for number in range(2):
        customer, ticket_id = desk.person(), uuid4()
        told.append(
            desk.envelope("intake", customer, facts.registered(customer, f"c{number}@client.example"))
        )
        told += tickets_facts(
            desk,
            ticket_id,
            facts.opened(customer, number=number + 1, message_id=f"m{number}@client.example"),
            facts.routed(teams[0]),
            facts.offered(first),
            facts.accepted(first, by=leads[0]),
        )
        told.append(desk.envelope("sla", ticket_id, facts.warned("assignee", "team_lead")))
        breach = facts.breached("assignee", "team_lead", "customer", forecast_at=datetime.now(UTC))
        told.append(desk.envelope("sla", ticket_id, breach))
        told += tickets_facts(
            desk,
            ticket_id,
            facts.unassigned(first),
            facts.routed(teams[1]),
            facts.offered(second),
            facts.accepted(second),
            facts.replied(customer, second),
        )
    return told


@settings(
    deadline=None,
    max_examples=15,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 100_000), size=st.integers(1, 12))
def test_any_interleaving_tells_the_same(desk: Any, story: list[Any], seed: int, size: int) -> None:
    def play(order: list[Any], size: int) -> list[Any]:
        for table in TABLES:
            desk.as_owner(f"DELETE FROM {table}")
        for at in range(0, len(order), size):
            desk.take(*order[at : at + size])
        desk.sweep()
        return [desk.rows(query) for query in KEPT]

    queues: dict[Any, list[Any]] = {}
    for one in story:
        queues.setdefault((one[0].owner, one[0].subject), []).append(one)
    chooser, mixed = random.Random(seed), []
    while queues:
        key = chooser.choice(sorted(queues, key=str))
        mixed.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    expected = play(story, len(story))
    assert {row[3] for row in expected[0]} == {"pending"}
    assert len(expected[0]) == 2 * 10
    assert play(mixed, size) == expected
