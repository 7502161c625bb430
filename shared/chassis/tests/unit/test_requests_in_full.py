"""What a refused request is told, in both languages; cursors and identities at their limits."""

import asyncio
import base64
import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from fastapi import FastAPI, Request
from pydantic import ValidationError

from deskline_chassis import identity
from deskline_chassis.bodies import Body
from deskline_chassis.callers import require_identity, trust
from deskline_chassis.cursors import BadCursorError, _sealed, read_cursor, write_cursor
from deskline_chassis.http import Problem
from deskline_chassis.idempotency import KeyedCommand
from deskline_chassis.identity import HEADER, Identity, IdentityRefusedError, Verifier, generate_keys, sign
from deskline_chassis.requests import (
    etag,
    idempotency_key,
    keyed_command,
    no_query,
    required_version,
    speaks_russian,
    stated_version,
    stated_version_or_zero,
)

pytestmark = pytest.mark.unit

ACTOR = UUID(int=7)
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def request(*headers: tuple[str, str], query: str = "", app: FastAPI | None = None) -> Request:
    raw = [(name.lower().encode(), value.encode()) for name, value in headers]
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/v1/things",
        "raw_path": b"/v1/things",
        "query_string": query.encode(),
        "headers": raw,
        "app": app,
        "scheme": "http",
        "server": ("desk", 80),
    }
    return Request(scope)


def told(call: Any, *headers: tuple[str, str], query: str = "") -> Problem:
    with pytest.raises(Problem) as refused:
        asyncio.run(call(request(*headers, query=query)))
    return refused.value


def shown(problem: Problem) -> tuple[Any, ...]:
    return problem.status, problem.code, problem.title, problem.detail, problem.headers


REFUSED: list[tuple[Any, list[tuple[str, str]], tuple[Any, ...], tuple[str, str]]] = [
    (
        required_version,
        [],
        (
            428,
            "if_match_required",
            "Say on which version this rests",
            "Send If-Match with the ETag of the ticket that you read.",
        ),
        ("Укажите версию обращения", "Передайте If-Match с ETag прочитанного обращения."),
    ),
    (
        stated_version,
        [("If-Match", "7")],
        (400, "if_match_malformed", "If-Match names no version", 'Send one ETag as it was given: "7".'),
        ("If-Match не содержит версии", 'Передайте один ETag в том виде, как он получен: "7".'),
    ),
    (
        idempotency_key,
        [],
        (
            400,
            "idempotency_key_required",
            "Give the command an Idempotency-Key",
            "Send one Idempotency-Key header of 1 to 200 visible ASCII characters, new for each command.",
        ),
        (
            "Нужен заголовок Idempotency-Key",
            "Передайте один заголовок Idempotency-Key из 1–200 печатных символов ASCII, новый для команды.",
        ),
    ),
]


@pytest.mark.parametrize(("call", "headers", "english", "russian"), REFUSED)
def test_a_refusal_is_told_in_the_callers_language(
    call: Any, headers: list[tuple[str, str]], english: tuple[Any, ...], russian: tuple[str, str]
) -> None:
    assert shown(told(call, *headers)) == (*english, {"Content-Language": "en"})
    in_russian = told(call, *headers, ("Accept-Language", "ru"))
    assert shown(in_russian) == (*english[:2], *russian, {"Content-Language": "ru"})


@pytest.mark.parametrize(
    ("values", "version", "or_zero"),
    [
        ([], None, None),
        (['"1"'], 1, 1),
        ([' "7" '], 7, 7),
        (['"0"'], "400", 0),
        (['"' + "9" * 18 + '"'], 10**18 - 1, 10**18 - 1),
        (['"' + "9" * 19 + '"'], "400", "400"),
        (['"01"'], "400", "400"),
        (['W/"1"'], "400", "400"),
        (['"1", "2"'], "400", "400"),
        (['"1"', '"1"'], "400", "400"),
        ([""], "400", "400"),
        (['"-1"'], "400", "400"),
    ],
)
def test_versions_in_if_match(values: list[str], version: Any, or_zero: Any) -> None:
    for call, expected in ((stated_version, version), (stated_version_or_zero, or_zero)):
        headers = [("If-Match", value) for value in values]
        if expected == "400":
            assert told(call, *headers).code == "if_match_malformed"
        else:
            assert asyncio.run(call(request(*headers))) == expected
    if isinstance(version, int):
        stated = request(*[("If-Match", value) for value in values])
        assert asyncio.run(required_version(stated)) == version
    assert etag(7) == '"7"'


@pytest.mark.parametrize("key", ["!", "~" * 200])
def test_a_key_is_visible_ascii(key: str) -> None:
    assert asyncio.run(idempotency_key(request(("Idempotency-Key", key)))) == key


@pytest.mark.parametrize("keys", [[""], ["~" * 201], ["a b"], ["\x7f"], ["é"], ["a", "a"]])
def test_what_is_no_key(keys: list[str]) -> None:
    refused = told(idempotency_key, *[("Idempotency-Key", key) for key in keys])
    assert refused.code == "idempotency_key_required"


class Thing(Body):
    name: str


def test_a_command_is_known_again_by_who_what_and_where() -> None:
    command = keyed_command(request(), ACTOR, "key", Thing(name="x"))
    digest = hashlib.sha256(b'{"name":"x"}').digest()
    assert command == KeyedCommand(ACTOR, "key", "POST /v1/things", digest)
    assert keyed_command(request(), ACTOR, "key", Thing(name="x")) == command
    assert keyed_command(request(), ACTOR, "key", Thing(name="y")).body_hash != command.body_hash


def test_a_body_is_as_it_was_sent() -> None:
    thing = Thing(name="x")
    with pytest.raises(ValidationError):
        thing.name = "y"  # type: ignore[misc]


def test_parameters_that_a_route_does_not_take_are_named() -> None:
    asyncio.run(no_query(request()))
    refused = told(no_query, query="a=1&" + "b" * 101 + "=2")
    assert (refused.status, refused.code, refused.title) == (
        422,
        "invalid_request",
        "The request is not as this route takes it",
    )
    assert refused.members["errors"] == [
        {"field": "query.a", "message": "Extra inputs are not permitted"},
        {"field": "query." + "b" * 100, "message": "Extra inputs are not permitted"},
    ]
    many = "&".join(f"p{number}=1" for number in range(101))
    assert len(told(no_query, query=many).members["errors"]) == 100


@pytest.mark.parametrize(
    ("header", "russian"),
    [
        (None, False),
        ("", False),
        ("ru", True),
        ("RU-ru", True),
        ("en, ru;q=0.9", False),
        ("en;q=0.8, ru;q=0.9", True),
        ("en;q=0.9, ru;q=0.9", False),
        ("ru;q=x", False),
        ("ru;Q = 0.1", True),
        ("ru;q=0.5=1, en;q=0.4", False),
        ("ru;a=b;q=0, en;q=0.5", True),
        ("en;q=1.0, ru", False),
        ("en;q=1.5, ru", False),
        ("ru;q=0.1, ru;q=0.9, en;q=0.5", True),
        ("x" * 197 + ",ru", True),
        ("x" * 198 + ",ru", False),
    ],
)
def test_who_reads_russian(header: str | None, russian: bool) -> None:
    assert speaks_russian(header) is russian


# Cursors


def test_cursors_are_the_same_for_ever() -> None:
    cursor = write_cursor("list", 7, ACTOR)
    assert cursor == "ynSZhI1xWzcsIjAwMDAwMDAwLTAwMDAtMDAwMC0wMDAwLTAwMDAwMDAwMDAwNyJd"
    assert read_cursor("list", cursor, int, UUID) == (7, ACTOR)
    assert write_cursor("list", NOW) == "xpEJo_ZJWyIyMDI2LTAzLTAxVDEyOjAwOjAwKzAwOjAwIl0"
    assert read_cursor("list", write_cursor("list", NOW), datetime) == (NOW,)
    # One of each length, and of each last letter, comes back.
    for number in range(500):
        assert read_cursor("list", write_cursor("list", number), int) == (number,)
    assert not any("=" in write_cursor("list", 10**size) for size in range(6))
    assert read_cursor("list", write_cursor("list", 2**63 - 1, 0), int, int) == (2**63 - 1, 0)


def made_up(list_name: str, body: bytes) -> str:
    return _sealed(list_name, body)


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b"[7]", b"[7,7]", b'[7,"x"]', b"[-1]", b'["7",7]', b"7", b"[true,true]", b"[7.0,7]"],
)
def test_a_made_up_cursor_is_refused(body: bytes) -> None:
    with pytest.raises(BadCursorError) as refused:
        read_cursor("list", made_up("list", body), int, UUID)
    assert str(refused.value) == "this cursor was given out by no page"
    assert refused.value.safe_message is True


@pytest.mark.parametrize(
    "body", [b"[-1]", b"[9223372036854775808]", b"[true]", b'["1"]', b"[1.0]", b"[null]"]
)
def test_what_is_no_whole_number_from_0_is_refused(body: bytes) -> None:
    with pytest.raises(BadCursorError):
        read_cursor("list", made_up("list", body), int)


@pytest.mark.parametrize("body", [b'["2026-03-01T12:00:00"]', b'["x"]', b"[1]"])
def test_a_moment_without_a_zone_is_refused(body: bytes) -> None:
    with pytest.raises(BadCursorError):
        read_cursor("list", made_up("list", body), datetime)


def test_a_cursor_of_another_list_or_another_spelling_is_refused() -> None:
    cursor = write_cursor("list", 7)
    for name, other in [
        ("lisu", cursor),
        ("list", cursor + "="),
        ("list", cursor[:-1]),
        ("list", "A" + cursor),
    ]:
        with pytest.raises(BadCursorError):
            read_cursor(name, other, int)


# Identity

PRIVATE, PUBLIC = generate_keys()
ANN = Identity(ACTOR, frozenset({"operator", "lead"}), "team")


def test_a_token_counts_from_its_moment_to_its_end_and_the_skew() -> None:
    token, verifier = sign(PRIVATE, ANN, "tickets", NOW), Verifier(PUBLIC, "tickets")
    second = timedelta(seconds=1)
    for moment in (NOW - 5 * second, NOW, NOW + 34.999 * second):
        assert verifier.verify(token, moment) == ANN
    for moment, reason in ((NOW - 5.001 * second, "not_yet"), (NOW + 35 * second, "expired")):
        with pytest.raises(IdentityRefusedError) as refused:
            verifier.verify(token, moment)
        assert (refused.value.reason, str(refused.value)) == (reason, reason)
        assert refused.value.safe_message is True
    assert (30 * second, 5 * second) == (identity.LIFETIME, identity.CLOCK_SKEW)
    assert (identity.HEADER, identity.ISSUER) == ("Deskline-Identity", "deskline.gateway")


def test_what_a_token_says_is_the_released_form() -> None:
    header, payload, signature = sign(PRIVATE, ANN, "tickets", NOW, timedelta(seconds=9)).split(".")

    def read(part: str) -> bytes:
        return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))

    assert read(header) == b'{"alg":"Ed25519","typ":"JWT"}'
    issued = int(NOW.timestamp())
    assert read(payload).decode() == (
        f'{{"iss":"deskline.gateway","aud":"tickets","sub":"{ACTOR}","roles":["lead","operator"],'
        f'"scope":"team","nbf":{issued},"exp":{issued + 9}}}'
    )
    assert len(read(signature)) == 64


def test_a_token_may_be_as_long_as_that() -> None:
    long = Identity(ACTOR, frozenset(), "x" * 2_800)
    assert Verifier(PUBLIC, "t").verify(sign(PRIVATE, long, "t", NOW), NOW) == long
    for size in (identity.MAX_BYTES, identity.MAX_BYTES + 1):
        with pytest.raises(IdentityRefusedError) as refused:
            Verifier(PUBLIC, "t").verify("x" * size, NOW)
        assert refused.value.reason == ("malformed" if size == 4096 else "too_large")


def test_a_call_without_one_identity_is_told_what_it_lacks() -> None:
    app = FastAPI()
    trust(app, Verifier(PUBLIC, "tickets"))
    token = sign(PRIVATE, ANN, "tickets", datetime.now(UTC))
    assert asyncio.run(require_identity(request((HEADER, token), app=app))) == ANN
    for headers, reason in (
        ([], "missing"),
        ([(HEADER, token)] * 2, "malformed"),
        ([(HEADER, "x")], "malformed"),
    ):
        with pytest.raises(Problem) as refused:
            asyncio.run(require_identity(request(*headers, app=app)))
        problem = refused.value
        assert (problem.status, problem.code, problem.title) == (
            401,
            "identity_refused",
            "The call carries no identity that this service believes",
        )
        assert (problem.headers, problem.members) == ({"WWW-Authenticate": HEADER}, {"reason": reason})


def test_keys_are_of_32_bytes_in_base64() -> None:
    assert [len(base64.b64decode(key, validate=True)) for key in (PRIVATE, PUBLIC)] == [32, 32]
    for wrong in ("*", PUBLIC[:-4], "*" + PUBLIC):
        with pytest.raises(ValueError):
            Verifier(wrong, "tickets")
        with pytest.raises(ValueError):
            sign(wrong, ANN, "tickets", NOW)
