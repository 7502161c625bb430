"""A large or odd mail is read in a child process, which is killed when it takes too long."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Final

import structlog

from deskline_intake import parser
from deskline_intake.parser import Identity, Order, Reading
from deskline_intake.ports import Turn

log = structlog.get_logger(__name__)

_TURN_SECONDS: Final = 0.5
_HEAD_BYTES: Final = 256 * 1024


@contextlib.contextmanager
def read_in_child(
    raw: Iterable[bytes], order: Order, turn: Turn, module: str = parser.__name__
) -> Iterator[tuple[Reading, Path, bool]]:
    """What a mail says, its raw file, and whether reading it failed; the files live as long as the context.

    Raises OSError where this machine can't give a folder or a process.
    """
    folder = Path(tempfile.mkdtemp(prefix="deskline-mail-"))
    try:
        with (folder / parser.RAW).open("wb") as file:
            for chunk in raw:
                file.write(chunk)
                turn()
        (folder / parser.ORDER).write_text(json.dumps(asdict(order)), "utf-8")
        problem = _run(folder, order, turn, module)
        reading = None
        if problem is None:
            try:
                reading = parser.load_reading(folder)
            except (OSError, ValueError, TypeError, KeyError) as error:
                problem = "parser_failed"
                log.warning("the parser's answer can't be read", cause=type(error).__name__)
        if reading is None:
            reading = _notice(folder, order, problem or "parser_failed")
        yield reading, folder / parser.RAW, problem is not None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(folder: Path, order: Order, turn: Turn, module: str) -> str | None:
    deadline = time.monotonic() + order.seconds
    # Nothing of our environment: it holds the database's password and the key-encryption key.
    child = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
        [sys.executable, "-I", "-m", module, str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={"PATH": os.defpath},
        cwd=folder,
        start_new_session=True,
    )
    try:
        while time.monotonic() < deadline:
            turn()
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = child.wait(min(_TURN_SECONDS, max(0.01, deadline - time.monotonic())))
                if code != 0:
                    log.warning("the parser failed", code=code)
                return None if code == 0 else "parser_failed"
        log.warning("the parser took too long", seconds=order.seconds)
        return "parser_timeout"
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()


def _notice(folder: Path, order: Order, problem: str) -> Reading:
    path = folder / parser.RAW
    try:
        identity = parser.load_identity(folder)
    except (OSError, ValueError, TypeError):
        identity = _plain_identity(path, order)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return parser.read_headers_alone(head, identity, order, problem)


def _plain_identity(path: Path, order: Order) -> Identity:
    """For a mail that not even its identity was found of: its bytes."""
    digest = hashlib.sha256(f"raw/{order.line_id}/".encode())
    with path.open("rb") as file:
        while chunk := file.read(1024 * 1024):
            digest.update(chunk)
    return Identity(digest.hexdigest(), digest.hexdigest(), windowed=False, message_id_hash=None)
