"""docker-compose.yml says of every process what it must say, and no secret is in it."""

import re
import runpy
import stat
from pathlib import Path
from typing import Any

import pytest
from tests.delivery.compose import ROOT, SECRETS, VARIABLE, filled, made_secrets, services, written

from deskline_local.deployment import SERVICES

pytestmark = pytest.mark.contract

SERVERS = ("kafka", "postgres")
ONES_OWN = (*SERVICES, "mailbox")
PREPARED = tuple(f"prepare-{service}" for service in SERVICES)


def text_of(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def test_every_process_is_on_the_page_in_the_order_of_the_flow() -> None:
    names = list(services())
    assert set(names) == {*SERVERS, *PREPARED, *ONES_OWN}
    assert [name for name in names if name in SERVERS] == list(SERVERS)
    assert names.index("postgres") < min(map(names.index, PREPARED))
    assert max(map(names.index, PREPARED)) < min(map(names.index, SERVICES))
    assert [name for name in names if name in SERVICES] == list(SERVICES)


@pytest.mark.parametrize("name", [*SERVERS, *PREPARED, *ONES_OWN])
def test_a_process_has_no_more_than_it_needs(name: str) -> None:
    process = services()[name]
    assert process["read_only"] is True
    assert process["cap_drop"] == ["ALL"]
    assert process["security_opt"] == ["no-new-privileges:true"]
    assert {"mem_limit", "pids_limit", "stop_grace_period"} <= set(process)
    assert process["restart"] == ("no" if name in PREPARED else "unless-stopped")
    forbidden = {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"}
    assert not forbidden & set(process)
    assert not [one for one in process.get("volumes", ()) if not re.match(r"^[a-z]+:/", one)]
    assert process.get("user") == ("postgres" if name == "postgres" else None)


@pytest.mark.parametrize("name", [*SERVERS, *ONES_OWN])
def test_whoever_stays_is_asked_how_it_is(name: str) -> None:
    check = services()[name]["healthcheck"]
    assert {"test", "interval", "timeout", "retries", "start_period", "start_interval"} == set(check)
    if name in SERVICES:
        assert check["test"] == ["CMD", "ready"]
        prefix = f"DESKLINE_{name.upper()}_HTTP"
        given = services()[name]["environment"]
        assert (given[f"{prefix}_HOST"], given[f"{prefix}_PORT"]) == ("0.0.0.0", "8080")


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_when_it_is_prepared_and_that_when_the_servers_answer(service: str) -> None:
    prepare, serve = services()[f"prepare-{service}"], services()[service]
    assert prepare["command"] == ["prepare"]
    assert prepare["image"] == serve["image"] == f"deskline-{service}:dev"
    assert prepare["depends_on"] == {name: {"condition": "service_healthy"} for name in SERVERS}
    assert serve["depends_on"] == {f"prepare-{service}": {"condition": "service_completed_successfully"}}
    assert serve["build"]["args"] == {"SERVICE": service}
    assert (ROOT / serve["build"]["dockerfile"]).is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_only_the_preparation_may_own_a_database(service: str) -> None:
    upper = f"DESKLINE_{service.upper()}"
    urls = {f"{upper}_{role}_URL" for role in ("ADMIN", "MIGRATION", "DATABASE", "READONLY")}
    assert {
        name for name in services()[f"prepare-{service}"]["environment"] if name.startswith(upper)
    } == urls
    given = services()[service]["environment"]
    assert {name for name in given if name in urls} == {f"{upper}_DATABASE_URL"}
    assert "OWNER_PASSWORD" not in text_of(given)
    assert "POSTGRES_PASSWORD" not in text_of(given)


def test_every_port_is_published_on_the_loopback_address_alone_and_can_be_moved() -> None:
    published = {name: process["ports"] for name, process in services().items() if "ports" in process}
    assert set(published) == {*SERVERS, "intake", "gateway", "mailbox"}
    for ports in published.values():
        for port in ports:
            assert re.fullmatch(r"127\.0\.0\.1:\$\{DESKLINE_[A-Z_]+_PORT:-\d+\}:\d+", port)


def test_no_secret_has_a_default_and_each_is_made_once() -> None:
    used = {match["name"]: match for match in VARIABLE.finditer(repr(written()))}
    required = {name for name, match in used.items() if match["how"] == ":?"}
    assert required == set(made_secrets())
    secret = re.compile(r"PASSWORD|KEY|SECRET|TOKEN")
    for name, match in used.items():
        if secret.search(name) and name not in required:
            assert match["text"] == "", f"{name} has a default"
    for process in services().values():
        for name, value in process.get("environment", {}).items():
            if secret.search(name):
                assert VARIABLE.fullmatch(value), f"{name} is written in the file"


def test_without_its_secrets_nothing_starts() -> None:
    with pytest.raises(KeyError):
        filled(services()["gateway"]["environment"]["DESKLINE_KEY_ENCRYPTION_KEY"], {})


def test_only_the_fixed_images_are_used() -> None:
    images = {name: process["image"] for name, process in services().items()}
    assert images["kafka"] == "apache/kafka:4.3.1"
    assert images["postgres"] == "postgres:17"
    assert {image for name, image in images.items() if name not in SERVERS} == {
        f"deskline-{name}:dev" for name in ONES_OWN
    }
    bases = re.findall(r"^FROM (\S+)", (ROOT / "deploy/image/Dockerfile").read_text(), re.MULTILINE)
    assert set(bases) == {"python:3.13-slim", "scratch"}


def test_secrets_are_the_owners_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("DESKLINE_POSTGRES_PASSWORD=mine\nDESKLINE_GATEWAY_PORT=8081")
    write = runpy.run_path(str(SECRETS))["main"]
    assert write(file) == 0
    first = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lines = dict(line.split("=", 1) for line in first.splitlines())
    assert lines["DESKLINE_POSTGRES_PASSWORD"] == "mine"
    assert set(made_secrets()) <= set(lines)
    assert write(file) == 0
    assert file.read_text() == first
    half = tmp_path / "half"
    half.write_text(f"DESKLINE_IDENTITY_PUBLIC_KEY={lines['DESKLINE_IDENTITY_PUBLIC_KEY']}\n")
    assert write(half) == 1


def test_a_build_sees_no_secret_and_no_history() -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule for rule in rules if rule.startswith("!")} == {
        "!shared",
        "!services",
        "!deploy/image",
        "!deploy/mailbox",
        "!tools/uv.txt",
    }
