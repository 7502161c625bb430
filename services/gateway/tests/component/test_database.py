"""The table of tokens on a real PostgreSQL: what it takes, who may, and what happens while it is away."""

import asyncio
import threading
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from uuid_utils.compat import uuid7

from deskline_chassis.loops import Beat
from deskline_chassis.metrics import REGISTRY
from deskline_chassis.migrate import table_kinds
from deskline_chassis.postgres import Database
from deskline_gateway.adapters.owners import HttpOwners
from deskline_gateway.adapters.token_cache import FRESH_SECONDS
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.domain.tokens import Token
from deskline_gateway.timers import watch_upstreams
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

CARD = "/v1/tickets/01890a5d-ac96-774b-bcce-b302099a8057"
Make = Callable[..., tuple[Token, str]]
Until = Callable[..., None]


def test_a_token_is_kept_as_it_was_given(database: Database, make_token: Make) -> None:
    table = TokenTable(database)
    token, _ = make_token("lead", "admin", scope="own", last_used_on=date(2026, 1, 2))
    table.add(token)
    assert table.find(token.id) == token
    assert token in table.every()
    assert table.find(uuid7()) is None


def test_a_revocation_keeps_its_first_moment(database: Database, make_token: Make) -> None:
    table = TokenTable(database)
    token, _ = make_token()
    table.add(token)
    now = datetime.now(UTC)
    assert table.revoke(token.id, now)
    assert table.revoke(token.id, now + timedelta(hours=1))
    assert [one.revoked_at for one in table.every() if one.id == token.id] == [now]
    assert not table.revoke(uuid7(), now)


def test_the_last_day_of_use_never_goes_back(database: Database, make_token: Make) -> None:
    table = TokenTable(database)
    token, _ = make_token()
    table.add(token)
    for day in (3, 2, 4):
        table.note_use(token.id, date(2026, 1, day))
    kept = table.find(token.id)
    assert kept is not None
    assert kept.last_used_on == date(2026, 1, 4)


def test_use_is_noted_for_good_tokens_only(real: Any) -> None:
    used, wrong = real.token(), real.token()
    assert real.ask("GET", CARD, used).status_code == 200
    assert real.ask("GET", CARD, wrong[:-2] + "00").status_code == 401
    days = {one.id.hex: one.last_used_on for one in real.tokens.every()}
    assert days[used.split("_")[1]] == datetime.now(UTC).date()
    assert days[wrong.split("_")[1]] is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"roles": frozenset({"root"})},
        {"roles": frozenset()},
        {"scope": "everything"},
        {"label": "Ivan Petrov"},
        {"hash": b"short"},
        {"expires_at": datetime(2020, 1, 1, tzinfo=UTC)},
    ],
)
def test_the_table_itself_refuses_what_is_no_token(
    database: Database, make_token: Make, wrong: dict[str, Any]
) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        TokenTable(database).add(make_token(**wrong)[0])


def test_tables_say_what_they_are_and_who_may(urls: SimpleNamespace) -> None:
    with psycopg.connect(urls.owner) as connection:
        assert table_kinds(connection)["public", "tokens"] == "truth"
        granted = connection.execute(
            "SELECT grantee, string_agg(privilege_type, ' ' ORDER BY privilege_type)"
            " FROM information_schema.role_table_grants WHERE table_name = 'tokens' AND grantee <> grantor"
            " GROUP BY 1"
        ).fetchall()
    assert granted == [(urls.runtime_role, "DELETE INSERT SELECT UPDATE")]
    for url in (urls.readonly, urls.runtime):
        with psycopg.connect(url) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("TRUNCATE tokens")
    with psycopg.connect(urls.readonly) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("SELECT FROM tokens")


def is_away(answer: Any) -> bool:
    assert (answer.status_code, answer.json()["code"]) == (503, "tokens_unavailable")
    assert answer.headers["retry-after"] == "2"
    assert "not judged" in answer.json()["detail"]
    return True


@pytest.mark.parametrize("fault", ["stop", "pause"])
def test_database_away_opens_nothing_and_comes_back_by_itself(
    real: Any, stack: Stack, until: Until, make_token: Make, fault: str
) -> None:
    token, unknown = real.token(), make_token()[1]
    # The second request finds the day of use noted and is remembered.
    assert [real.ask("GET", CARD, token).status_code for _ in range(2)] == [200, 200]
    # A server may take longer to stop than a token stays fresh.
    real.clock.hold()
    getattr(stack.postgres, fault)()
    try:
        assert real.ask("GET", CARD, token).status_code == 200
        reached = real.reached
        real.clock.ahead += FRESH_SECONDS
        assert is_away(real.ask("GET", CARD, token))
        assert is_away(real.ask("GET", CARD, unknown))
        real.clock.ahead += FRESH_SECONDS
        assert is_away(real.ask("GET", CARD, token))
        assert real.ask("GET", CARD).status_code == 401
        assert real.reached == reached
    finally:
        getattr(stack.postgres, {"stop": "start", "pause": "resume"}[fault])()
    real.clock.release()
    until(lambda: real.ask("GET", CARD, token).status_code == 200, 20.0)
    assert real.ask("GET", CARD, unknown).status_code == 401


def test_readiness_follows_the_database_and_not_the_owners(
    real: Any, database: Database, stack: Stack, until: Until
) -> None:
    beat, loop, stop = Beat(), asyncio.new_event_loop(), asyncio.Event()
    owners = HttpOwners({name: served.url for name, served in real.owners.items()}, connections=1)

    async def watch() -> None:
        await watch_upstreams(database, owners, 0.05)(beat, stop)
        await owners.close()

    watching = threading.Thread(target=lambda: loop.run_until_complete(watch()))

    def up(owner: str) -> float | None:
        return REGISTRY.get_sample_value("deskline_gateway_owner_up", {"owner": owner})

    watching.start()
    try:
        until(lambda: beat.reason is None and up("tickets") == up("analytics") == 1.0)
        real.tickets.status = 503
        until(lambda: up("tickets") == 0.0)
        assert (beat.reason, up("analytics")) == (None, 1.0)
        stack.postgres.stop()
        try:
            until(lambda: beat.reason == "database", 15.0)
        finally:
            stack.postgres.start()
        until(lambda: beat.reason is None, 15.0)
    finally:
        loop.call_soon_threadsafe(stop.set)
        watching.join(10)
        loop.close()
    assert real.tickets.last.path == "/healthz"
    assert "deskline-identity" not in real.tickets.last.headers
