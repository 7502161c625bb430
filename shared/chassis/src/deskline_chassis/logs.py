"""Logs: JSON lines on stdout in which no person's data can end up, whoever wrote the message."""

import json
import logging
import re
import sys
import threading
import warnings
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import date
from pathlib import Path
from traceback import walk_tb
from types import TracebackType
from typing import Any, Final, TextIO
from uuid import UUID

import psycopg
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from deskline_chassis.telemetry import current_trace_id

_FRAMES: Final = 15
_CAUSES: Final = 4
_FOREIGN_TEXT: Final = 200
# What a foreign message may have formatted into itself: quoted values, addresses, numbers.
_VALUES: Final = re.compile(r"""(?<!\w)(['"]).*?\1|\S*@\S*|\+?\d[\d\s()-]{5,}\d""")
# Third-party loggers speak from WARNING on; these by a rule of their own. aiosmtpd quotes envelopes,
# uvicorn's access log quotes paths and queries.
_LOGGERS: Final = {"mail.log": logging.ERROR, "uvicorn.access": logging.CRITICAL + 1}


def configure_logging(service: str, level: str = "INFO") -> None:
    """Send our log lines, the standard library's and uncaught exceptions through one chain to stdout."""
    chain = _chain(service)
    structlog.configure(
        processors=chain,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _Output(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_Foreign(chain)]
    root.setLevel(logging.WARNING)
    for name, least in _LOGGERS.items():
        logging.getLogger(name).setLevel(least)
    _take_over_hooks()


def describe_error(error: BaseException) -> dict[str, Any]:
    """An exception without its text: type, where PostgreSQL refused, frames, cause.

    The text is kept only of classes that set `safe_message: ClassVar[bool] = True`.
    """
    return _describe(error, _CAUSES)


class _Output:
    """Writes finished lines to the stdout of the moment; a closed pipe stops nobody."""

    _lock: Final = threading.Lock()

    def msg(self, line: str) -> None:
        with self._lock, suppress(OSError, ValueError):
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    log = debug = info = warning = warn = error = critical = fatal = exception = failure = msg


class _Foreign(logging.Handler):
    """Log records of libraries: the format string is kept, its arguments are not."""

    def __init__(self, chain: Iterable[Processor]) -> None:
        super().__init__()
        self._chain = tuple(chain)
        self._output = _Output()

    def emit(self, record: logging.LogRecord) -> None:
        line: Any = {"event": _foreign_text(record.msg), "logger": record.name}
        if errors := [
            type(value).__name__ for value in _values(record.args) if isinstance(value, BaseException)
        ]:
            line["errors"] = errors
        if record.exc_info and record.exc_info[1] is not None:
            line["exc_info"] = record.exc_info
        for process in self._chain:
            line = process(None, record.levelname.lower(), line)
        self._output.msg(line)


def _chain(service: str) -> list[Processor]:
    def add_service(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
        line["service"] = service
        return line

    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_service,
        _add_trace,
        _render_exception,
        structlog.processors.JSONRenderer(
            serializer=json.dumps, default=_as_json, ensure_ascii=False, separators=(",", ":")
        ),
    ]


def _add_trace(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    trace_id = current_trace_id()
    if trace_id is not None:
        line["trace_id"] = trace_id
    return line


def _render_exception(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    found = line.pop("exc_info", None)
    line.pop("stack_info", None)
    error = found if isinstance(found, BaseException) else None
    if isinstance(found, tuple):
        error = found[1]
    elif found is not None and found is not False and error is None:
        error = sys.exc_info()[1]
    if error is not None:
        line["exception"] = _describe(error, _CAUSES)
    return line


def _describe(error: BaseException, depth: int) -> dict[str, Any]:
    told: dict[str, Any] = {"type": type(error).__name__}
    if getattr(type(error), "safe_message", False) is True:
        told["message"] = str(error)
    if isinstance(error, psycopg.Error):
        told |= _where_refused(error)
    if isinstance(error, BaseExceptionGroup) and depth > 0:
        told["errors"] = [_describe(inner, depth - 1) for inner in error.exceptions[:_CAUSES]]
    told["frames"] = _frames(error.__traceback__)
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth > 0:
        told["cause"] = _describe(cause, depth - 1)
    return told


def _where_refused(error: psycopg.Error) -> dict[str, str]:
    found = {
        "sqlstate": error.sqlstate,
        "constraint": error.diag.constraint_name,
        "table": error.diag.table_name,
    }
    return {name: value for name, value in found.items() if value is not None}


def _frames(traceback: TracebackType | None) -> list[str]:
    frames = [
        f"{Path(frame.f_code.co_filename).name}:{line}:{frame.f_code.co_name}"
        for frame, line in walk_tb(traceback)
    ]
    return frames[-_FRAMES:]


def _foreign_text(message: object) -> str:
    # Some libraries format before they log, and asyncio puts an exception's text on the second line.
    if not isinstance(message, str):
        return type(message).__name__
    return _VALUES.sub("…", message.partition("\n")[0][:_FOREIGN_TEXT])


def _values(args: object) -> list[object]:
    if isinstance(args, Mapping):
        return list(args.values())
    return list(args) if isinstance(args, tuple) else []


def _as_json(value: object) -> Any:
    if isinstance(value, UUID | Path | date):
        return str(value)
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    # A repr may quote anything; that of an exception does.
    return type(value).__name__


def _take_over_hooks() -> None:
    log = structlog.get_logger("uncaught")

    def uncaught(_kind: type[BaseException], error: BaseException, _trace: TracebackType | None) -> None:
        if not isinstance(error, KeyboardInterrupt):
            log.error("uncaught exception", exc_info=error)

    def uncaught_in_thread(args: threading.ExceptHookArgs) -> None:
        log.error("uncaught exception in a thread", exc_info=args.exc_value or False)

    def unraisable(args: "sys.UnraisableHookArgs") -> None:
        log.error("exception that nobody could catch", exc_info=args.exc_value or False)

    def warned(  # noqa: PLR0917 -- the hook's signature
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,  # noqa: ARG001 -- the hook's signature
        line: str | None = None,  # noqa: ARG001 -- the hook's signature
    ) -> None:
        text = _foreign_text(str(message))
        log.warning("warning", category=category.__name__, text=text, frame=f"{Path(filename).name}:{lineno}")

    sys.excepthook = uncaught
    threading.excepthook = uncaught_in_thread
    sys.unraisablehook = unraisable
    warnings.showwarning = warned
