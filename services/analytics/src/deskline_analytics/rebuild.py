"""A rebuild: every read model from offset 0, compared with the live one, put in its place."""

import asyncio
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import typer
from aiokafka.errors import KafkaError
from psycopg import Connection

from deskline_analytics import consumer
from deskline_analytics.adapters import rebuilt_tables
from deskline_analytics.adapters.rebuilt_tables import Compared
from deskline_analytics.adapters.serving_lock import reader_paused, take_for_rebuild
from deskline_analytics.domain.models import MODELS
from deskline_analytics.projections import forget_erased
from deskline_analytics.rebuilding import RebuildRefusedError, Targets
from deskline_analytics.replaying import SEARCH_PATH, processes_for, replay_in_parts, replay_of
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.applying import SurroundingsError
from deskline_chassis.postgres import Database, conninfo
from deskline_chassis.serving import ServingParts
from deskline_chassis.settings import MigrationSettings

CLOSE: Final = 500
"""So few records behind the live reader, it may stand still."""
APPROACHES: Final = 20
PATIENCE_SECONDS: Final = 10.0
MEET_SECONDS: Final = 0.5
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


def rebuild(
    settings: AnalyticsSettings,
    migration: MigrationSettings,
    wanted: tuple[str, ...],
    *,
    accept_differences: bool,
) -> Verdict:
    """Rebuild these read models from the topics, and tell on the way; raises RebuildRefusedError."""
    patient = conninfo(migration.url, "deskline-analytics-rebuild", **_PATIENT)
    try:
        with psycopg.connect(patient, autocommit=True) as owner:
            return _rebuild(owner, ServingParts(settings), migration, wanted, accept=accept_differences)
    except (KafkaError, OSError, psycopg.OperationalError, SurroundingsError) as error:
        raise RebuildRefusedError(f"{type(error).__name__}: nothing was changed, run this again") from error


def _rebuild(
    owner: Connection[tuple[Any, ...]],
    parts: ServingParts,
    migration: MigrationSettings,
    wanted: tuple[str, ...],
    *,
    accept: bool,
) -> Verdict:
    if not take_for_rebuild(owner):
        raise RebuildRefusedError("another rebuild of this service is running")
    rebuilt_tables.prepare(owner, MODELS, consumer.REBUILDER, migration.runtime_role)
    database = Database(
        parts.settings.database_url.get_secret_value(),
        "deskline-analytics-rebuild",
        size=2,
        search_path=SEARCH_PATH,
    )
    database.open()
    try:
        rebuilding = _Rebuild(owner, parts, database, migration.url, wanted)
        return asyncio.run(rebuilding.run(accept=accept))
    finally:
        database.close()


class _Rebuild:
    """Follows the live reader, compares with it at one moment, and takes what differs if told so."""

    def __init__(
        self,
        owner: Connection[tuple[Any, ...]],
        parts: ServingParts,
        database: Database,
        url: str,
        wanted: tuple[str, ...],
    ) -> None:
        self._owner = owner
        self._database = database
        self._url = url
        self._wanted = wanted
        self._whole = set(wanted) == set(MODELS)
        self._replay = replay_of(database, parts.keys, parts.broker, _tell_progress)

    async def run(self, *, accept: bool) -> Verdict:
        """Raises RebuildRefusedError, and errors of both servers."""
        async with self._replay:
            await self._approach()
            verdict = await self._compare()
            _tell_verdict(verdict)
            await self._take(verdict, accept=accept)
        return verdict

    async def _approach(self) -> None:
        """Come close to the live reader, which goes on, so that it need not stand still for long."""
        targets = rebuilt_tables.targets(self._owner, consumer.READER)
        processes = processes_for(sum(targets.values()))
        if processes > 1:
            await asyncio.to_thread(replay_in_parts, targets, processes, _tell_progress)
        for _ in range(APPROACHES):
            await self._replay.reach(rebuilt_tables.targets(self._owner, consumer.READER))
            now = rebuilt_tables.targets(self._owner, consumer.READER)
            if await self._replay.behind(now) <= CLOSE:
                return

    async def _compare(self) -> Verdict:
        """As soon as the live reader is past the repeats of a higher epoch, or reads no more of them."""
        seen: Targets = {}
        since = time.monotonic()
        while True:
            patient = time.monotonic() - since < PATIENCE_SECONDS
            found = await self._meet(patient=patient)
            if isinstance(found, Verdict):
                return found
            if found != seen:
                seen, since = found, time.monotonic()
            await asyncio.sleep(MEET_SECONDS)

    async def _meet(self, *, patient: bool) -> Verdict | Targets:
        """What the comparison says; to who is patient, where the reader stands if it reads repeats."""
        with ExitStack() as pause:
            paused = pause.enter_context(reader_paused(self._url, consumer.READER))
            targets = rebuilt_tables.targets(paused, consumer.READER)
            if await self._replay.is_ahead(targets):
                if patient:
                    return targets
                raise RebuildRefusedError(
                    "the live reader went back to read repeats of a higher epoch, and stands still there:"
                    " let it catch up, then run this again"
                )
            await self._come_up(targets)
            with self._owner.transaction():
                forget_erased(self._owner)
            # Beside the loop, in which the consumer goes on talking to its broker.
            return await asyncio.to_thread(self._look, paused, pause, targets, patient=patient)

    def _look(
        self,
        paused: Connection[tuple[Any, ...]],
        pause: ExitStack,
        targets: Targets,
        *,
        patient: bool,
    ) -> Verdict | Targets:
        with rebuilt_tables.one_moment(self._owner):
            # It stood still until now; what it applies from here on is not seen.
            paused.execute("SELECT")
            pause.close()
            if patient and rebuilt_tables.is_rereading(self._owner, consumer.READER, consumer.REBUILDER):
                return targets
            return Verdict(
                tuple(rebuilt_tables.compare(self._owner, table) for table in self._wanted),
                self._streams(self._owner),
                tuple(rebuilt_tables.readable_now(self._owner, consumer.READER, consumer.REBUILDER)),
            )

    async def _come_up(self, targets: Targets) -> None:
        """To exactly where the live reader stands still."""
        await self._replay.reach(targets)
        with self._database.transaction() as connection:
            forget_erased(connection)

    def _streams(self, connection: Connection[tuple[Any, ...]]) -> Compared:
        return rebuilt_tables.compare_streams(connection, consumer.READER, consumer.REBUILDER)

    async def _take(self, verdict: Verdict, *, accept: bool) -> None:
        """Put in place what differs and was accepted, else leave everything as it was."""
        # After a restore the reader's rows must tell of the new generation, even where nothing was lost.
        restored = rebuilt_tables.restored(self._owner, consumer.READER, consumer.REBUILDER) and self._whole
        if not (verdict.equal or accept) or (verdict.equal and not restored):
            with self._owner.transaction():
                rebuilt_tables.clear(self._owner, consumer.REBUILDER)
            return
        with reader_paused(self._url, consumer.READER, streams=True) as paused:
            await self._come_up(rebuilt_tables.targets(paused, consumer.READER))
            forget_erased(paused)
            # The live reader went on since the comparison: what it did with streams may differ only now.
            readers = restored or not self._streams(paused).equal
            if readers and not self._whole:
                raise RebuildRefusedError(
                    "the readers have not applied the same events, so the tables can only be taken together:"
                    " run this without naming models"
                )
            # Streams that the live reader has not applied since may be in any table by now.
            tables = MODELS if readers else verdict.differing
            rebuilt_tables.put_in_place(paused, tables, consumer.READER, consumer.REBUILDER, readers=readers)
            paused.commit()
        taken = [*tables, *(["positions and streams"] if readers else [])]
        _tell(f"taken: {', '.join(taken)}")


def _tell(line: str) -> None:
    typer.echo(f"rebuild: {line}")


def _tell_progress(read: int, whole: int) -> None:
    _tell(f"read {read} records, {whole} to be reached (more where an epoch rose)")


def _tell_verdict(verdict: Verdict) -> None:
    for compared in (*verdict.tables, verdict.streams):
        what = "equal" if compared.equal else "different"
        _tell(f"{compared.table}: {what}, {compared.live_rows} rows live, {compared.rebuilt_rows} rebuilt")
        for key in compared.keys:
            _tell(f"  {key}")
    for stream in verdict.readable_now:
        _tell(f"parked live, readable now: {stream}")
