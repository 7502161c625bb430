"""How often a token may come, and in which language the door itself refuses."""

from typing import Any

import pytest

from deskline_gateway.api.wordings import OF_CHASSIS, WORDINGS
from deskline_gateway.domain.limits import Limits, Rate

pytestmark = pytest.mark.component

TICKET = "01890a5d-ac96-774b-bcce-b302099a8057"
MANY = Rate(1000.0, 1000)


def is_russian(text: str) -> bool:
    return any("а" <= letter <= "я" for letter in text.lower())


def test_a_token_that_comes_too_often_waits_and_others_do_not(stage: Any, memory: Any) -> None:
    world = stage.open(memory, limits=Limits(Rate(0.5, 3), MANY, MANY))
    world.clock.hold()
    eager, calm = world.token("operator"), world.token("operator")
    statuses = [world.ask("GET", path, eager).status_code for path in ("/v1/tickets", "/v1/offers") * 2]
    assert statuses == [200, 200, 200, 429]
    refused = world.ask("GET", "/v1/tickets", eager)
    assert (refused.json()["code"], refused.headers["retry-after"]) == ("rate_limited", "2")
    assert world.reached == 3
    assert world.ask("GET", "/v1/tickets", calm).status_code == 200
    world.clock.ahead += 2.0
    assert world.ask("GET", "/v1/tickets", eager).status_code == 200


def test_a_wrong_token_uses_up_nobodys_allowance(stage: Any, memory: Any) -> None:
    world = stage.open(memory, limits=Limits(Rate(0.001, 1), MANY, MANY))
    token = world.token("operator")
    for _ in range(3):
        assert world.ask("GET", "/v1/tickets", token[:-2] + "00").status_code == 401
    assert world.ask("GET", "/v1/tickets", token).status_code == 200


@pytest.mark.parametrize(
    ("line", "given", "status", "code"),
    [
        ("GET /v1/tickets", {}, 401, "token_refused"),
        ("GET /v1/tickets/7", {"role": "operator"}, 422, "invalid_request"),
        ("GET /v1/templates/reply/fr", {"role": "admin"}, 422, "invalid_request"),
        ("GET /v1/tickets", {"role": "system"}, 403, "role_refused"),
        (f"GET /v1/tickets?a={'a' * 8192}", {"role": "operator"}, 400, "invalid_query"),
        ("GET /v1/tickets", {"role": "operator", "Idempotency-Key": "x" * 1025}, 400, "invalid_header"),
        ("GET /v1/nothing", {}, 404, "not_found"),
        ("PUT /v1/tickets", {}, 405, "method_not_allowed"),
    ],
    ids=["token", "uuid", "language", "role", "query", "header", "address", "method"],
)
def test_the_door_refuses_in_the_callers_language(
    world: Any, line: str, given: dict[str, str], status: int, code: str
) -> None:
    method, path = line.split(" ")
    token = world.token(given["role"]) if "role" in given else None
    sent = {name: value for name, value in given.items() if name != "role"}
    for asked, language in (("ru-RU,en;q=0.5", "ru"), ("de, en", "en"), ("en;q=0.4, ru;q=0.3", "en")):
        answer = world.ask(method, path, token, headers={"Accept-Language": asked} | sent)
        problem = answer.json()
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
        assert answer.headers["content-language"] == language
        for text in (problem["title"], problem["detail"]):
            assert is_russian(text) == (language == "ru"), text
    assert world.reached == 0


def test_an_owners_refusal_keeps_its_owners_words(world: Any) -> None:
    world.tickets.status = 404
    world.tickets.headers = {"content-type": "application/problem+json", "content-language": "en"}
    world.tickets.body = b'{"status":404,"code":"not_found","title":"Theirs","detail":"Theirs too"}'
    answer = world.ask("GET", f"/v1/tickets/{TICKET}", world.token(), headers={"Accept-Language": "ru"})
    assert (answer.json()["title"], answer.json()["detail"]) == ("Theirs", "Theirs too")
    assert world.tickets.last.headers["accept-language"] == "ru"


def test_every_wording_is_there_in_both_languages() -> None:
    for code, wording in [*WORDINGS.items(), *OF_CHASSIS.items()]:
        for text in wording.ru:
            assert is_russian(text), code
        for text in wording.en:
            assert not is_russian(text), code
