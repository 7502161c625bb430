"""The service: its parts put together from settings, and the commands that every service has."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Annotated
from uuid import UUID

import typer
from fastapi import FastAPI

from deskline_chassis.applying import ReaderSpec
from deskline_chassis.bell import Bell
from deskline_chassis.broker import Broker
from deskline_chassis.deadlines import failed_deadlines, retry_deadlines
from deskline_chassis.event_log import EventLog
from deskline_chassis.http import create_app, serve_http
from deskline_chassis.identity import Verifier, trust
from deskline_chassis.logs import configure_logging
from deskline_chassis.parking import discard, parked_list, redrive
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database
from deskline_chassis.reader import Reader, applier_for
from deskline_chassis.relay import Publish, Relay, as_stored
from deskline_chassis.republish import republish
from deskline_chassis.runtime import Run, Runtime, run_service
from deskline_chassis.settings import ServiceSettings, load, load_migration
from deskline_chassis.telemetry import configure_tracing


class Parts:
    """What a service is made of, each made once, when it is first asked for."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.name = settings.service()

    @cached_property
    def runtime(self) -> Runtime:
        """The process' loops."""
        return Runtime(self.name)

    @cached_property
    def database(self) -> Database:
        """The service's pool, opened."""
        database = Database(
            self.settings.database_url.get_secret_value(),
            f"deskline-{self.name}",
            size=self.settings.pool_size,
        )
        database.open()
        return database

    @cached_property
    def keys(self) -> KeyRing:
        """Persons' keys."""
        return KeyRing(self.settings.key_encryption_key_bytes)

    @cached_property
    def broker(self) -> Broker:
        """The deployment's Kafka."""
        return Broker.told_by(self.settings)

    @cached_property
    def bell(self) -> Bell:
        """What wakes the relay."""
        return Bell(self.settings.database_url.get_secret_value(), f"deskline-{self.name}-bell")

    @cached_property
    def log(self) -> EventLog:
        """The event log of this owner."""
        return EventLog(self.name, self.keys, self.bell.ring)

    @cached_property
    def app(self) -> FastAPI:
        """The service's HTTP, which trusts the gateway's signed identity and nobody else."""
        app = create_app(f"deskline-{self.name}", "1", self.runtime, trust_traceparent=True)
        trust(app, Verifier(self.settings.identity_public_key, self.name))
        return app


@dataclass(frozen=True, slots=True)
class Service:
    """A deployable: what its `main.py` says of it; everything else is alike in all of them."""

    settings: type[ServiceSettings]
    package: str
    routes: Callable[[Parts], None] = lambda _parts: None
    app: Callable[[Parts], FastAPI] = lambda parts: parts.app
    reader: Callable[[Parts], ReaderSpec] | None = None
    loops: Callable[[Parts], dict[str, Run]] = lambda _parts: {}
    announces: bool = False
    publish: Publish = as_stored
    owns_keys: bool = False
    commands: dict[str, typer.Typer] = field(default_factory=dict)


def serve(service: Service, only: frozenset[str]) -> int:
    """Run the service's loops, or only some of them, until a signal; gives the exit code."""
    settings = load(service.settings)
    name = settings.service()
    configure_logging(name, settings.log_level)
    configure_tracing(name, settings.trace_sample, settings.trace_file, settings.otlp_endpoint)
    parts = Parts(settings)
    loops: dict[str, Run] = {}
    if service.announces:
        relay = Relay(
            name,
            settings.database_url.get_secret_value(),
            parts.broker,
            parts.bell,
            publish=service.publish,
            owns_keys=service.owns_keys,
        )
        loops |= {"bell": parts.bell.run, "relay": relay.run}
    if service.reader is not None:
        spec = service.reader(parts)
        reader = Reader(spec, parts.database, parts.keys, parts.broker, instance=settings.instance)
        loops["consumer"] = reader.run
    loops |= service.loops(parts)
    service.routes(parts)
    loops["database"] = parts.database.watch
    loops["http"] = serve_http(service.app(parts), settings.http_host, settings.http_port)
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


def command_line(service: Service) -> typer.Typer:
    """The service's command line: serve, migrate, prepare, republish, parked, deadlines."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

    @app.command("serve")
    def serve_command(
        only: Annotated[str, typer.Option(help="comma-separated loops; all by default")] = "",
    ) -> None:
        """Run the service."""
        raise typer.Exit(serve(service, frozenset(filter(None, only.split(",")))))

    @app.command("migrate")
    def migrate_command() -> None:
        """Bring the database to the newest schema and give the roles their rights."""
        # SQLAlchemy is for this command alone; a serving process does not carry it.
        from deskline_chassis.migrate import migrate  # noqa: PLC0415

        wanted = load_migration(service.settings)
        migrate(wanted.url, service.package, wanted.runtime_role, wanted.readonly_role)

    @app.command("prepare")
    def prepare_command() -> None:
        """Create what is missing: the database and its roles (with an ADMIN_URL), the schema, the topics."""
        from deskline_chassis.prepare import NotPreparedError, load_preparation, prepare  # noqa: PLC0415

        configure_logging(service.settings.service(), "WARNING")
        try:
            prepare(service.package, load_preparation(service.settings), typer.echo)
        except NotPreparedError as error:
            typer.echo(f"prepare: {error}", err=True)
            raise typer.Exit(1) from None

    @app.command("republish")
    def republish_command(
        *,
        new_epoch: Annotated[
            bool, typer.Option("--new-epoch", help="the database was restored to an earlier moment")
        ] = False,
    ) -> None:
        """Announce the whole log anew under a higher epoch."""
        epoch = republish(Parts(load(service.settings)).database, restored=new_epoch)
        typer.echo(f"epoch {epoch}: the relay announces everything anew")

    if service.reader is not None:
        app.add_typer(
            _parked_commands(service, service.reader),
            name="parked",
            help="Records that could not be applied.",
        )
    if service.announces:
        app.add_typer(
            _deadline_commands(service),
            name="deadlines",
            help="Deadlines that failed by themselves.",
        )
    for name, commands in service.commands.items():
        app.add_typer(commands, name=name)
    return app


def _parked_commands(service: Service, reader: Callable[[Parts], ReaderSpec]) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True)

    @app.command("list")
    def list_command() -> None:
        """One JSON line per parked stream or loose record, oldest first."""
        for parked in parked_list(Parts(load(service.settings)).database):
            shown = {name: getattr(parked, name) for name in parked.__slots__}
            typer.echo(json.dumps(shown, default=str))

    @app.command("redrive")
    def redrive_command(
        subject: Annotated[UUID | None, typer.Argument(help="one stream; all by default")] = None,
    ) -> None:
        """Apply parked streams in order, each all or nothing; exits 1 where one was refused."""
        parts = Parts(load(service.settings))
        applier = applier_for(reader(parts), parts.database, parts.keys, parts.broker)
        applied, refused = redrive(applier, parts.database, subject)
        typer.echo(f"{applied} records applied, {len(refused)} streams refused")
        for refusal in refused:
            typer.echo(refusal, err=True)
        if refused:
            raise typer.Exit(1)

    @app.command("discard")
    def discard_command(parked_id: UUID) -> None:
        """Remove a record that belongs to no stream."""
        if not discard(Parts(load(service.settings)).database, parked_id):
            typer.echo("no such loose record; those of a stream can only be redriven", err=True)
            raise typer.Exit(1)

    return app


def _deadline_commands(service: Service) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True)

    @app.command("list")
    def list_command() -> None:
        """One JSON line per failed deadline, the oldest first."""
        for failed in failed_deadlines(Parts(load(service.settings)).database):
            typer.echo(json.dumps(asdict(failed.deadline) | {"cause": failed.cause}, default=str))

    @app.command("retry")
    def retry_command(
        subject: Annotated[UUID | None, typer.Argument(help="of one subject; all by default")] = None,
    ) -> None:
        """Arm failed deadlines anew; they are asked at once."""
        parts = Parts(load(service.settings))
        typer.echo(f"{retry_deadlines(parts.database, parts.log, subject)} deadlines armed anew")

    return app
