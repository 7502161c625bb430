"""Settings: wrong ones are named before anything starts."""

import pytest

from deskline_chassis.identity import generate_keys
from deskline_chassis.settings import load
from deskline_gateway.domain.rules import OWNERS
from deskline_gateway.settings import GatewaySettings

pytestmark = pytest.mark.unit


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, keys: tuple[str, str]) -> pytest.MonkeyPatch:
    private, public = keys
    for name, value in {
        "DESKLINE_KAFKA": "127.0.0.1:9092",
        "DESKLINE_KEY_ENCRYPTION_KEY": public,
        "DESKLINE_IDENTITY_PUBLIC_KEY": public,
        "DESKLINE_GATEWAY_DATABASE_URL": "postgresql://x",
        "DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY": private,
        **{f"DESKLINE_GATEWAY_{owner.upper()}_URL": f"http://{owner}:8080" for owner in OWNERS},
        "DESKLINE_GATEWAY_ANALYTICS_URL": "http://[::1]:8080/",
    }.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def test_a_right_environment_is_read(environment: pytest.MonkeyPatch) -> None:
    assert load(GatewaySettings).service() == "gateway"


def test_a_private_key_of_another_pair_is_named_and_not_shown(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    other = generate_keys()[0]
    environment.setenv("DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY", other)
    with pytest.raises(SystemExit, match="2"):
        load(GatewaySettings)
    told = capsys.readouterr().err
    assert told.startswith("settings: DESKLINE_GATEWAY_IDENTITY_PRIVATE_KEY: is not the private half")
    assert other not in told


@pytest.mark.parametrize(
    "url", ["tickets:8080", "http://tickets/base", "http://a:b@tickets", "http://tickets?x", "ftp://tickets"]
)
def test_an_owners_address_is_an_origin_and_nothing_more(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], url: str
) -> None:
    environment.setenv("DESKLINE_GATEWAY_TICKETS_URL", url)
    with pytest.raises(SystemExit):
        load(GatewaySettings)
    assert "DESKLINE_GATEWAY_TICKETS_URL" in capsys.readouterr().err


@pytest.mark.parametrize("owner", OWNERS)
def test_every_owners_address_is_needed(
    environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], owner: str
) -> None:
    environment.delenv(f"DESKLINE_GATEWAY_{owner.upper()}_URL")
    with pytest.raises(SystemExit):
        load(GatewaySettings)
    assert capsys.readouterr().err == f"settings: DESKLINE_GATEWAY_{owner.upper()}_URL: is not set\n"


def test_proxies_are_networks(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert load(GatewaySettings).proxy_networks == ()
    environment.setenv("DESKLINE_GATEWAY_PROXIES", "10.0.0.0/8, fd00::/8")
    assert [str(network) for network in load(GatewaySettings).proxy_networks] == ["10.0.0.0/8", "fd00::/8"]
    environment.setenv("DESKLINE_GATEWAY_PROXIES", "10.0.0.1/8")
    with pytest.raises(SystemExit):
        load(GatewaySettings)
    assert "DESKLINE_GATEWAY_PROXIES: must be networks" in capsys.readouterr().err
