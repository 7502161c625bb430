"""Deny by default: who reaches an owner and who doesn't, over all routes, roles, scopes and tickets."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from services.gateway.tests.matrix import SCOPES, Case, matrix

from deskline_chassis.identity import HEADER, Verifier
from deskline_gateway.domain.rules import OWNERS, ROLES, Rule
from deskline_gateway.domain.table import RULES

pytestmark = pytest.mark.component

ACTOR = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
NOBODY = UUID(int=0)


def owner_path(case: Case) -> str:
    path = case.path.partition("?")[0]
    instead = {"watch_ticket": "", "watch_queue": "/waiting"}
    return path.removesuffix("/events") + instead.get(case.rule.name, "")


@pytest.fixture
def client() -> Any:
    with httpx.Client(trust_env=False, timeout=15) as client:
        yield client


def ask(client: httpx.Client, world: Any, case: Case, token: str | None) -> int:
    headers = dict(case.headers) | ({} if token is None else {"Authorization": f"Bearer {token}"})
    body = None if case.body is None else json.dumps(case.body).encode()
    url = world.gateway.url + case.path
    # A live view has no end: its head is the answer.
    with client.stream(case.rule.method, url, headers=headers, content=body) as answer:
        return answer.status_code


def identities(world: Any) -> dict[str, tuple[UUID, frozenset[str], str]]:
    """Owner → who reached it last."""
    found: dict[str, tuple[UUID, frozenset[str], str]] = {}
    for name in OWNERS:
        if world.played[name].received:
            signed = world.played[name].last.headers[HEADER.lower()]
            who = Verifier(world.public_key, name).verify(signed, datetime.now(UTC))
            found[name] = (who.actor_id, who.roles, who.scope)
    return found


def test_the_matrix_has_every_route_role_scope_and_both_tickets() -> None:
    cases = list(matrix())
    assert {case.rule.name for case in cases} == {rule.name for rule in RULES}
    of_tickets = sum("ticket_id" in rule.parameters for rule in RULES)
    assert len(cases) == (len(RULES) + of_tickets) * (len(ROLES) * len(SCOPES) + 1)
    assert len({(case.rule.method, case.path) for case in cases if case.whose == "anothers"}) == of_tickets
    assert {case.door for case in cases} == {"passes", "role_refused", "token_refused"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_who_may_reaches_the_owner_as_themselves_and_nobody_else_does(
    rule: Rule, lasting: Any, client: httpx.Client
) -> None:
    world = lasting
    for owner in world.played.values():
        owner.status, owner.headers = 200, {"content-type": "application/json"}
    world.played["analytics"].body = b'{"items":[],"next_cursor":null}'
    tokens = {
        (role, scope): world.token(role, scope=scope, actor_id=ACTOR) for role in ROLES for scope in SCOPES
    }
    for case in matrix(rules=(rule,)):
        for owner in world.played.values():
            owner.received.clear()
        status = ask(client, world, case, None if case.role is None else tokens[case.role, case.scope])
        if case.door == "token_refused":
            assert (status, world.reached) == (401, 0), case
        elif case.door == "role_refused":
            assert (status, world.reached) == (403, 0), case
        else:
            assert status == 200, case
            received = world.played[rule.owner].received[0]
            assert (received.method, received.path) == (rule.method, owner_path(case)), case
            if case.body is not None:
                assert json.loads(received.body) == case.body
            for name in ("Idempotency-Key", "If-Match"):
                assert received.headers.get(name.lower()) == case.headers.get(name), case
            who: tuple[UUID, frozenset[str], str] = (NOBODY, frozenset({"customer"}), "own")
            if not rule.public:
                who = (ACTOR, frozenset({str(case.role)}), str(case.scope))
            reached = identities(world)
            assert set(reached.values()) == {who}, case
            # A queue's stream needs the tickets that stand in it, which the same identity may see; and
            # tickets says who may see one where the owner does not know.
            also = {"analytics"} if rule.name == "watch_queue" else {"tickets"} if rule.behind_card else set()
            assert set(reached) == {rule.owner} | also


def test_several_roles_are_passed_on_together(world: Any) -> None:
    token = world.token("analyst", "operator", "system", actor_id=ACTOR, scope="queue")
    assert world.ask("GET", "/v1/offers", token).status_code == 200
    assert identities(world) == {
        "routing": (ACTOR, frozenset({"analyst", "operator", "system"}), "queue"),
    }


@pytest.mark.parametrize(
    "rule", [rule for rule in RULES if "ticket_id" in rule.parameters], ids=lambda rule: rule.name
)
def test_anothers_existing_ticket_by_id(rule: Rule, lasting: Any, client: httpx.Client, until: Any) -> None:
    """The owner's 404 comes back as it is for a ticket that does not exist, and nothing else was asked."""
    world = lasting
    for played in world.played.values():
        played.received.clear()
    owner = world.played["tickets" if rule.behind_card else rule.owner]
    owner.status = 404
    owner.headers = {"content-type": "application/problem+json"}
    owner.body = b'{"type":"urn:deskline:problem:ticket_unknown","status":404,"code":"ticket_unknown"}'
    for case in matrix(rules=(rule,)):
        if case.hidden and case.door == "passes":
            token = world.token(case.role, scope=case.scope)
            assert ask(client, world, case, token) == 404, case
            asked = owner_path(case)
            assert owner.last.path == (asked.removesuffix("/clocks") if rule.behind_card else asked)
    assert world.reached == len(owner.received) > 0
    until(lambda: not world.audience._subscriptions)
