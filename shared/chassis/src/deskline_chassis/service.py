"""The service: the commands that every service has, which start without what only serves."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from deskline_chassis.parts import Parts
from deskline_chassis.settings import ServiceSettings, load, load_migration

if TYPE_CHECKING:
    from deskline_chassis.serving import Serving

# A command imports what it alone needs when it runs: FastAPI, Kafka's client and SQLAlchemy
# take a second of processor together, and most commands need none of them.


@dataclass(frozen=True, slots=True)
class Service:
    """A deployable: what its `main.py` says of it; `serving` imports and gives what its `serving.py` says."""

    settings: type[ServiceSettings]
    package: str
    serving: "Callable[[], Serving]"
    reads: bool = False
    announces: bool = False
    commands: dict[str, typer.Typer] = field(default_factory=dict)


def command_line(service: Service) -> typer.Typer:
    """The service's command line: serve, migrate, prepare, republish, parked, deadlines."""
    app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

    @app.command("serve")
    def serve_command(
        only: Annotated[str, typer.Option(help="comma-separated loops; all by default")] = "",
    ) -> None:
        """Run the service."""
        from deskline_chassis.serving import serve

        settings, named = load(service.settings), frozenset(filter(None, only.split(",")))
        raise typer.Exit(serve(settings, service.serving(), named, announces=service.announces))

    @app.command("migrate")
    def migrate_command() -> None:
        """Bring the database to the newest schema and give the roles their rights."""
        from deskline_chassis.migrate import migrate

        wanted = load_migration(service.settings)
        migrate(wanted.url, service.package, wanted.runtime_role, wanted.readonly_role)

    @app.command("prepare")
    def prepare_command() -> None:
        """Create what is missing: the database and its roles (with an ADMIN_URL), the schema, the topics."""
        from deskline_chassis.logs import configure_logging
        from deskline_chassis.prepare import NotPreparedError, load_preparation, prepare

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
        from deskline_chassis.republish import republish

        epoch = republish(Parts(load(service.settings)).database, restored=new_epoch)
        typer.echo(f"epoch {epoch}: the relay announces everything anew")

    if service.reads:
        app.add_typer(
            _parked_commands(service),
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


def _parked_commands(service: Service) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True)

    @app.command("list")
    def list_command() -> None:
        """One JSON line per parked stream or loose record, oldest first."""
        from deskline_chassis.parking import parked_list

        for parked in parked_list(Parts(load(service.settings)).database):
            shown = {name: getattr(parked, name) for name in parked.__slots__}
            typer.echo(json.dumps(shown, default=str))

    @app.command("redrive")
    def redrive_command(
        subject: Annotated[UUID | None, typer.Argument(help="one stream; all by default")] = None,
    ) -> None:
        """Apply parked streams in order, each all or nothing; exits 1 where one was refused."""
        from deskline_chassis.parking import redrive
        from deskline_chassis.serving import ServingParts

        parts = ServingParts(load(service.settings))
        applier = service.serving().applier(parts)
        applied, refused = redrive(applier, parts.database, subject)
        typer.echo(f"{applied} records applied, {len(refused)} streams refused")
        for refusal in refused:
            typer.echo(refusal, err=True)
        if refused:
            raise typer.Exit(1)

    @app.command("discard")
    def discard_command(parked_id: UUID) -> None:
        """Remove a record that belongs to no stream."""
        from deskline_chassis.parking import discard

        if not discard(Parts(load(service.settings)).database, parked_id):
            typer.echo("no such loose record; those of a stream can only be redriven", err=True)
            raise typer.Exit(1)

    return app


def _deadline_commands(service: Service) -> typer.Typer:
    app = typer.Typer(no_args_is_help=True)

    @app.command("list")
    def list_command() -> None:
        """One JSON line per failed deadline, the oldest first."""
        from deskline_chassis.deadlines import failed_deadlines

        for failed in failed_deadlines(Parts(load(service.settings)).database):
            typer.echo(json.dumps(asdict(failed.deadline) | {"cause": failed.cause}, default=str))

    @app.command("retry")
    def retry_command(
        subject: Annotated[UUID | None, typer.Argument(help="of one subject; all by default")] = None,
    ) -> None:
        """Arm failed deadlines anew; they are asked at once."""
        from deskline_chassis.deadlines import retry_deadlines

        parts = Parts(load(service.settings))
        typer.echo(f"{retry_deadlines(parts.database, parts.log, subject)} deadlines armed anew")

    return app
