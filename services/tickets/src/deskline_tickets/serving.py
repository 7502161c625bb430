"""Tickets, wired."""

from typing import cast

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.serving import Serving, ServingParts
from deskline_tickets.adapters.desk import Desks
from deskline_tickets.adapters.ticket_store import TicketStore
from deskline_tickets.api.routes import add_routes
from deskline_tickets.consumer import reader_of
from deskline_tickets.handlers.messages import Rules
from deskline_tickets.publisher import publish_bytes
from deskline_tickets.settings import TicketsSettings


def rules_of(settings: TicketsSettings) -> Rules:
    """What this deployment says of threading."""
    return Rules(settings.reply_token_key_bytes, settings.own_domain_names, settings.reopening_window)


def _reader(parts: ServingParts) -> ReaderSpec:
    return reader_of(_store(parts), rules_of(cast("TicketsSettings", parts.settings)))


def _routes(parts: ServingParts) -> None:
    add_routes(parts.app, parts.database, parts.log, Desks(parts.database, _store(parts)).give)


def _store(parts: ServingParts) -> TicketStore:
    # One cache each for the reader and the routes: neither trusts its own without the log.
    return TicketStore(parts.log)


SERVING = Serving(routes=_routes, reader=_reader, publish=publish_bytes)
