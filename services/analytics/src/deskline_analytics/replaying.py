"""Several processes replay a share of the partitions each, for one process uses one core.

A ticket's streams lie in partitions of the same number with all owners, so that no two processes write the
row of one ticket; what tickets share is written as replicas of the service write it.
"""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Final

import psycopg
from aiokafka.errors import KafkaError

from deskline_analytics import consumer
from deskline_analytics.adapters import control_groups
from deskline_analytics.adapters.serving_lock import join_rebuild
from deskline_analytics.rebuilding import RebuildRefusedError, Targets, Tell, TopicReplay
from deskline_analytics.settings import AnalyticsSettings
from deskline_chassis.applying import SurroundingsError
from deskline_chassis.broker import Broker
from deskline_chassis.logs import configure_logging
from deskline_chassis.personal_data import KeyRing
from deskline_chassis.postgres import Database, conninfo
from deskline_chassis.reader import applier_for
from deskline_chassis.serving import ServingParts
from deskline_chassis.settings import load
from deskline_events.topics import keys_topic

MOST_PROCESSES: Final = 4
PROCESS_BYTES: Final = 200 * 1024 * 1024
WORTH: Final = 20_000
"""So many records are worth the second that a process takes to begin."""
TELL_SECONDS: Final = 2.0
END_SECONDS: Final = 10.0
SEARCH_PATH: Final = "rebuilt,public"


@dataclass(frozen=True, slots=True)
class _Failed:
    """What a process tells instead of how many records it read."""

    message: str


def replay_of(database: Database, keys: KeyRing, broker: Broker, tell: Tell) -> TopicReplay:
    """A replay into the rebuilt tables."""
    return TopicReplay(
        applier_for(consumer.rebuilding_reader(), database, keys, broker),
        broker,
        frozenset(broker.topic(keys_topic(owner)) for owner in consumer.KEY_OWNERS),
        tell,
    )


def processes_for(records: int) -> int:
    """As many as there are processors to run on, fewer where memory is short or there is little to do."""
    free = control_groups.free_memory()
    fitting = MOST_PROCESSES if free is None else free // PROCESS_BYTES
    return max(1, min(control_groups.processors(), MOST_PROCESSES, fitting, records // WORTH))


def replay_in_parts(targets: Targets, processes: int, tell: Tell) -> None:
    """Replay up to the targets in so many processes, and tell how many records they read so far.

    Raises RebuildRefusedError; then all of them have ended.
    """
    parts = [
        {place: offset for place, offset in targets.items() if place[1] % processes == number}
        for number in range(processes)
    ]
    with _running([part for part in parts if part]) as running:
        _follow(running, lambda read: tell(read, sum(targets.values())))


@contextmanager
def _running(parts: list[Targets]) -> Iterator[dict[Connection, BaseProcess]]:
    context = get_context("spawn")
    running: dict[Connection, BaseProcess] = {}
    try:
        for part in parts:
            hearing, telling = context.Pipe(duplex=False)
            started = context.Process(target=_replay_part, args=(part, telling), daemon=True)
            started.start()
            # The only end for telling is the process' own: when that has ended, nothing more is heard.
            telling.close()
            running[hearing] = started
        yield running
    finally:
        for hearing, process in running.items():
            process.terminate()
            process.join(END_SECONDS)
            if process.is_alive():
                process.kill()
                process.join()
            hearing.close()


def _follow(running: dict[Connection, BaseProcess], tell: Callable[[int], None]) -> None:
    read = dict.fromkeys(running, 0)
    open_ends = set(running)
    told = time.monotonic()
    while open_ends:
        for end in wait(list(open_ends), TELL_SECONDS):
            assert isinstance(end, Connection)  # noqa: S101 -- nothing else is waited for
            try:
                heard = end.recv()
            except EOFError:
                open_ends.remove(end)
                _require_success(running[end])
                continue
            if isinstance(heard, _Failed):
                raise RebuildRefusedError(heard.message)
            read[end] = heard
        if time.monotonic() - told >= TELL_SECONDS:
            told = time.monotonic()
            tell(sum(read.values()))


def _require_success(process: BaseProcess) -> None:
    process.join(END_SECONDS)
    if process.exitcode != 0:
        raise RebuildRefusedError(
            f"a process of it ended with {process.exitcode} (-9: killed, perhaps for its memory);"
            " nothing was changed, run this again"
        )


def _replay_part(targets: Targets, telling: Connection) -> None:
    # An interrupted command ends its processes itself, and those whose command is gone can't tell any more.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    settings = load(AnalyticsSettings)
    configure_logging(settings.service(), settings.log_level)
    url = settings.database_url.get_secret_value()
    try:
        with psycopg.connect(conninfo(url, "deskline-analytics-rebuild"), autocommit=True) as session:
            join_rebuild(session)
            parts = ServingParts(settings)
            database = Database(url, "deskline-analytics-rebuild", size=2, search_path=SEARCH_PATH)
            database.open()
            try:
                replay = replay_of(database, parts.keys, parts.broker, lambda read, _: telling.send(read))
                asyncio.run(_reach(targets, replay))
            finally:
                database.close()
    except RebuildRefusedError as refused:
        telling.send(_Failed(str(refused)))
    except BrokenPipeError:
        raise SystemExit(1) from None
    except (KafkaError, OSError, psycopg.OperationalError, SurroundingsError) as error:
        telling.send(_Failed(f"{type(error).__name__}: nothing was changed, run this again"))


async def _reach(targets: Targets, replay: TopicReplay) -> None:
    async with replay:
        await replay.reach(targets)
