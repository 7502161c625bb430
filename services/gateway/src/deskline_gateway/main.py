"""The gateway's only wiring."""

from fastapi import FastAPI

from deskline_chassis.runtime import Run
from deskline_chassis.service import Parts, Service, command_line
from deskline_gateway.adapters.owners import HttpOwners
from deskline_gateway.adapters.token_cache import TokenCache
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.api.door import Door
from deskline_gateway.api.routes import create_gateway
from deskline_gateway.settings import GatewaySettings
from deskline_gateway.timers import watch_upstreams
from deskline_gateway.token_commands import token_commands


def _owners(parts: Parts, connections: int) -> HttpOwners:
    settings = _settings(parts)
    # Never closed: they end with the process, after the server has finished what was in flight.
    return HttpOwners(
        {"tickets": settings.tickets_url, "analytics": settings.analytics_url}, connections=connections
    )


def _app(parts: Parts) -> FastAPI:
    settings = _settings(parts)
    door = Door(
        TokenCache(TokenTable(parts.database)),
        _owners(parts, settings.in_flight),
        settings.identity_private_key.get_secret_value(),
        settings.in_flight,
    )
    return create_gateway(parts.runtime, door.pass_on)


def _loops(parts: Parts) -> dict[str, Run]:
    # Connections of its own: a crowd at the door must not make an owner look dead.
    return {"upstreams": watch_upstreams(parts.database, _owners(parts, connections=1))}


def _settings(parts: Parts) -> GatewaySettings:
    if not isinstance(parts.settings, GatewaySettings):
        raise TypeError("the gateway needs its own settings")
    return parts.settings


SERVICE = Service(
    GatewaySettings, "deskline_gateway", app=_app, loops=_loops, commands={"token": token_commands}
)


def main() -> None:
    """The command `deskline-gateway`."""
    command_line(SERVICE)()
