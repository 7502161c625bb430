"""Identity: what the gateway signed is believed, for one service and for a moment; nothing else is."""

import base64
import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends

from deskline_chassis.callers import require_identity, trust
from deskline_chassis.http import create_app
from deskline_chassis.identity import HEADER, Identity, IdentityRefusedError, Verifier, generate_keys, sign
from deskline_chassis.runtime import Runtime

pytestmark = pytest.mark.unit

PRIVATE, PUBLIC = generate_keys()
NOW = datetime(2025, 3, 1, 12, tzinfo=UTC)
IVAN = Identity(UUID(int=7), frozenset({"operator", "lead"}), "tickets:write")


def part(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    issued = int(NOW.timestamp())
    return {
        "iss": "deskline.gateway",
        "aud": "tickets",
        "sub": str(IVAN.actor_id),
        "roles": ["operator"],
        "scope": "tickets:write",
        "nbf": issued,
        "exp": issued + 30,
    } | changes


def signed(content: dict[str, Any], algorithm: str = "Ed25519", **header: Any) -> str:
    """A token signed with the real key, whatever it says."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    text = f"{part({'alg': algorithm} | header)}.{part(content)}"
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(PRIVATE))
    return f"{text}.{part(key.sign(text.encode()))}"


def refused(token: str, now: datetime = NOW, audience: str = "tickets") -> str:
    with pytest.raises(IdentityRefusedError) as error:
        Verifier(PUBLIC, audience).verify(token, now)
    return error.value.reason


def test_signed_identity_is_believed() -> None:
    assert Verifier(PUBLIC, "tickets").verify(sign(PRIVATE, IVAN, "tickets", NOW), NOW) == IVAN
    assert Verifier(PUBLIC, "tickets").verify(signed(claims()), NOW).actor_id == IVAN.actor_id


def test_forged_token_of_another_key_is_refused() -> None:
    other, _ = generate_keys()
    assert refused(sign(other, IVAN, "tickets", NOW)) == "forged"


def test_forged_claims_under_a_real_signature_are_refused() -> None:
    header, _, signature = sign(PRIVATE, IVAN, "tickets", NOW).split(".")
    assert refused(f"{header}.{part(claims(roles=['admin']))}.{signature}") == "forged"


def test_forged_key_inside_the_token_is_not_used() -> None:
    other, public = generate_keys()
    key = {"kty": "OKP", "crv": "Ed25519", "x": part(base64.b64decode(public))}
    header, payload, _ = signed(claims(), jwk=key).split(".")
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    signature = Ed25519PrivateKey.from_private_bytes(base64.b64decode(other)).sign(
        f"{header}.{payload}".encode()
    )
    assert refused(f"{header}.{payload}.{part(signature)}") == "forged"


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
def test_algorithm_confusion_none_is_refused(name: Any) -> None:
    assert refused(f"{part({'alg': name})}.{part(claims())}.") == "algorithm"


@pytest.mark.parametrize("secret", [PUBLIC.encode(), base64.b64decode(PUBLIC)], ids=["text", "bytes"])
def test_algorithm_confusion_hs256_with_the_public_key_as_secret_is_refused(secret: bytes) -> None:
    text = f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{part(claims())}"
    assert refused(f"{text}.{part(hmac.new(secret, text.encode(), hashlib.sha256).digest())}") == "algorithm"


@pytest.mark.parametrize("name", ["EdDSA", "Ed448", "ES256", "RS256", "ed25519", 7, None, ["Ed25519"]])
def test_algorithm_confusion_by_any_other_name_is_refused(name: Any) -> None:
    assert refused(signed(claims(), name)) == "algorithm"


def test_critical_extension_that_we_do_not_know_is_refused() -> None:
    assert refused(signed(claims(), crit=["b64"], b64=False)) in {"malformed", "forged"}


def test_expired_token_is_refused_after_the_skew() -> None:
    token = sign(PRIVATE, IVAN, "tickets", NOW)
    assert Verifier(PUBLIC, "tickets").verify(token, NOW + timedelta(seconds=34)) == IVAN
    assert refused(token, NOW + timedelta(seconds=35)) == "expired"


def test_token_from_the_future_is_refused_before_the_skew() -> None:
    token = sign(PRIVATE, IVAN, "tickets", NOW)
    assert Verifier(PUBLIC, "tickets").verify(token, NOW - timedelta(seconds=5)) == IVAN
    assert refused(token, NOW - timedelta(seconds=6)) == "not_yet"


def test_wrong_audience_is_refused() -> None:
    token = sign(PRIVATE, IVAN, "tickets", NOW)
    assert refused(token, audience="intake") == "audience"
    assert refused(signed(claims(aud=["tickets", "intake"]))) == "malformed"


def test_wrong_issuer_is_refused() -> None:
    assert refused(signed(claims(iss="deskline.intake"))) == "issuer"


@pytest.mark.parametrize("name", ["iss", "aud", "sub", "roles", "scope", "nbf", "exp"])
def test_token_without_a_claim_is_refused(name: Any) -> None:
    content = claims()
    del content[name]
    assert refused(signed(content)) == "malformed"


@pytest.mark.parametrize(
    "change",
    [
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": None},
        {"exp": 1e400},
        {"sub": "ivan"},
        {"roles": "admin"},
    ],
)
def test_token_with_a_claim_of_another_type_is_refused(change: dict[str, Any]) -> None:
    assert refused(signed(claims(**change))) == "malformed"


@pytest.mark.parametrize(
    "token", ["", ".", "..", "a.b", "a.b.c.d", "ж.ж.ж", "\ud800", f"{part([])}.{part({})}.x"]
)
def test_rubbish_is_refused(token: str) -> None:
    assert refused(token) in {"malformed", "algorithm"}


def test_oversized_token_is_refused_before_it_is_read() -> None:
    assert refused(signed(claims(scope="x" * 4096))) == "too_large"


@pytest.mark.parametrize("key", ["", "no base64!", base64.b64encode(bytes(31)).decode()])
def test_verifier_refuses_a_key_that_is_none(key: str) -> None:
    with pytest.raises(ValueError):
        Verifier(key, "tickets")


def ask(headers: list[tuple[str, str]]) -> httpx.Response:
    import asyncio

    app = create_app("planets", "1", Runtime("planets"))
    trust(app, Verifier(PUBLIC, "tickets"))

    @app.get("/me")
    async def me(identity: Annotated[Identity, Depends(require_identity)]) -> dict[str, object]:
        return {"actor": str(identity.actor_id), "roles": sorted(identity.roles)}

    async def call() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://planets") as client:
            return await client.get("/me", headers=headers)

    return asyncio.run(call())


def test_route_gets_the_callers_identity() -> None:
    answer = ask([(HEADER, sign(PRIVATE, IVAN, "tickets", datetime.now(UTC)))])
    assert (answer.status_code, answer.json()) == (
        200,
        {"actor": str(IVAN.actor_id), "roles": ["lead", "operator"]},
    )


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], "missing"),
        ([(HEADER, "x")], "malformed"),
        ([(HEADER, "x"), (HEADER, "y")], "malformed"),
        ([(HEADER, signed(claims()))], "expired"),
    ],
)
def test_route_refuses_anybody_else(headers: list[tuple[str, str]], reason: str) -> None:
    answer = ask(headers)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"] == HEADER
    assert (answer.json()["code"], answer.json()["reason"]) == ("identity_refused", reason)


def test_route_refuses_two_identities_even_when_the_first_is_real() -> None:
    token = sign(PRIVATE, IVAN, "tickets", datetime.now(UTC))
    assert ask([(HEADER, token), (HEADER, token)]).json()["reason"] == "malformed"
