"""Tokens: their text, what is kept, when one is good, and for how long it is believed."""

import asyncio
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from deskline_gateway.adapters import token_cache
from deskline_gateway.adapters.token_cache import TokenCache, TokensAwayError
from deskline_gateway.domain import tokens
from deskline_gateway.domain.tokens import Presented, Token, hash_of, is_good, presented, text_of
from deskline_gateway.handlers import CreateToken, create_token, list_tokens

pytestmark = pytest.mark.unit

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
ID = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
SECRET = bytes(range(32))
TEXT = text_of(ID, SECRET)
Make = Callable[..., tuple[Token, str]]


def test_a_token_is_read_as_it_was_written() -> None:
    assert TEXT.startswith("dsk_01890a5dac96774bbcceb302099a8057_")
    assert presented([f"Bearer {TEXT}"]) == Presented(ID, SECRET)
    assert presented([f"bearer  {TEXT}"]) == Presented(ID, SECRET)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [f"Bearer {TEXT}", f"Bearer {TEXT}"],
        [TEXT],
        [f"Basic {TEXT}"],
        [f"Bearer {TEXT}, Bearer {TEXT}"],
        [f"Bearer {TEXT[:-1]}"],
        [f"Bearer {TEXT}0"],
        [f"Bearer {TEXT.upper()}"],
        ["Bearer"],
        ["Bearer "],
    ],
)
def test_anything_else_is_no_token(headers: list[str]) -> None:
    assert presented(headers) is None


def test_the_secret_is_not_kept(memory: Any) -> None:
    command = CreateToken(
        token_id=ID,
        secret=SECRET,
        actor_id=ID,
        roles=frozenset({"admin"}),
        scope="all",
        label="x",
        days=2,
        now=NOW,
    )
    text = create_token(memory, command)
    assert text == TEXT
    (kept,) = memory.every()
    assert SECRET not in [getattr(kept, name) for name in kept.__slots__]
    assert kept.hash == hash_of(SECRET)
    assert kept.expires_at == NOW + timedelta(days=2)
    assert (kept.last_used_on, kept.revoked_at) == (None, None)
    (shown,) = list_tokens(memory)
    assert "hash" not in shown
    assert SECRET.hex() not in repr(shown)
    assert kept.hash.hex() not in repr(shown)


def test_only_the_right_secret_of_a_living_token_is_good(make_token: Make) -> None:
    now = datetime.now(UTC)
    token, _ = make_token()
    assert is_good(token, SECRET, now)
    assert not is_good(token, SECRET[:-1] + b"x", now)
    assert not is_good(None, SECRET, now)
    assert not is_good(None, bytes(32), now)
    assert not is_good(token, SECRET, token.expires_at)
    assert not is_good(make_token(revoked_at=now)[0], SECRET, now)


def test_secrets_are_compared_in_constant_time_for_known_and_unknown_ids(
    make_token: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []

    def spy(left: bytes, right: bytes) -> bool:
        compared.append((left, right))
        return hmac.compare_digest(left, right)

    monkeypatch.setattr(tokens, "hmac", type("spied", (), {"compare_digest": staticmethod(spy)}))
    token, _ = make_token()
    is_good(token, SECRET, NOW)
    is_good(token, b"wrong", NOW)
    is_good(None, SECRET, NOW)
    assert compared == [
        (hash_of(SECRET), token.hash),
        (hash_of(b"wrong"), token.hash),
        (hash_of(SECRET), bytes(32)),
    ]


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_tokens_are_asked_once_in_three_seconds(memory: Any, make_token: Make) -> None:
    async def scenario() -> None:
        clock, now = Clock(), datetime.now(UTC)
        cache = TokenCache(memory, clock)
        token, _ = make_token(last_used_on=now.date())
        memory.add(token)
        brought = Presented(token.id, SECRET)
        believed = await asyncio.gather(*[cache.believe(brought, now) for _ in range(20)])
        assert believed == [token] * 20
        assert memory.found == [token.id]
        memory.kept[token.id] = make_token(id=token.id, revoked_at=now)[0]
        clock.now += token_cache.FRESH_SECONDS - 0.1
        assert await cache.believe(brought, now) == token
        clock.now += 0.2
        assert await cache.believe(brought, now) is None
        assert len(memory.found) == 2

    asyncio.run(scenario())


def test_a_slow_answer_is_as_old_as_its_question(memory: Any, make_token: Make) -> None:
    async def scenario() -> None:
        clock, now = Clock(), datetime.now(UTC)
        cache = TokenCache(memory, clock)
        token, _ = make_token(last_used_on=now.date())
        find = memory.find

        def slow(token_id: UUID) -> Token | None:
            found: Token | None = find(token_id)
            clock.now += token_cache.FRESH_SECONDS
            return found

        memory.find = slow
        memory.add(token)
        for asked in (1, 2):
            assert await cache.believe(Presented(token.id, SECRET), now) == token
            assert len(memory.found) == asked

    asyncio.run(scenario())


def test_guesses_fill_no_memory_and_no_token_is_more_than_remembered(
    memory: Any, make_token: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_cache, "MOST", 3)

    async def scenario() -> None:
        now = datetime.now(UTC)
        cache = TokenCache(memory)
        for _ in range(5):
            unknown, _ = make_token()
            assert await cache.believe(Presented(unknown.id, SECRET), now) is None
        assert len(cache._known) == 0
        for _ in range(5):
            token, _ = make_token(last_used_on=now.date())
            memory.add(token)
            assert await cache.believe(Presented(token.id, SECRET), now) == token
        assert len(cache._known) == 3
        assert not cache._asking

    asyncio.run(scenario())


def test_the_day_of_use_is_noted_once(memory: Any, make_token: Make) -> None:
    async def scenario() -> None:
        now = datetime.now(UTC)
        cache = TokenCache(memory)
        token, _ = make_token(last_used_on=now.date() - timedelta(days=1))
        memory.add(token)
        assert await cache.believe(Presented(token.id, b"wrong"), now) is None
        assert memory.noted == []
        assert await cache.believe(Presented(token.id, SECRET), now) == token
        assert memory.noted == [token.id]
        memory.kept[token.id] = make_token(id=token.id, last_used_on=now.date())[0]
        assert await cache.believe(Presented(token.id, SECRET), now) is not None
        assert memory.noted == [token.id]

    asyncio.run(scenario())


def test_tokens_away_lets_nobody_in_and_is_not_asked_by_everybody(memory: Any, make_token: Make) -> None:
    async def scenario() -> None:
        clock, now = Clock(), datetime.now(UTC)
        cache = TokenCache(memory, clock)
        token, _ = make_token(last_used_on=now.date())
        memory.add(token)
        asked = 0

        def away(_: UUID) -> Token | None:
            nonlocal asked
            asked += 1
            raise psycopg.OperationalError

        find, memory.find = memory.find, away
        for _ in range(5):
            with pytest.raises(TokensAwayError):
                await cache.believe(Presented(token.id, SECRET), now)
        assert asked == 1
        memory.find = find
        clock.now += token_cache.AWAY_SECONDS
        assert await cache.believe(Presented(token.id, SECRET), now) == token

    asyncio.run(scenario())


def test_a_secret_is_of_256_bits() -> None:
    assert tokens.SECRET_BYTES == 32
    assert presented([f"Bearer {text_of(ID, bytes(tokens.SECRET_BYTES))}"]) is not None
