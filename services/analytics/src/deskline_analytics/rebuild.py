"""The command `rebuild`: every read model from offset 0, compared with the live one, put in its place."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any, Final

import psycopg
import typer
from aiokafka.errors import KafkaError
from psycopg import Connection

from deskline_analytics import consumer
from deskline_analytics.adapters import rebuilt_tables
from deskline_analytics.adapters.rebuilt_tables import Compared
from deskline_analytics.adapters.serving_lock import take_for_rebuild
from deskline_analytics.projections import MODELS, forget_erased
from deskline_analytics.rebuilding import RebuildRefusedError, Targets, TopicReplay
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.applying import SurroundingsError
from deskline_chassis.logs import configure_logging
from deskline_chassis.postgres import Database, conninfo
from deskline_chassis.reader import applier_for
from deskline_chassis.service import Parts
from deskline_chassis.settings import MigrationSettings, load, load_migration
from deskline_events.topics import keys_topic

WRONG_USE: Final = 2
# The comparison of a large table takes its time, and this session is idle while topics are read.
_PATIENT: Final = {"statement_timeout": "0", "idle_in_transaction_session_timeout": "0"}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of a rebuild: each named table and the streams, and streams that are readable now."""

    tables: tuple[Compared, ...]
    streams: Compared
    readable_now: tuple[str, ...]

    @property
    def differing(self) -> tuple[str, ...]:
        """Tables that differ."""
        return tuple(compared.table for compared in self.tables if not compared.equal)

    @property
    def equal(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and self.streams.equal


def rebuild_command(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="[MODEL]...", help=f"{', '.join(MODELS)}; all by default")
    ] = None,
    *,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="take what was rebuilt where it differs")
    ] = False,
) -> None:
    """Rebuild read models from the topics, beside the live ones; exits 1 where they differ.

    Needs the reader stopped (`serve --only http` may go on) and the owner's database URL.
    """
    wanted = tuple(dict.fromkeys(models or MODELS))
    if unknown := sorted(set(wanted) - set(MODELS)):
        typer.echo(f"rebuild: {', '.join(unknown)}: choose from {', '.join(MODELS)}", err=True)
        raise typer.Exit(WRONG_USE)
    settings = load(AnalyticsSettings)
    configure_logging(settings.service(), settings.log_level)
    migration = load_migration(AnalyticsSettings)
    try:
        with psycopg.connect(
            conninfo(migration.url, "deskline-analytics-rebuild", **_PATIENT), autocommit=True
        ) as owner:
            verdict = _rebuild(owner, Parts(settings), migration, wanted, accept=accept_differences)
    except RebuildRefusedError as refused:
        typer.echo(f"rebuild: {refused}", err=True)
        raise typer.Exit(1) from None
    except (KafkaError, OSError, psycopg.OperationalError, SurroundingsError) as error:
        typer.echo(f"rebuild: {type(error).__name__}: nothing was changed, run this again", err=True)
        raise typer.Exit(1) from None
    if not (verdict.equal or accept_differences):
        typer.echo("rebuild: different; the live tables are untouched. Take the rebuilt ones with")
        typer.echo(
            "  --accept-differences, or find out why first: nothing in a read model may differ by itself"
        )
        raise typer.Exit(1)


def _rebuild(
    owner: Connection[tuple[Any, ...]],
    parts: Parts,
    migration: MigrationSettings,
    wanted: tuple[str, ...],
    *,
    accept: bool,
) -> Verdict:
    if not take_for_rebuild(owner):
        raise RebuildRefusedError(
            "a reader of this service is running, or another rebuild: stop it first"
            " (serve --only http may go on)"
        )
    rebuilt_tables.prepare(owner, MODELS, consumer.REBUILDER, migration.runtime_role)
    targets = rebuilt_tables.targets(owner, consumer.READER)
    asyncio.run(_replay(parts, targets))
    with owner.transaction():
        forget_erased(owner)
    verdict = Verdict(
        tuple(rebuilt_tables.compare(owner, table) for table in wanted),
        rebuilt_tables.compare_streams(owner, consumer.READER, consumer.REBUILDER),
        tuple(rebuilt_tables.readable_now(owner, consumer.READER, consumer.REBUILDER)),
    )
    _tell_verdict(verdict)
    _take(owner, verdict, targets, whole=set(wanted) == set(MODELS), accept=accept)
    return verdict


def _take(
    owner: Connection[tuple[Any, ...]], verdict: Verdict, targets: Targets, *, whole: bool, accept: bool
) -> None:
    """Put in place what differs and was accepted, else leave everything as it was."""
    # After a restore the reader's rows must tell of the new generation, even where nothing was lost by it.
    restored = rebuilt_tables.restored(owner, consumer.READER, consumer.REBUILDER)
    readers = not verdict.streams.equal or (restored and whole)
    if not (verdict.equal or accept) or (verdict.equal and not readers):
        with owner.transaction():
            rebuilt_tables.clear(owner, consumer.REBUILDER)
        return
    if readers and not whole:
        raise RebuildRefusedError(
            "the readers have not applied the same events, so the tables can only be taken together:"
            " run this without naming models"
        )
    rebuilt_tables.put_in_place(
        owner, verdict.differing, consumer.READER, consumer.REBUILDER, targets, readers=readers
    )
    taken = [*verdict.differing, *(["positions and streams"] if readers else [])]
    _tell(f"taken: {', '.join(taken)}")


async def _replay(parts: Parts, targets: Targets) -> None:
    database = Database(
        parts.settings.database_url.get_secret_value(),
        "deskline-analytics-rebuild",
        size=2,
        search_path="rebuilt,public",
    )
    database.open()
    try:
        applier = applier_for(consumer.rebuilding_reader(), database, parts.keys, parts.broker)
        compacted = frozenset(parts.broker.topic(keys_topic(owner)) for owner in consumer.KEY_OWNERS)
        await TopicReplay(applier, parts.broker, compacted, targets, _tell).run()
        with database.transaction() as connection:
            forget_erased(connection)
    finally:
        database.close()


def _tell(line: str) -> None:
    typer.echo(f"rebuild: {line}")


def _tell_verdict(verdict: Verdict) -> None:
    for compared in (*verdict.tables, verdict.streams):
        what = "equal" if compared.equal else "different"
        _tell(f"{compared.table}: {what}, {compared.live_rows} rows live, {compared.rebuilt_rows} rebuilt")
        for key in compared.keys:
            _tell(f"  {key}")
    for stream in verdict.readable_now:
        _tell(f"parked live, readable now: {stream}")
