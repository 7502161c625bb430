"""What each process is told: the proxies' addresses alone, and the faults that it is armed with."""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from types import SimpleNamespace

import pytest
from tests.chaos.faults.links import Links, NotPassedError
from tests.chaos.faults.records import mixed_streams
from tests.chaos.launched import CRASH_AT

from deskline_local.deployment import SERVICES
from deskline_local.ports import HOST, is_free
from deskline_local.stack import ServiceDatabase

pytestmark = pytest.mark.unit


@pytest.fixture
def links(tmp_path: Path) -> Iterator[Links]:
    with Links.open(tmp_path / "system") as made:
        postgres = made.system.stack.database_url().partition("@")[2].partition("/")[0]
        address = f"postgresql://role:p%40ss@{postgres}/base"
        database = ServiceDatabase("base", address, address, address)
        made.system.deployment.databases = dict.fromkeys(SERVICES, database)
        yield made


def told(links: Links, service: str, replica: int = 0) -> dict[str, str]:
    return links.environment(service, replica, links.system.deployment.environment(service, replica))


def test_every_service_is_told_its_proxies_and_no_server(links: Links) -> None:
    ports = {link: proxy.port for link, proxy in links.all().items()}
    targets = {proxy.target[1] for proxy in links.all().values()}
    for service in SERVICES:
        given = told(links, service)
        assert given["DESKLINE_KAFKA"] == f"{HOST}:{ports[service, 'kafka']}"
        address = f"postgresql://role:p%40ss@{HOST}:{ports[service, 'postgres']}/base"
        assert given[f"DESKLINE_{service.upper()}_DATABASE_URL"] == address
        own = f"DESKLINE_{service.upper()}_HTTP_PORT"
        direct = [name for name, value in given.items() if any(f"{port}" in value for port in targets)]
        assert [name for name in direct if name != own] == []
    assert told(links, "notify")["DESKLINE_NOTIFY_SMTP_PORT"] == str(ports["notify", "mailbox"])
    assert told(links, "gateway")["DESKLINE_GATEWAY_SLA_URL"] == f"http://{HOST}:{ports['gateway', 'sla']}"


def test_ports_are_all_different_and_free(links: Links) -> None:
    proxies = links.all().values()
    brokers = [proxy.target[1] for link, proxy in links.all().items() if link[1] == "kafka"]
    used = [*(proxy.port for proxy in proxies), *brokers, *links.system.deployment.ports.values()]
    assert len(set(used)) == len(used)
    assert all(is_free(port) for port in used)


def test_address_that_is_told_otherwise_is_noticed(links: Links) -> None:
    changed = links.system.deployment.environment("notify")
    del changed["DESKLINE_NOTIFY_SMTP_PORT"]
    with pytest.raises(KeyError, match="notify is told its servers' addresses otherwise"):
        links.environment("notify", 0, changed)


def test_what_is_armed_is_told_from_the_next_start_on(links: Links) -> None:
    links.arm("tickets", "effect-commit:1-9")
    first, second = told(links, "tickets"), told(links, "tickets", 1)
    assert told(links, "tickets") is first, "who asks again must not be told of what the process is not"
    assert first[CRASH_AT] == second[CRASH_AT] == "effect-commit:1-9"
    links.arm("tickets", "publish-mark:2-3", replica=1)
    assert (first[CRASH_AT], second[CRASH_AT]) == ("effect-commit:1-9", "publish-mark:2-3")
    links.tell("tickets", {"ELSE": "said"}, replica=1)
    links.disarm()
    assert CRASH_AT not in first | second
    assert (first.get("ELSE"), second.get("ELSE")) == (None, "said")


def test_point_that_a_service_never_passes_is_refused(links: Links) -> None:
    with pytest.raises(NotPassedError, match="tickets does not pass told-commit"):
        links.arm("tickets", "effect-commit:1-9,told-commit:1-2")


def test_mixing_keeps_each_streams_order() -> None:
    records = [
        SimpleNamespace(key=key, offset=offset)
        for offset, key in enumerate([b"a"] * 20 + [b"b"] * 20 + [None] * 5)
    ]
    mixed = mixed_streams(records, Random(3))
    assert sorted(one.offset for one in mixed) == list(range(45))
    for key in (b"a", b"b", None):
        offsets = [one.offset for one in mixed if one.key == key]
        assert offsets == sorted(offsets)
    assert [one.offset for one in mixed] != list(range(45))
