"""The table of rules: every route is in it, nothing else is, and it says who passes."""

from typing import Any
from uuid import uuid4

import pytest

from deskline_chassis.runtime import Runtime
from deskline_gateway.api.contract import SHAPES
from deskline_gateway.api.routes import UnruledRouteError, check_rules, create_gateway
from deskline_gateway.api.threshold import PROBES
from deskline_gateway.domain.room import Room
from deskline_gateway.domain.rules import OWNERS, ROLES, ParameterRefusedError
from deskline_gateway.domain.table import RULES, is_cross_origin
from deskline_gateway.openapi import document

pytestmark = pytest.mark.unit

TICKET = "01890a5d-ac96-774b-bcce-b302099a8057"


async def never(*_: Any) -> Any:
    raise AssertionError


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    app = create_gateway(Runtime("gateway"), never, Room(1))
    routed = {
        (method, getattr(route, "path", ""))
        for route in app.routes
        for method in getattr(route, "methods", ()) or ()
    }
    assert routed - {("GET", probe) for probe in PROBES} == {(rule.method, rule.path) for rule in RULES}
    assert set(SHAPES) == {rule.name for rule in RULES}


def test_a_route_without_a_rule_can_not_exist() -> None:
    app = create_gateway(Runtime("gateway"), never, Room(1))
    app.add_api_route("/v1/backdoor", never, methods=["POST"])
    with pytest.raises(UnruledRouteError, match="POST /v1/backdoor"):
        check_rules(app)


def test_another_method_on_a_ruled_path_needs_a_rule_too() -> None:
    app = create_gateway(Runtime("gateway"), never, Room(1))
    app.add_api_route("/v1/tickets/{ticket_id}", never, methods=["DELETE"])
    with pytest.raises(UnruledRouteError, match="DELETE"):
        check_rules(app)


def test_a_mounted_application_needs_a_rule_too() -> None:
    app = create_gateway(Runtime("gateway"), never, Room(1))
    app.mount("/static", never)
    with pytest.raises(UnruledRouteError, match="/static"):
        check_rules(app)


def test_every_rule_names_somebody_and_is_described() -> None:
    paths = document()["paths"]
    for rule in RULES:
        assert rule.public != bool(rule.roles), rule.name
        assert rule.roles <= set(ROLES)
        assert rule.changes or rule.method != "PUT"
        assert rule.changes or not rule.keyed
        assert rule.owner in OWNERS
        operation = paths[rule.path][rule.method.lower()]
        assert operation["x-deskline-roles"] == sorted(rule.roles)
        assert operation["security"] == ([] if rule.public else [{"token": []}])
        assert ("requestBody" in operation) == rule.has_body
        headers = {one["name"]: one["required"] for one in operation["parameters"] if one["in"] == "header"}
        assert ("Idempotency-Key" in headers) == rule.keyed
        assert headers.get("If-Match") == {"always": True, "where_it_exists": False}.get(rule.version or "")


def test_nobody_but_operators_and_leads_acts_on_tickets_and_admins_configure() -> None:
    for rule in RULES:
        if rule.changes and "{ticket_id}" in rule.path:
            assert rule.roles <= {"operator", "lead"}, rule.name
        elif rule.changes and not rule.public and rule.name != "set_presence":
            assert rule.roles == {"admin"}, rule.name
        assert "system" not in rule.roles


def test_the_web_form_is_the_only_route_for_anybody_and_for_other_origins() -> None:
    assert [rule.name for rule in RULES if rule.public] == ["send_message"]
    assert is_cross_origin(f"/v1/lines/{TICKET}/messages")
    for path in ("/v1/lines//messages", "/v1/lines/x/y/messages", "/v1/lines/x/set-aside", "/v1/lines", "/"):
        assert not is_cross_origin(path)


def test_a_path_of_words_is_not_taken_for_an_id() -> None:
    seen: list[tuple[str, ...]] = []
    for rule in RULES:
        parts = (rule.method, *rule.path.split("/"))
        for earlier in seen:
            shadows = len(earlier) == len(parts) and all(
                one == other or one.startswith("{") for one, other in zip(earlier, parts, strict=True)
            )
            assert not shadows, (rule.name, earlier)
        seen.append(parts)


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


@pytest.mark.parametrize(
    ("name", "text"), [("kind", "../x"), ("kind", "Reply"), ("language", "fr"), ("language", "RU")]
)
def test_only_words_of_ours_are_words(name: str, text: str) -> None:
    rule = next(rule for rule in RULES if rule.name == "read_template")
    with pytest.raises(ParameterRefusedError, match=name):
        rule.path_for({"kind": "reply", "language": "ru", name: text})


def test_an_id_is_written_anew_in_its_one_form() -> None:
    given = uuid4()
    rule = next(rule for rule in RULES if rule.name == "reply")
    assert rule.path_for({"ticket_id": str(given).upper()}) == f"/v1/tickets/{given}/replies"


def test_the_card_stands_before_what_tickets_rights_decide() -> None:
    rule = next(rule for rule in RULES if rule.behind_card)
    assert rule.card_for({"ticket_id": TICKET.upper()}) == f"/v1/tickets/{TICKET}"
    with pytest.raises(ParameterRefusedError, match="ticket_id is not a UUID"):
        rule.card_for({"ticket_id": "../operators"})


@pytest.mark.parametrize(
    ("name", "given", "wanted"),
    [
        ("find_ticket_by_number", {"number": "0"}, "number is not a positive whole number"),
        ("read_ticket", {"ticket_id": "0"}, "ticket_id is not a UUID"),
        ("read_template", {"kind": "A", "language": "ru"}, "kind is not a word of a-z, 0-9 and underscore"),
        ("read_template", {"kind": "a", "language": "A"}, "language is not ru or en"),
    ],
)
def test_a_refused_part_of_a_path_is_named(name: str, given: dict[str, str], wanted: str) -> None:
    rule = next(rule for rule in RULES if rule.name == name)
    with pytest.raises(ParameterRefusedError) as refused:
        rule.path_for(given)
    assert str(refused.value) == wanted
    assert f"{refused.value.name} is not {refused.value.wanted}" == wanted


@pytest.mark.parametrize(
    ("name", "given", "path"),
    [
        ("find_ticket_by_number", {"number": "9" * 18}, f"/v1/tickets/by-number/{'9' * 18}"),
        ("find_ticket_by_number", {"number": "10"}, "/v1/tickets/by-number/10"),
        (
            "read_template",
            {"kind": "a" + "_9" * 19 + "z", "language": "en"},
            "/v1/templates/a" + "_9" * 19 + "z/en",
        ),
        ("read_template", {"kind": "z", "language": "ru"}, "/v1/templates/z/ru"),
        ("watch_ticket", {"ticket_id": TICKET}, f"/v1/tickets/{TICKET}"),
        ("list_offers", {}, "/v1/offers"),
    ],
)
def test_a_path_is_made_of_what_was_given(name: str, given: dict[str, str], path: str) -> None:
    rule = next(rule for rule in RULES if rule.name == name)
    assert rule.path_for(given) == path


@pytest.mark.parametrize("text", ["1" + "0" * 18, "a" * 41, "1a"])
def test_what_is_too_long_or_begins_with_a_digit_is_no_word_and_no_number(text: str) -> None:
    for name, given in [("find_ticket_by_number", "number"), ("read_template", "kind")]:
        rule = next(rule for rule in RULES if rule.name == name)
        with pytest.raises(ParameterRefusedError, match=given):
            rule.path_for({"language": "ru", given: text})
