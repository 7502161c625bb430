"""The child that reads large mail: its answer, its death, and what is left behind."""

import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deskline_intake.adapters.parser_process import read_in_child
from deskline_intake.parser import Order, read_mail

pytestmark = pytest.mark.unit

RAW = (
    b"From: Anna <anna@client.example>\r\nSubject: s\r\nMessage-ID: <a@b>\r\n"
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\ntext\r\n"
    b"--x\r\nContent-Type: application/pdf; name=a.pdf\r\n\r\n%PDF\r\n--x--\r\n"
)


def order(seconds: float = 20.0) -> Order:
    return Order("line", "raw", "anna@client.example", ("own.example",), seconds)


def readers() -> list[psutil.Process]:
    """Our children that read mail; the session's servers are children too."""
    return [child for child in psutil.Process().children() if "deskline_intake.parser" in child.cmdline()]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield tmp_path
    assert not list(tmp_path.iterdir()), "the child's folder is gone"
    assert not readers(), "the child is gone"


def test_child_and_here_read_the_same() -> None:
    here = read_mail(RAW, order())
    with read_in_child([RAW[:50], RAW[50:]], order(), lambda: None) as (there, raw, failed):
        assert not failed
        assert raw.read_bytes() == RAW
        assert isinstance(there.files[0].content, Path)
        assert there.files[0].content.read_bytes() == here.files[0].content
    assert there.files[0].sha256 == here.files[0].sha256
    assert [there.identity, there.text, there.kind] == [here.identity, here.text, here.kind]
    for name in set(here.__slots__) - {"files"}:
        assert getattr(there, name) == getattr(here, name), name


def test_a_child_that_hangs_is_killed_and_the_headers_are_told() -> None:
    def stop_it() -> None:
        for child in readers():
            os.kill(child.pid, signal.SIGSTOP)

    started = time.monotonic()
    with read_in_child([RAW], order(1.0), stop_it) as (reading, raw, failed):
        assert 1.0 <= time.monotonic() - started < 10
        assert failed
        assert reading.problems == ("parser_timeout",)
        assert (reading.sender, reading.subject, reading.text) == ("anna@client.example", "s", "")
        assert raw.read_bytes() == RAW


@pytest.mark.parametrize("module", ["deskline_intake.nowhere", "this"])
def test_a_child_that_dies_or_says_nothing_is_a_failure(module: str) -> None:
    with read_in_child([RAW], order(), lambda: None, module) as (reading, _, failed):
        assert failed
        assert reading.problems == ("parser_failed",)
        key = reading.identity.source_key
    with read_in_child([RAW], order(), lambda: None, module) as (reading, _, _):
        assert reading.identity.source_key == key, "equal deliveries have equal keys even so"


def test_failures_of_the_caller_are_the_callers() -> None:
    with pytest.raises(OSError, match="mine"), read_in_child([RAW], order(), lambda: None):
        raise OSError("mine")
