"""Each image: small, confined, without tools, with the packages of its lock and nothing else."""

import time
import tomllib
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.delivery.compose import environment_of
from tests.delivery.engine import ROOT, VOLUMES, Image, docker, wait_for_line

pytestmark = [pytest.mark.containers, pytest.mark.timeout(300)]

MOST_BYTES: Final = 250 * 1000 * 1000
STOP_SECONDS: Final = 10.0
ENGINE_SECONDS: Final = 2.0  # the engine's own, on a busy machine

# What may be written to where the root is not read-only: its own data, and the sticky folders of the base.
OPEN_FOLDERS: Final = (*VOLUMES, "/var/tmp", "/run/lock")


def test_it_is_small(image: Image) -> None:
    assert image.told["Size"] <= MOST_BYTES


def test_it_says_what_it_is_and_runs_as_nobody_known(image: Image) -> None:
    config = image.told["Config"]
    assert config["User"] == "10001:10001"
    assert config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["deskline"]
    assert config["Labels"]["org.opencontainers.image.title"] == f"deskline-{image.service}"
    assert {"licenses", "version", "revision", "description"} <= {
        label.rpartition(".")[2] for label in config["Labels"]
    }
    assert image.contents["ids"] == [10001, 10001]


def test_no_tool_no_setuid_and_nothing_to_write_to(image: Image) -> None:
    seen = image.contents
    assert seen["tools"] == []
    assert seen["setuid"] == []
    assert seen["lists"] == []
    assert [path for path in seen["writable"] if path not in OPEN_FOLDERS] == []


def test_it_holds_the_packages_of_its_lock_and_no_other(image: Image) -> None:
    python = image.contents["python"]
    environment = {"python_version": python.rpartition(".")[0], "python_full_version": python}
    locked = {}
    for line in (image.member / "requirements.lock").read_text().splitlines():
        if line[:1].isalnum():
            wanted = Requirement(line.removesuffix("\\"))
            if wanted.marker is None or wanted.marker.evaluate(environment):
                (pin,) = wanted.specifier
                locked[canonicalize_name(wanted.name)] = pin.version
    members = [image.member]
    if image.service != "mailbox":
        members += [ROOT / "shared" / "events", ROOT / "shared" / "chassis"]
    for member in members:
        project = tomllib.loads((member / "pyproject.toml").read_text())["project"]
        locked[canonicalize_name(project["name"])] = project["version"]
    there = {canonicalize_name(name): version for name, version in image.contents["packages"].items()}
    assert there == locked
    assert image.contents["editable"] == []


def test_it_starts_confined(image: Image) -> None:
    done = image.run("--help")
    assert (done.code, done.stderr) == (0, "")
    assert "serve" in done.stdout


def test_wrong_settings_are_named_and_end_with_2(image: Image) -> None:
    variable = f"DESKLINE_{image.service.upper()}_HTTP_PORT"
    done = image.run("serve", **{variable: "many"})
    assert done.code == 2
    assert f"settings: {variable}: " in done.stderr
    assert "many" not in done.stderr


def test_sigterm_ends_it_within_ten_seconds_though_no_server_answers(image: Image) -> None:
    with image.running("serve", **environment_of(image.service)) as container:
        wait_for_line(container, '"listening"')
        told_at = time.monotonic()
        docker("kill", "--signal=TERM", container)
        code = docker("wait", container).stdout.strip()
        seconds = time.monotonic() - told_at
    assert code == "0"
    assert seconds <= STOP_SECONDS + ENGINE_SECONDS
