"""What serves: a service's loops and its HTTP, put together from its settings."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from fastapi import FastAPI

from deskline_chassis.applying import Applier, ReaderSpec
from deskline_chassis.broker import Broker
from deskline_chassis.callers import trust
from deskline_chassis.http import create_app, serve_http
from deskline_chassis.identity import Verifier
from deskline_chassis.logs import configure_logging
from deskline_chassis.loops import Run
from deskline_chassis.parts import Parts
from deskline_chassis.reader import Reader, applier_for
from deskline_chassis.relay import Publish, Relay, as_stored
from deskline_chassis.runtime import Runtime, run_service
from deskline_chassis.settings import ServiceSettings
from deskline_chassis.telemetry import configure_tracing


class ServingParts(Parts):
    """What a serving process is made of, each made once."""

    @cached_property
    def runtime(self) -> Runtime:
        """The process' loops."""
        return Runtime(self.name)

    @cached_property
    def broker(self) -> Broker:
        """The deployment's Kafka."""
        return Broker.told_by(self.settings)

    @cached_property
    def app(self) -> FastAPI:
        """The service's HTTP, which trusts the gateway's signed identity and nobody else."""
        app = create_app(f"deskline-{self.name}", "1", self.runtime, trust_traceparent=True)
        trust(app, Verifier(self.settings.identity_public_key, self.name))
        return app


@dataclass(frozen=True, slots=True)
class Serving:
    """What a service's `serving.py` says of it; everything else is alike in all of them."""

    routes: Callable[[ServingParts], None] = lambda _parts: None
    app: Callable[[ServingParts], FastAPI] = lambda parts: parts.app
    reader: Callable[[ServingParts], ReaderSpec] | None = None
    loops: Callable[[ServingParts], dict[str, Run]] = lambda _parts: {}
    publish: Publish = as_stored
    owns_keys: bool = False

    def applier(self, parts: ServingParts) -> Applier:
        """What applies a record, as the reader does; raises TypeError in a service that has none."""
        if self.reader is None:
            raise TypeError(f"{parts.name} has no reader")
        return applier_for(self.reader(parts), parts.database, parts.keys, parts.broker)


def serve(settings: ServiceSettings, serving: Serving, only: frozenset[str], *, announces: bool) -> int:
    """Run the service's loops, or only some of them, until a signal; gives the exit code."""
    name = settings.service()
    configure_logging(name, settings.log_level)
    configure_tracing(name, settings.trace_sample, settings.trace_file, settings.otlp_endpoint)
    parts = ServingParts(settings)
    loops: dict[str, Run] = {}
    if announces:
        relay = Relay(
            name,
            settings.database_url.get_secret_value(),
            parts.broker,
            parts.bell,
            publish=serving.publish,
            owns_keys=serving.owns_keys,
        )
        loops |= {"bell": parts.bell.run, "relay": relay.run}
    if serving.reader is not None:
        spec = serving.reader(parts)
        reader = Reader(spec, parts.database, parts.keys, parts.broker, instance=settings.instance)
        loops["consumer"] = reader.run
    loops |= serving.loops(parts)
    serving.routes(parts)
    loops["database"] = parts.database.watch
    loops["http"] = serve_http(serving.app(parts), settings.http_host, settings.http_port)
    unknown = only - set(loops)
    if unknown:
        sys.stderr.write(f"serve --only: {', '.join(sorted(unknown))}: choose from {', '.join(loops)}\n")
        return 2
    # A relay elsewhere is woken by this process' bell; probes and metrics are always served.
    kept = only | {"http", "bell", "database"} if only else set(loops)
    for loop, run in loops.items():
        if loop in kept:
            parts.runtime.add(loop, run)
    try:
        return run_service(parts.runtime)
    finally:
        parts.database.close()
