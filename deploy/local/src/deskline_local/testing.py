"""One stack for a whole test session, started when the first test asks for it."""

import atexit
import os
import shutil
import tempfile
import threading
from pathlib import Path

from deskline_local.stack import Stack, open_stack

_guard = threading.Lock()
_running: list[tuple[int, Stack]] = []


def session_stack() -> Stack:
    """This process's running stack, stopped when the interpreter ends."""
    with _guard:
        for owner, stack in _running:
            if owner == os.getpid():  # a forked child inherits the list, not the servers
                return stack
        folder = Path(tempfile.mkdtemp(prefix="deskline-stack-"))
        stack = open_stack(folder)
        try:
            stack.start()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        _running.append((os.getpid(), stack))
        atexit.register(stop_session_stack)
        return stack


def stop_session_stack() -> None:
    """Stop it now and remove its folder; does nothing where none was started."""
    with _guard:
        for owner, stack in list(_running):
            if owner == os.getpid():
                _running.remove((owner, stack))
                try:
                    stack.stop()
                finally:
                    shutil.rmtree(stack.folder, ignore_errors=True)
