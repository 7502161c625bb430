"""Settings that can't work are refused by name."""

import base64
from typing import Any

import pytest

from deskline_chassis.settings import load
from deskline_notify.settings import NotifySettings

pytestmark = pytest.mark.unit

NEEDED = {
    "DESKLINE_KAFKA": "localhost:9092",
    "DESKLINE_KEY_ENCRYPTION_KEY": base64.b64encode(b"k" * 32).decode(),
    "DESKLINE_IDENTITY_PUBLIC_KEY": base64.b64encode(b"p" * 32).decode(),
    "DESKLINE_NOTIFY_DATABASE_URL": "postgresql://localhost/notify",
    "DESKLINE_NOTIFY_OWN_DOMAIN": "desk.example",
}


@pytest.fixture
def environment(monkeypatch: Any) -> Any:
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_defaults_are_enough(environment: Any) -> None:
    found = load(NotifySettings)
    assert (found.sender, found.smtp_tls, found.active_since) == ("desk@desk.example", "none", None)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("OWN_DOMAIN", "desk example", "should match pattern"),
        ("SENDER_ADDRESS", "nobody", "must be a mail address"),
        ("SMTP_USERNAME", "me", "give both or neither"),
        ("SMTP_PORT", "0", "greater than or equal to 1"),
        ("ZONE", "Mars/Base", "must be an IANA time zone"),
        ("ACTIVE_SINCE", "2026-01-01T00:00:00", "timezone"),
    ],
)
def test_what_cannot_work_is_refused(
    environment: Any, capsys: Any, name: str, value: str, problem: str
) -> None:
    environment.setenv(f"DESKLINE_NOTIFY_{name}", value)
    with pytest.raises(SystemExit):
        load(NotifySettings)
    assert problem in capsys.readouterr().err


def test_a_password_is_never_sent_in_clear_nor_shown(environment: Any, capsys: Any) -> None:
    environment.setenv("DESKLINE_NOTIFY_SMTP_USERNAME", "me")
    environment.setenv("DESKLINE_NOTIFY_SMTP_PASSWORD", "canary")
    with pytest.raises(SystemExit):
        load(NotifySettings)
    said = capsys.readouterr().err
    assert "needs starttls or tls" in said
    assert "canary" not in said
    environment.setenv("DESKLINE_NOTIFY_SMTP_TLS", "starttls")
    assert "canary" not in repr(load(NotifySettings))
