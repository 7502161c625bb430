"""The gateway, wired."""

import functools

from fastapi import FastAPI

from deskline_chassis.loops import Run
from deskline_chassis.serving import Serving, ServingParts
from deskline_gateway.adapters.audience import Audience
from deskline_gateway.adapters.live_feed import LiveFeed
from deskline_gateway.adapters.owners import HttpOwners
from deskline_gateway.adapters.token_cache import TokenCache
from deskline_gateway.adapters.token_table import TokenTable
from deskline_gateway.api.admission import Admission
from deskline_gateway.api.asking import Asking
from deskline_gateway.api.door import Door
from deskline_gateway.api.live_views import LiveViews
from deskline_gateway.api.routes import create_gateway
from deskline_gateway.domain.room import Room
from deskline_gateway.settings import GatewaySettings
from deskline_gateway.timers import watch_upstreams


def _owners(parts: ServingParts, connections: int) -> HttpOwners:
    # Never closed: they end with the process, after the server has finished what was in flight.
    return HttpOwners(_settings(parts).owner_urls, connections=connections)


@functools.cache
def _audience(parts: ServingParts) -> Audience:
    # One for the process: the loop that hears the news and the door that tells them share it.
    settings = _settings(parts)
    return Audience(most=settings.streams, most_per_token=settings.streams_per_token)


def _app(parts: ServingParts) -> FastAPI:
    settings = _settings(parts)
    admission = Admission(TokenCache(TokenTable(parts.database)), settings.limits, settings.proxy_networks)
    asking = Asking(_owners(parts, settings.in_flight), settings.identity_private_key.get_secret_value())
    live_views = LiveViews(_audience(parts), admission, asking)
    door = Door(admission, asking, live_views)
    return create_gateway(parts.runtime, door.pass_on, Room(settings.in_flight))


def _loops(parts: ServingParts) -> dict[str, Run]:
    return {
        # Connections of its own: a crowd at the door must not make an owner look dead.
        "upstreams": watch_upstreams(parts.database, _owners(parts, connections=1)),
        "live": LiveFeed(parts.broker, _audience(parts)).run,
    }


def _settings(parts: ServingParts) -> GatewaySettings:
    if not isinstance(parts.settings, GatewaySettings):
        raise TypeError("the gateway needs its own settings")
    return parts.settings


SERVING = Serving(app=_app, loops=_loops)
