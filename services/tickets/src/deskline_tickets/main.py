"""The wiring of tickets, and its command line."""

from typing import cast

import typer

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.service import Parts, Service, command_line
from deskline_chassis.settings import load
from deskline_tickets.adapters.desk import Desks
from deskline_tickets.adapters.ticket_store import TicketStore
from deskline_tickets.api import add_routes
from deskline_tickets.consumer import reader_of
from deskline_tickets.handlers.messages import Rules
from deskline_tickets.projections import rebuild_set_aside
from deskline_tickets.publisher import publish_bytes
from deskline_tickets.settings import TicketsSettings


def rules_of(settings: TicketsSettings) -> Rules:
    """What this deployment says of threading."""
    return Rules(settings.reply_token_key_bytes, settings.own_domain_names, settings.reopening_window)


def _reader(parts: Parts) -> ReaderSpec:
    return reader_of(_store(parts), rules_of(cast("TicketsSettings", parts.settings)))


def _routes(parts: Parts) -> None:
    add_routes(parts.app, parts.database, parts.log, Desks(parts.database, _store(parts)).give)


def _store(parts: Parts) -> TicketStore:
    # One cache each for the reader and the routes: neither trusts its own without the log.
    return TicketStore(parts.log)


_rebuild = typer.Typer(no_args_is_help=True, help="Make a read model anew.")


@_rebuild.callback()
def _rebuild_what() -> None:
    """Make a read model anew from the event log."""


@_rebuild.command("set-aside")
def _rebuild_set_aside() -> None:
    """The list of messages that made no ticket."""
    parts = Parts(load(TicketsSettings))
    with parts.database.transaction() as connection:
        parts.log.lock(connection)
        rows = rebuild_set_aside(connection)
    parts.database.close()
    typer.echo(f"set_aside: {rows} rows")


SERVICE = Service(
    TicketsSettings,
    "deskline_tickets",
    routes=_routes,
    reader=_reader,
    announces=True,
    publish=publish_bytes,
    commands={"rebuild": _rebuild},
)


def main() -> None:
    """Run the command line."""
    command_line(SERVICE)()
