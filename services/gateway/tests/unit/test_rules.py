"""The table of rules: every route is in it, nothing else is, and it says who passes."""

from typing import Any
from uuid import uuid4

import pytest

from deskline_chassis.runtime import Runtime
from deskline_gateway.api.describing import SHAPES
from deskline_gateway.api.routes import PROBES, UnruledRouteError, check_rules, create_gateway
from deskline_gateway.domain.rules import ROLES, RULES, ParameterRefusedError
from deskline_gateway.openapi import document

pytestmark = pytest.mark.unit

TICKET = "01890a5d-ac96-774b-bcce-b302099a8057"
PLACES = {"ticket_id": TICKET, "line_id": TICKET, "number": "7"}


async def never(*_: Any) -> Any:
    raise AssertionError


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    app = create_gateway(Runtime("gateway"), never)
    routed = {
        (method, getattr(route, "path", ""))
        for route in app.routes
        for method in getattr(route, "methods", ()) or ()
    }
    assert routed - {("GET", probe) for probe in PROBES} == {(rule.method, rule.path) for rule in RULES}
    assert set(SHAPES) == {rule.name for rule in RULES}


def test_a_route_without_a_rule_can_not_exist() -> None:
    app = create_gateway(Runtime("gateway"), never)
    app.add_api_route("/v1/backdoor", never, methods=["POST"])
    with pytest.raises(UnruledRouteError, match="POST /v1/backdoor"):
        check_rules(app)


def test_another_method_on_a_ruled_path_needs_a_rule_too() -> None:
    app = create_gateway(Runtime("gateway"), never)
    app.add_api_route("/v1/tickets/{ticket_id}", never, methods=["DELETE"])
    with pytest.raises(UnruledRouteError, match="DELETE"):
        check_rules(app)


def test_a_mounted_application_needs_a_rule_too() -> None:
    app = create_gateway(Runtime("gateway"), never)
    app.mount("/static", never)
    with pytest.raises(UnruledRouteError, match="/static"):
        check_rules(app)


def test_every_rule_names_somebody_and_is_described() -> None:
    paths = document()["paths"]
    for rule in RULES:
        assert rule.roles, rule.name
        assert rule.roles <= set(ROLES)
        assert rule.command == (rule.method == "POST")
        operation = paths[rule.path][rule.method.lower()]
        assert operation["x-deskline-roles"] == sorted(rule.roles)
        needed = {one["name"] for one in operation["parameters"] if one["in"] == "header"}
        assert ("Idempotency-Key" in needed) == rule.command
        assert ("If-Match" in needed) == rule.needs_version


@pytest.mark.parametrize("role", [*ROLES, None])
def test_allowed_roles_reach_the_owner_and_nobody_else_does(role: str | None, world: Any) -> None:
    token = None if role is None else world.token(role)
    for rule in RULES:
        path, reached = rule.path.format(**PLACES), world.reached
        answer = world.ask(rule.method, path, token, content=b"{}" if rule.command else None)
        if role is None:
            assert (answer.status_code, world.reached) == (401, reached), rule.name
        elif role in rule.roles:
            assert (answer.status_code, world.reached) == (200, reached + 1), rule.name
            received = getattr(world, rule.owner).last
            assert (received.method, received.path) == (rule.method, path)
        else:
            assert (answer.status_code, world.reached) == (403, reached), rule.name
            assert answer.json()["allowed"] == sorted(rule.roles)


@pytest.mark.parametrize(
    "text",
    ["", "..", "7", "%2e%2e", f"{{{TICKET}}}", TICKET.replace("-", ""), f"urn:uuid:{TICKET}", f"{TICKET}\n"],
)
def test_only_a_plain_uuid_is_an_id(text: str) -> None:
    rule = next(rule for rule in RULES if rule.name == "read_ticket")
    with pytest.raises(ParameterRefusedError, match="ticket_id"):
        rule.path_for({"ticket_id": text})


@pytest.mark.parametrize("text", ["0", "-1", "+1", "1_0", " 1", "١", "1" * 19, "1e3"])
def test_only_a_positive_whole_number_is_a_number(text: str) -> None:
    rule = next(rule for rule in RULES if rule.name == "find_ticket_by_number")
    with pytest.raises(ParameterRefusedError, match="number"):
        rule.path_for({"number": text})


def test_an_id_is_written_anew_in_its_one_form() -> None:
    given = uuid4()
    rule = next(rule for rule in RULES if rule.name == "reply")
    assert rule.path_for({"ticket_id": str(given).upper()}) == f"/v1/tickets/{given}/replies"
