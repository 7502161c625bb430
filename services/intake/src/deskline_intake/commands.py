"""The command line for lines: add, list, disable."""

import json
from typing import Annotated

import typer

from deskline_chassis.service import Parts
from deskline_chassis.settings import load
from deskline_events.facts import Language
from deskline_intake.adapters.lines import LineExistsError, add_line, disable_line, list_lines
from deskline_intake.domain.addresses import normalise_address, split_plus_address
from deskline_intake.settings import IntakeSettings

lines = typer.Typer(no_args_is_help=True, help="Lines: the addresses at which customers write.")

NAME_CHARS = 100


def _refuse(why: str) -> typer.Exit:
    typer.echo(why, err=True)
    return typer.Exit(1)


@lines.command("add")
def add_command(
    address: Annotated[str, typer.Option(help="where customers write to")],
    name: Annotated[str, typer.Option(help="how operators see it")],
    language: Annotated[str, typer.Option(help="ru or en")] = "ru",
) -> None:
    """Accept mail for one more address; prints the line's id."""
    normal = normalise_address(address)
    if normal is None or split_plus_address(address)[1] is not None:
        raise _refuse("--address is no mail address without a plus")
    if language not in {"ru", "en"}:
        raise _refuse("--language is ru or en")
    if not 0 < len(name.strip()) <= NAME_CHARS:
        raise _refuse(f"--name has 1 to {NAME_CHARS} characters")
    chosen: Language = "ru" if language == "ru" else "en"
    parts = Parts(load(IntakeSettings))
    try:
        with parts.database.transaction() as connection:
            line = add_line(connection, name.strip(), normal, chosen)
    except LineExistsError as exists:
        raise _refuse(str(exists)) from None
    finally:
        parts.database.close()
    typer.echo(str(line.line_id))


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
def disable_command(address: Annotated[str, typer.Option(help="the line's address")]) -> None:
    """Accept no more mail for an address; what was accepted is still read."""
    parts = Parts(load(IntakeSettings))
    try:
        with parts.database.transaction() as connection:
            done = disable_line(connection, normalise_address(address) or address)
    finally:
        parts.database.close()
    if not done:
        raise _refuse("there is no line with this address")
