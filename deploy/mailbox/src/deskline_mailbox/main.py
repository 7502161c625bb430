"""The wiring of the mailbox, and its command line."""

import asyncio
import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer
import uvicorn
from pydantic import ValidationError

from deskline_mailbox.api import create_app
from deskline_mailbox.maildir import Maildir
from deskline_mailbox.settings import MailboxSettings
from deskline_mailbox.smtp import session

WRONG_SETTINGS: Final = 2

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def deskline_mailbox() -> None:
    """An SMTP server that keeps what it is sent, and shows it."""


@app.command()
def serve() -> None:
    """Take mails and show them until a signal."""
    try:
        settings = MailboxSettings()
    except ValidationError as wrong:
        for error in wrong.errors(include_url=False, include_context=False, include_input=False):
            variable = f"DESKLINE_MAILBOX_{error['loc'][0]}".upper()
            sys.stderr.write(f"settings: {variable}: {error['msg']}\n")
        raise typer.Exit(WRONG_SETTINGS) from None
    maildir = Maildir(settings.folder, settings.limits)
    try:
        maildir.open()
    except OSError as error:
        sys.stderr.write(f"settings: DESKLINE_MAILBOX_FOLDER: {error.strerror}\n")
        raise typer.Exit(WRONG_SETTINGS) from None
    asyncio.run(_serve(settings, maildir))


async def _serve(settings: MailboxSettings, maildir: Maildir) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    letters = await loop.create_server(
        lambda: session(maildir, settings.letter_bytes), settings.smtp_host, settings.smtp_port
    )
    listener = socket.create_server((settings.http_host, settings.http_port), backlog=256)
    pages = _Server(
        uvicorn.Config(
            create_app(maildir),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            lifespan="off",
            timeout_graceful_shutdown=3,
        )
    )
    serving = asyncio.create_task(pages.serve(sockets=[listener]))
    ports = {"smtp": letters.sockets[0].getsockname()[1], "http": listener.getsockname()[1]}
    sys.stdout.write(json.dumps({"event": "listening", **ports}) + "\n")
    sys.stdout.flush()
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({serving, stopped}, return_when=asyncio.FIRST_COMPLETED)
    letters.close()
    pages.should_exit = True
    await serving


class _Server(uvicorn.Server):
    """uvicorn without hands on the process's signals: both servers stop at one."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def main() -> None:
    """Run the command line."""
    app()
