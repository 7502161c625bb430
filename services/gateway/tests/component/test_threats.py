"""Threats to the door, each by its name."""

import base64
import hmac
import http.client
import json
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from services.gateway.tests.matrix import matrix

from deskline_chassis.identity import HEADER, Identity, IdentityRefusedError, Verifier, generate_keys, sign
from deskline_gateway.domain.table import RULES
from deskline_gateway.domain.tokens import Token, text_of

pytestmark = pytest.mark.component

TICKET = "01890a5d-ac96-774b-bcce-b302099a8057"
CARD = f"/v1/tickets/{TICKET}"
NOTES = f"{CARD}/notes"
MIB = 1024 * 1024


def is_refused(answer: Any) -> bool:
    problem = answer.json()
    problem.pop("trace_id")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="deskline"'
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["code"] == "token_refused"
    return True


def test_missing_wrong_expired_and_revoked_tokens_are_answered_alike(
    real: Any, make_token: Callable[..., tuple[Token, str]]
) -> None:
    now = datetime.now(UTC)
    past = {"created_at": now - timedelta(days=2), "expires_at": now - timedelta(seconds=1)}
    stranger, unknown = make_token("admin")
    answers = [
        real.ask("GET", CARD),
        real.ask("GET", CARD, "dsk_nonsense"),
        real.ask("GET", CARD, unknown),
        real.ask("GET", CARD, real.token("admin")[:-2] + "00"),
        real.ask("GET", CARD, real.token("admin", **past)),
        real.ask("GET", CARD, real.token("admin", revoked_at=now)),
        real.ask("GET", CARD, headers={"Authorization": "Basic YTpi"}),
    ]
    assert all(is_refused(answer) for answer in answers)
    texts = {answer.text.replace(answer.headers["x-request-id"], "") for answer in answers}
    names = {tuple(sorted(set(answer.headers) - {"date"})) for answer in answers}
    assert (len(texts), len(names)) == (1, 1)
    assert real.reached == 0
    assert str(stranger.id) not in "".join(texts)


def test_forged_token(real: Any) -> None:
    good = real.token("operator")
    assert real.ask("GET", CARD, good).status_code == 200
    token = real.tokens.every()[-1]
    assert is_refused(real.ask("GET", CARD, text_of(token.id, bytes(32))))
    assert is_refused(real.ask("GET", CARD, text_of(token.id, token.hash)))
    assert real.reached == 1


def jwt(header: dict[str, str], claims: dict[str, Any], key: bytes | None) -> str:
    signed = b".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims)
    )
    seal = b"" if key is None else hmac.digest(key, signed, "sha256")
    return (signed + b"." + base64.urlsafe_b64encode(seal).rstrip(b"=")).decode()


@pytest.mark.parametrize("algorithm", ["none", "HS256", "EdDSA", "Ed25519"])
def test_algorithm_confusion(world: Any, keys: tuple[str, str], algorithm: str) -> None:
    """An identity that the caller made, sealed with what everybody knows, opens nothing anywhere."""
    now = int(datetime.now(UTC).timestamp())
    claims = {
        "iss": "deskline.gateway",
        "aud": "tickets",
        "sub": TICKET,
        "roles": ["admin"],
        "scope": "all",
        "nbf": now,
        "exp": now + 30,
    }
    for key in (None, base64.b64decode(keys[1]), keys[1].encode()):
        forged = jwt({"alg": algorithm, "typ": "JWT"}, claims, key)
        assert is_refused(world.ask("GET", CARD, forged))
        assert is_refused(world.ask("GET", CARD, headers={HEADER: forged}))
        with pytest.raises(IdentityRefusedError, match=r"algorithm|forged|malformed"):
            Verifier(keys[1], "tickets").verify(forged, datetime.now(UTC))
    assert world.reached == 0


def test_cross_site_request_forgery(world: Any) -> None:
    """What a browser adds by itself opens nothing: there are no cookies, in or out."""
    token = world.token("admin")
    headers = {
        "Cookie": f"token={token}; Authorization=Bearer {token}; session=1",
        "Origin": "https://evil.example",
        "Content-Type": "application/x-www-form-urlencoded",
    }
    for rule in RULES:
        world.played[rule.owner].headers["set-cookie"] = "session=1"
        case = next(case for case in matrix(rules=(rule,)) if case.role is None)
        content, reached = b"text=1" if rule.has_body else None, world.reached
        answer = world.ask(rule.method, case.path, content=content, headers=headers)
        assert "set-cookie" not in answer.headers
        assert "access-control-allow-credentials" not in answer.headers
        if rule.public:
            # Its owner takes JSON only, which no page of another site sends without asking first.
            received = world.played[rule.owner].last.headers
            assert "cookie" not in received
            assert received["content-type"] == "application/x-www-form-urlencoded"
        else:
            assert (answer.status_code, world.reached) == (401, reached), rule.name
            assert not [name for name in answer.headers if name.startswith("access-control")]


def test_expired_token_is_refused_although_it_is_remembered(real: Any, until: Callable[..., None]) -> None:
    short = real.token(expires_at=datetime.now(UTC) + timedelta(seconds=2))
    # The second request finds the day of use noted and is remembered.
    assert [real.ask("GET", CARD, short).status_code for _ in range(2)] == [200, 200]
    until(lambda: real.ask("GET", CARD, short).status_code == 401, 3.0)


def test_revoked_token_is_refused_within_five_seconds(real: Any, until: Callable[..., None]) -> None:
    text = real.token()
    assert [real.ask("GET", CARD, text).status_code for _ in range(2)] == [200, 200]
    now = datetime.now(UTC)
    assert real.tokens.revoke(next(one.id for one in real.tokens.every() if one.id.hex in text), now)
    until(lambda: real.ask("GET", CARD, text).status_code == 401, 5.0)


def test_identity_header_smuggled_in(world: Any, keys: tuple[str, str]) -> None:
    admin = Identity(UUID(TICKET), frozenset({"admin"}), "all")
    stolen = sign(keys[0], admin, "tickets", datetime.now(UTC))
    assert is_refused(world.ask("GET", CARD, headers={HEADER: stolen}))
    smuggled = [(HEADER, stolen), (HEADER.lower(), "x"), (HEADER.upper(), stolen)]
    answer = world.ask("GET", CARD, world.token("operator"), headers=smuggled)
    assert answer.status_code == 200
    received = world.tickets.last.headers
    assert received[HEADER.lower()] != stolen
    identity = Verifier(world.public_key, "tickets").verify(received[HEADER.lower()], datetime.now(UTC))
    assert identity.roles == frozenset({"operator"})


def test_no_authorization_header_reaches_an_owner(world: Any) -> None:
    token = world.token()
    assert world.ask("GET", CARD, token).status_code == 200
    assert world.ask("POST", NOTES, token, content=b"{}").status_code == 200
    assert world.ask("GET", "/v1/tickets", token).status_code == 200
    for received in [*world.tickets.received, *world.analytics.received]:
        assert "authorization" not in received.headers
        assert token not in repr(received)


def test_another_services_audience(world: Any) -> None:
    token = world.token()
    world.ask("GET", CARD, token)
    world.ask("GET", "/v1/tickets", token)
    now = datetime.now(UTC)
    for_tickets = world.tickets.last.headers[HEADER.lower()]
    for_analytics = world.analytics.last.headers[HEADER.lower()]
    assert Verifier(world.public_key, "tickets").verify(for_tickets, now)
    assert Verifier(world.public_key, "analytics").verify(for_analytics, now)
    for text, audience in ((for_tickets, "analytics"), (for_analytics, "tickets")):
        with pytest.raises(IdentityRefusedError, match="audience"):
            Verifier(world.public_key, audience).verify(text, now)
    with pytest.raises(IdentityRefusedError, match="forged"):
        Verifier(generate_keys()[1], "tickets").verify(for_tickets, now)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/tickets/..",
        "/v1/tickets/../../metrics",
        "/v1/tickets/%2e%2e",
        "/v1/tickets/%2e%2e%2f%2e%2e%2fmetrics",
        "/v1/tickets/..%2f..%2fhealthz/history",
        "/v1/tickets/%252e%252e",
        f"/v1/tickets/{TICKET}%2fhistory%2f..",
        f"/v1/tickets/{TICKET}%3fx=1",
        f"/v1/tickets/{TICKET}%00",
        f"/v1/tickets/{TICKET}%0d%0aX-Evil:%201",
        "/v1/tickets/by-number/7%2f..",
        "/v1/tickets/http:%2f%2fevil%2f",
        "//evil/v1/tickets",
        "/v1/lines/../tickets/set-aside",
        "/v1/tickets/../events",
        f"/v1/tickets/{TICKET}/events/..",
        "/v1/templates/..%2f..%2foperators/ru",
        "/v1/templates/reply/..",
        "/v1/operators/%2e%2e",
        "/V1/tickets",
    ],
)
def test_path_traversal_in_ids(lasting: Any, path: str) -> None:
    # httpx would resolve the dots before it sends; this client sends what it is given.
    client = http.client.HTTPConnection("127.0.0.1", lasting.gateway.port, timeout=5)
    token = lasting.token("operator", "admin")
    client.request("GET", path, headers={"Authorization": f"Bearer {token}"})
    answer = client.getresponse()
    problem = json.loads(answer.read())
    client.close()
    assert answer.status in {404, 422}
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(problem["detail"]) > 20
    assert lasting.reached == 0


def chunks(size: int) -> Iterator[bytes]:
    for _ in range(size // 65536):
        yield b"x" * 65536
    yield b"x" * (size % 65536)


@pytest.mark.parametrize("chunked", [False, True])
def test_oversize_body(world: Any, chunked: bool) -> None:
    token = world.token()
    answer = world.ask("POST", NOTES, token, content=chunks(MIB + 1) if chunked else b"x" * (MIB + 1))
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["limit_bytes"]) == (413, "body_too_large", MIB)
    assert "64 KiB" in problem["detail"]
    assert world.reached == 0
    assert world.ask("POST", NOTES, token, content=chunks(MIB) if chunked else b"x" * MIB).status_code == 200
    assert len(world.tickets.last.body) == MIB


def test_a_stranger_can_not_make_the_door_read_a_body(world: Any) -> None:
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as connection:
        connection.sendall(f"POST {NOTES} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n".encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")


def test_a_body_that_never_ends_is_given_up(world: Any) -> None:
    head = (
        f"POST {NOTES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.token()}\r\n"
        "Content-Length: 9\r\n\r\nx"
    )
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as connection:
        connection.sendall(head.encode())
        assert connection.recv(65536).startswith(b"HTTP/1.1 408")
    assert world.reached == 0


def raw(world: Any, line: bytes) -> bytes:
    """The answer to a card's request with a header line that no client library would send."""
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as connection:
        connection.sendall(
            f"GET {CARD} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {world.token()}\r\n".encode()
            + line
            + b"\r\n\r\n"
        )
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


@pytest.mark.parametrize(
    "line",
    [
        b"Idempotency-Key: a\rX-Evil: 1",
        b"Idempotency-Key: a\x00b",
        b"If-Match: \xd0\xb9",
        b"If-Match: 1\r\nIf-Match: 2",
        b"Authorization: Bearer x",
        b"Idempotency-Key : a",
    ],
)
def test_header_injection(world: Any, line: bytes) -> None:
    answer = raw(world, line)
    assert answer.split(b" ")[1] in {b"400", b"401"}
    assert world.reached == 0


def test_header_injection_by_an_owner(world: Any) -> None:
    world.tickets.headers |= {
        "location": "//evil/v1/",
        "access-control-allow-origin": "*",
        "set-cookie": "a=b",
    }
    answer = world.ask("GET", CARD, world.token())
    assert answer.status_code == 200
    assert not {"location", "access-control-allow-origin", "set-cookie"} & set(answer.headers)


def test_slow_upstream(stage: Any, memory: Any) -> None:
    world = stage.open(memory, total_seconds=0.4)
    world.tickets.seconds = 30.0
    token = world.token()
    asked = world.ask("GET", CARD, token)
    assert (asked.status_code, asked.json()["code"]) == (503, "owner_unavailable")
    assert asked.headers["retry-after"] == "2"
    told = world.ask("POST", NOTES, token, content=b"{}")
    assert (told.status_code, told.json()["code"]) == (504, "outcome_unknown")
    # Neither was sent a second time: the owner was there, only slow.
    assert len(world.tickets.received) == 2


def test_upstream_redirect_is_not_followed(world: Any) -> None:
    world.tickets.status = 307
    world.tickets.headers = {"location": f"{world.owners['analytics'].url}/v1/tickets"}
    answer = world.ask("POST", NOTES, world.token(), content=b"{}")
    assert answer.status_code == 502
    assert len(world.tickets.received) == 1
    assert world.analytics.received == []


def test_cors_preflight_denied(world: Any) -> None:
    answer = world.ask(
        "OPTIONS",
        NOTES,
        headers={
            "Origin": "https://evil.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization",
        },
    )
    assert answer.status_code == 405
    assert answer.json()["detail"].startswith("This address does not take this method")
    assert not [name for name in answer.headers if name.startswith("access-control")]
    assert world.reached == 0


def test_environment_proxies_are_not_used(stage: Any, memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    world = stage.open(memory)
    assert world.ask("GET", CARD, world.token()).status_code == 200
