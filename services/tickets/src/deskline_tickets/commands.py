"""Commands for what tickets derives from its own log."""

import typer

from deskline_chassis.parts import Parts
from deskline_chassis.settings import load
from deskline_tickets.projections import rebuild_set_aside
from deskline_tickets.settings import TicketsSettings

rebuild = typer.Typer(no_args_is_help=True, help="Make a read model anew.")


@rebuild.callback()
def _rebuild_what() -> None:
    """Make a read model anew from the event log."""


@rebuild.command("set-aside")
def _rebuild_set_aside() -> None:
    """The list of messages that made no ticket."""
    parts = Parts(load(TicketsSettings))
    with parts.database.transaction() as connection:
        parts.log.lock(connection)
        rows = rebuild_set_aside(connection)
    parts.database.close()
    typer.echo(f"set_aside: {rows} rows")
