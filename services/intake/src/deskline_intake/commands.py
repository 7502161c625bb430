"""The command line for lines (add, list, disable) and contacts (erase)."""

import json
import re
from typing import Annotated, Final
from urllib.parse import urlsplit
from uuid import UUID

import typer
from uuid_utils.compat import uuid7

from deskline_chassis.event_log import Cause
from deskline_chassis.parts import Parts
from deskline_chassis.settings import load
from deskline_events.facts import Channel, Language
from deskline_intake.adapters.lines import (
    LineExistsError,
    add_line,
    disable_line,
    disable_mail_line,
    list_lines,
)
from deskline_intake.adapters.registry import PostgresRegistry
from deskline_intake.domain.addresses import normalise_address, split_plus_address
from deskline_intake.handlers.erasing import ContactUnknownError, Eraser
from deskline_intake.ports import StoredLine
from deskline_intake.settings import IntakeSettings

lines = typer.Typer(no_args_is_help=True, help="Lines: the addresses and forms by which customers write.")
contacts = typer.Typer(no_args_is_help=True, help="Contacts: the people who write.")

NAME_CHARS: Final = 100
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:\d{1,5})?\Z")


def _refuse(why: str) -> typer.Exit:
    typer.echo(why, err=True)
    return typer.Exit(1)


@lines.command("add")
def add_command(
    *,
    name: Annotated[str, typer.Option(help="how operators see it")],
    address: Annotated[
        str | None, typer.Option(help="where customers write to; of a form: where mails about it go")
    ] = None,
    language: Annotated[str, typer.Option(help="ru or en")] = "ru",
    form: Annotated[bool, typer.Option("--form", help="a web form instead of a mailbox")] = False,
    origin: Annotated[
        list[str] | None,
        typer.Option(help="a form's: a site whose pages may send it, as https://www.example.com; repeatable"),
    ] = None,
) -> None:
    """Accept messages by one more mailbox or form; prints the line's id."""
    channel: Channel = "form" if form else "email"
    normal = None if address is None else normalise_address(address)
    if (address is not None or not form) and (
        normal is None or split_plus_address(address or "")[1] is not None
    ):
        raise _refuse("--address is no mail address without a plus")
    if language not in {"ru", "en"}:
        raise _refuse("--language is ru or en")
    if not 0 < len(name.strip()) <= NAME_CHARS:
        raise _refuse(f"--name has 1 to {NAME_CHARS} characters")
    chosen: Language = "ru" if language == "ru" else "en"
    origins = [_origin(one) for one in origin or ()]
    if origins and not form:
        raise _refuse("--origin is for a form")
    line = StoredLine(uuid7(), name.strip(), channel, normal, chosen, disabled=False, origins=tuple(origins))
    parts = Parts(load(IntakeSettings))
    try:
        with parts.database.transaction() as connection:
            add_line(connection, line)
    except LineExistsError as exists:
        raise _refuse(str(exists)) from None
    finally:
        parts.database.close()
    typer.echo(str(line.line_id))


def _origin(given: str) -> str:
    """As a browser says it (RFC 6454, 6.2): scheme and host in lower case, and nothing behind them."""
    parts = urlsplit(given.strip().rstrip("/"))
    if parts.scheme not in {"http", "https"} or not _HOST.match(parts.netloc) or parts.path or parts.query:
        raise _refuse("--origin is a site as https://www.example.com")
    return f"{parts.scheme}://{parts.netloc.lower()}"


@lines.command("list")
def list_command() -> None:
    """One JSON line per line, the oldest first."""
    parts = Parts(load(IntakeSettings))
    try:
        with parts.database.transaction() as connection:
            found = list_lines(connection)
    finally:
        parts.database.close()
    for line in found:
        shown = {name: getattr(line, name) for name in line.__slots__}
        typer.echo(json.dumps(shown, default=str, ensure_ascii=False))


@lines.command("disable")
def disable_command(
    address: Annotated[str | None, typer.Option(help="a mail line's address")] = None,
    line_id: Annotated[UUID | None, typer.Option("--id", help="any line's id")] = None,
) -> None:
    """Accept no more messages by a line; what was accepted is still read."""
    if (address is None) == (line_id is None):
        raise _refuse("give --address or --id")
    parts = Parts(load(IntakeSettings))
    try:
        with parts.database.transaction() as connection:
            if line_id is not None:
                done = disable_line(connection, line_id)
            else:
                done = disable_mail_line(connection, normalise_address(address or "") or address or "")
    finally:
        parts.database.close()
    if not done:
        raise _refuse("there is no such line")


@contacts.callback()
def _contacts() -> None:
    """Contacts: the people who write."""


@contacts.command("erase")
def erase_command(contact_id: UUID) -> None:
    """Forget a contact for ever: what they wrote, their address, their attachments; prints when."""
    parts = Parts(load(IntakeSettings))
    command_id = uuid7()
    try:
        eraser = Eraser(parts.database, parts.log, PostgresRegistry())
        answer = eraser.erase(contact_id, Cause(command_id, command_id))
    except ContactUnknownError as unknown:
        raise _refuse(str(unknown)) from None
    finally:
        parts.database.close()
    typer.echo(json.dumps(answer.body))
