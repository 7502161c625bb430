"""Settings of tickets: what is missing or wrong is named in one line, secrets are not shown."""

import base64
from datetime import timedelta

import pytest

from deskline_chassis.settings import load
from deskline_tickets.settings import TicketsSettings

pytestmark = pytest.mark.unit

SECRET = base64.b64encode(b"s" * 32).decode()
NEEDED = {
    "DESKLINE_KAFKA": "127.0.0.1:9092",
    "DESKLINE_KEY_ENCRYPTION_KEY": SECRET,
    "DESKLINE_IDENTITY_PUBLIC_KEY": SECRET,
    "DESKLINE_TICKETS_DATABASE_URL": "postgresql://x@127.0.0.1/x",
    "DESKLINE_TICKETS_REPLY_TOKEN_KEY": SECRET,
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults(environment: pytest.MonkeyPatch) -> None:
    settings = load(TicketsSettings)
    assert settings.service() == "tickets"
    assert settings.reopening_window == timedelta(days=14)
    assert settings.own_domain_names is None
    assert settings.reply_token_key_bytes == b"s" * 32
    assert SECRET not in repr(settings.reply_token_key)


def test_own_domains_are_compared_in_lower_case(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("DESKLINE_TICKETS_OWN_DOMAINS", "Desk.Example,help.example")
    assert load(TicketsSettings).own_domain_names == frozenset({"desk.example", "help.example"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DESKLINE_TICKETS_REPLY_TOKEN_KEY", "c2hvcnQ="),
        ("DESKLINE_TICKETS_REPLY_TOKEN_KEY", ""),
        ("DESKLINE_TICKETS_OWN_DOMAINS", "desk example"),
        ("DESKLINE_TICKETS_REOPENING_WINDOW_DAYS", "-1"),
    ],
)
def test_a_wrong_value_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str
) -> None:
    environment.setenv(name, value)
    with pytest.raises(SystemExit) as ended:
        load(TicketsSettings)
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1
    assert name in told
    assert not value or value not in told
