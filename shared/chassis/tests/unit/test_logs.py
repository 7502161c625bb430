"""Logs: JSON lines with enough to find a fault, and none of the words that people wrote."""

import json
import logging
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID

import psycopg
import pytest
import structlog

from deskline_chassis.logs import configure_logging, describe_error
from deskline_chassis.telemetry import (
    configure_tracing,
    current_trace_id,
    in_span,
    shutdown_tracing,
    start_root,
)

Lines = Callable[[], list[dict[str, Any]]]

pytestmark = pytest.mark.unit

CANARY = "canary-7b1e@example.org"


class PlanetLostError(Exception):
    safe_message: ClassVar[bool] = True


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Iterator[Lines]:
    """Log as a service does; gives what was printed so far."""
    root = logging.getLogger()
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning
    before = (
        root.handlers,
        root.level,
        {name: logging.getLogger(name).level for name in ("mail.log", "uvicorn.access")},
    )
    configure_logging("planets", "INFO")

    def read() -> list[dict[str, Any]]:
        out, err = capsys.readouterr()
        assert CANARY not in out + err
        return [json.loads(line) for line in out.splitlines()]

    yield read
    sys.excepthook, threading.excepthook, sys.unraisablehook, warnings.showwarning = hooks
    root.handlers, root.level = before[0], before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)
    structlog.reset_defaults()


def lose(error: BaseException) -> None:
    raise error


def test_line_is_json_with_service_level_time_and_russian_as_it_is(lines: Lines) -> None:
    structlog.get_logger().info("планета видна", planet=UUID(int=7), moons={"b", "a"})
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "планета видна",
        "planet": str(UUID(int=7)),
        "moons": ["a", "b"],
        "level": "info",
        "service": "planets",
    }


def test_level_is_kept(lines: Lines) -> None:
    structlog.get_logger().debug("orbit")
    assert lines() == []


def test_exception_is_told_by_type_and_frames_never_by_its_text(lines: Lines) -> None:
    try:
        try:
            lose(ValueError(CANARY))
        except ValueError as error:
            raise RuntimeError(f"planet {CANARY}") from error
    except RuntimeError:
        structlog.get_logger().exception("lost")
    (line,) = lines()
    told = line["exception"]
    assert told["type"] == "RuntimeError"
    assert told["cause"]["type"] == "ValueError"
    assert [frame.split(":")[2] for frame in told["cause"]["frames"]] == [
        "test_exception_is_told_by_type_and_frames_never_by_its_text",
        "lose",
    ]
    assert all(frame.startswith("test_logs.py:") for frame in told["cause"]["frames"])


def test_exception_passed_as_a_value_is_told_by_type(lines: Lines) -> None:
    structlog.get_logger().warning("lost", error=ValueError(CANARY), exc_info=ValueError(CANARY))
    (line,) = lines()
    assert line["error"] == "ValueError"
    assert line["exception"] == {"type": "ValueError", "frames": []}


def test_our_own_safe_exception_keeps_its_text(lines: Lines) -> None:
    structlog.get_logger().error("lost", exc_info=PlanetLostError("orbit 7"))
    assert lines()[0]["exception"]["message"] == "orbit 7"


def test_database_error_tells_its_state(lines: Lines) -> None:
    structlog.get_logger().error("lost", exc_info=psycopg.errors.UniqueViolation(f"Key (email)=({CANARY})"))
    assert lines()[0]["exception"]["sqlstate"] == "23505"


def test_group_tells_its_members() -> None:
    told = describe_error(ExceptionGroup(CANARY, [ValueError(CANARY), OSError(CANARY)]))
    assert [inner["type"] for inner in told["errors"]] == ["ValueError", "OSError"]
    assert CANARY not in json.dumps(told)


def test_foreign_message_keeps_its_format_and_drops_its_arguments(lines: Lines) -> None:
    logging.getLogger("aiokafka").warning("no node %s: %s", CANARY, OSError(CANARY))
    logging.getLogger("other").warning("for %(who)s", {"who": CANARY})
    first, second = lines()
    assert (first["event"], first["logger"], first["errors"]) == ("no node %s: %s", "aiokafka", ["OSError"])
    assert (first["level"], first["service"]) == ("warning", "planets")
    assert second["event"] == "for %(who)s"


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        (f"cannot reach {CANARY} now", "cannot reach … now"),
        ("lost 'Иван Петров' in space", "lost … in space"),
        ("call +7 (916) 123-45-67 back", "call … back"),
        (f"Task exception was never retrieved\nfuture: {CANARY}", "Task exception was never retrieved"),
        (ValueError(CANARY), "ValueError"),
    ],
)
def test_values_that_a_library_formatted_itself_are_cut_out(lines: Lines, message: object, kept: str) -> None:
    logging.getLogger("asyncio").error(message)
    assert lines()[0]["event"] == kept


def test_foreign_exception_is_told_like_ours(lines: Lines) -> None:
    try:
        lose(KeyError(CANARY))
    except KeyError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
    (line,) = lines()
    assert line["event"] == "Exception in ASGI application"
    assert line["exception"]["type"] == "KeyError"


def test_libraries_speak_from_warning_on_and_two_of_them_later(lines: Lines) -> None:
    logging.getLogger("aiokafka").info("chatter")
    logging.getLogger("mail.log").warning("envelope")
    logging.getLogger("uvicorn.access").critical("GET /secret")
    logging.getLogger("mail.log").error("broken")
    assert [line["event"] for line in lines()] == ["broken"]


def test_uncaught_exception_is_a_line_without_its_text(lines: Lines) -> None:
    error = ValueError(CANARY)
    sys.excepthook(ValueError, error, None)
    thread = threading.Thread(target=lose, args=(error,))
    thread.start()
    thread.join()
    assert [line["exception"]["type"] for line in lines()] == ["ValueError"] * 2


def test_warning_is_a_line(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning(f"old way for {CANARY}", DeprecationWarning, "/somewhere/orbit.py", 7)
    (line,) = lines()
    assert (line["category"], line["text"], line["frame"]) == (
        "DeprecationWarning",
        "old way for …",
        "orbit.py:7",
    )


def test_line_carries_the_current_trace(lines: Lines, tmp_path: Path) -> None:
    configure_tracing("planets", 1.0, tmp_path / "spans.jsonl")
    with in_span(start_root("door")):
        structlog.get_logger().info("inside")
        trace_id = current_trace_id()
    structlog.get_logger().info("outside")
    shutdown_tracing()
    inside, outside = lines()
    assert inside["trace_id"] == trace_id
    assert "trace_id" not in outside


def test_closed_stdout_stops_nobody(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, _text: str) -> None:
            raise BrokenPipeError

    monkeypatch.setattr(sys, "stdout", Closed())
    structlog.get_logger().info("unheard")
