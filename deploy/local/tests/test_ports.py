"""Ports that are chosen by several processes at the same time."""

import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deskline_local import ports
from deskline_local.folder import Folder

pytestmark = pytest.mark.unit

CHOOSE_AND_STAY = "from deskline_local import ports; print(ports.choose(), flush=True); input()"


@contextmanager
def another_process() -> Iterator[tuple[int, subprocess.Popen[str]]]:
    """A process that has chosen a port and does not listen there."""
    with subprocess.Popen(
        [sys.executable, "-c", CHOOSE_AND_STAY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline()), process
        process.kill()


def drawn_first(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Let chance choose this port, and then what it will."""
    left, chance = [port - ports.LOWEST], secrets.randbelow
    monkeypatch.setattr(secrets, "randbelow", lambda bound: left.pop() if left else chance(bound))


def test_port_chosen_by_another_process_is_not_chosen_though_nobody_listens_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with another_process() as (theirs, _):
        drawn_first(monkeypatch, theirs)
        assert ports.is_free(theirs)
        assert ports.choose() != theirs
        assert not ports.reserve(theirs)


def test_port_of_a_killed_process_can_be_chosen_again(monkeypatch: pytest.MonkeyPatch) -> None:
    with another_process() as (theirs, process):
        process.kill()
        process.wait()
        drawn_first(monkeypatch, theirs)
        assert ports.choose() == theirs


def test_port_is_chosen_once_in_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = ports.choose()
    drawn_first(monkeypatch, ours)
    assert ports.choose() != ours


def test_port_of_an_earlier_run_is_reserved_anew(tmp_path: Path) -> None:
    with another_process() as (earlier, _):
        (tmp_path / "ports.json").write_text(f'{{"kafka": "{earlier}"}}')
        assert Folder(tmp_path).port("kafka", 0) == earlier
        assert not ports.reserve(earlier)
    assert Folder(tmp_path).port("kafka", 0) == earlier
    ask = f"from deskline_local import ports; print(ports.reserve({earlier}))"
    asked = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert asked.stdout == "False\n"


def test_port_of_a_connection_that_waits_to_be_forgotten_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((ports.HOST, 0)) as listening:
        port = listening.getsockname()[1]
        caller = socket.create_connection((ports.HOST, port))
        called, _ = listening.accept()
    # Who closes first remembers the connection for a while, as a broker does that ends under load.
    called.close()
    assert caller.recv(1) == b""
    caller.close()
    with socket.socket() as plain, pytest.raises(OSError, match="in use"):
        plain.bind((ports.HOST, port))
    drawn_first(monkeypatch, port)
    assert ports.choose() == port
