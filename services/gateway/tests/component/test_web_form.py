"""The web form: anybody may send one, as nobody in particular, and not too often."""

import json
from datetime import UTC, datetime
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import httpx
import pytest

from deskline_chassis.identity import HEADER, Verifier
from deskline_gateway.domain.limits import Limits, Rate

pytestmark = pytest.mark.component

LINE = "01890a5d-ac96-774b-bcce-b302099a8057"
FORM = f"/v1/lines/{LINE}/messages"
BODY = {"address": "customer@example.com", "text": "A question."}
KIB = 1024
MANY = Rate(1000.0, 1000)


def send(world: Any, **headers: str) -> httpx.Response:
    answer: httpx.Response = world.ask("POST", FORM, json=BODY, headers={"Idempotency-Key": "k"} | headers)
    return answer


def test_anybody_may_send_and_comes_as_nobody(world: Any) -> None:
    world.played["intake"].status = 202
    answer = send(world, Origin="https://shop.example", Cookie="session=1")
    received = world.played["intake"].last
    assert (answer.status_code, received.method, received.path) == (202, "POST", FORM)
    assert json.loads(received.body) == BODY
    assert received.headers["origin"] == "https://shop.example"
    assert received.headers["idempotency-key"] == "k"
    assert "cookie" not in received.headers
    who = Verifier(world.public_key, "intake").verify(received.headers[HEADER.lower()], datetime.now(UTC))
    assert (who.actor_id, who.roles, who.scope) == (UUID(int=0), frozenset({"customer"}), "own")


def test_a_token_gives_a_form_no_more_rights(world: Any) -> None:
    for token in (world.token("admin"), "dsk_nonsense"):
        assert send(world, Authorization=f"Bearer {token}").status_code == 200
        signed = world.played["intake"].last.headers[HEADER.lower()]
        assert Verifier(world.public_key, "intake").verify(signed, datetime.now(UTC)).roles == {"customer"}
    assert world.tokens.found == []


@pytest.mark.parametrize(
    "path",
    ["/v1/lines", f"/v1/lines/{LINE}/set-aside", f"/v1/tickets/{LINE}", "/v1/offers", "/v1/tickets/search"],
)
def test_nothing_else_is_open_to_anybody(world: Any, path: str) -> None:
    for method in ("GET", "POST", "PUT"):
        assert world.ask(method, path, content=b"{}").status_code in {401, 405}
    assert world.reached == 0


def test_one_address_that_comes_too_often_waits_and_others_do_not(stage: Any, memory: Any) -> None:
    world = stage.open(
        memory,
        limits=Limits(MANY, Rate(1 / 3, 2), MANY),
        proxies=(ip_network("127.0.0.0/8"),),
    )
    world.clock.hold()
    statuses = [send(world, **{"X-Forwarded-For": "192.0.2.1"}).status_code for _ in range(2)]
    refused = send(world, **{"X-Forwarded-For": "192.0.2.1", "Accept-Language": "ru"})
    assert (statuses, refused.status_code, refused.headers["retry-after"]) == ([200, 200], 429, "3")
    assert (refused.json()["code"], refused.json()["title"]) == ("rate_limited", "Слишком много запросов")
    # What the caller itself wrote before the proxy's word counts for nothing.
    assert send(world, **{"X-Forwarded-For": "198.51.100.7, 192.0.2.1"}).status_code == 429
    assert send(world, **{"X-Forwarded-For": "192.0.2.2"}).status_code == 200
    assert len(world.played["intake"].received) == 3
    world.clock.ahead += 3.0
    assert send(world, **{"X-Forwarded-For": "192.0.2.1"}).status_code == 200


def test_without_proxies_nobody_chooses_the_address_that_they_are_counted_by(stage: Any, memory: Any) -> None:
    world = stage.open(memory, limits=Limits(MANY, Rate(0.001, 2), MANY))
    statuses = [send(world, **{"X-Forwarded-For": f"192.0.2.{n}"}).status_code for n in range(3)]
    assert statuses == [200, 200, 429]


def test_all_strangers_together_are_limited_and_tokens_are_not(stage: Any, memory: Any) -> None:
    world = stage.open(memory, limits=Limits(MANY, MANY, Rate(0.001, 2)))
    assert [send(world).status_code for _ in range(3)] == [200, 200, 429]
    assert world.ask("GET", "/v1/tickets", world.token()).status_code == 200


def test_a_forms_body_has_a_limit_of_its_own(world: Any) -> None:
    headers = {"Idempotency-Key": "k", "Origin": "https://shop.example"}
    answer = world.ask("POST", FORM, content=b"x" * (128 * KIB + 1), headers=headers)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 128 * KIB)
    # The page has to be able to read why.
    assert answer.headers["access-control-allow-origin"] == "*"
    assert world.reached == 0
    assert world.ask("POST", FORM, content=b"x" * 128 * KIB, headers=headers).status_code == 200


def test_a_page_of_another_origin_may_send_a_form_without_credentials(world: Any) -> None:
    preflight = world.ask(
        "OPTIONS",
        FORM,
        headers={
            "Origin": "https://shop.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,idempotency-key",
        },
    )
    assert (preflight.status_code, preflight.content) == (204, b"")
    assert preflight.headers["access-control-allow-origin"] == "*"
    assert preflight.headers["access-control-allow-methods"] == "POST"
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert {"content-type", "idempotency-key"} <= set(allowed.split(", "))
    assert "authorization" not in allowed
    assert world.reached == 0
    for answer in (preflight, send(world, Origin="https://shop.example")):
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["access-control-allow-origin"] == "*"


def test_an_origin_that_the_line_does_not_know_is_its_owners_business(world: Any) -> None:
    intake = world.played["intake"]
    intake.status, intake.headers = 403, {"content-type": "application/problem+json"}
    intake.body = b'{"status":403,"code":"origin_refused"}'
    answer = send(world, Origin="https://evil.example")
    assert (answer.status_code, answer.json()["code"]) == (403, "origin_refused")
