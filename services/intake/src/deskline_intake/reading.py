"""Stored mail is read lane by lane, in arrival order per sender, and announced: two loops of the service."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final
from uuid import UUID, uuid4

import structlog

from deskline_chassis.event_log import EventLog
from deskline_chassis.loops import Beat
from deskline_chassis.pacing import pace_after
from deskline_chassis.postgres import Database, is_surroundings
from deskline_intake import figures
from deskline_intake.adapters import raw_messages
from deskline_intake.adapters.objects import ERRORS as OBJECT_ERRORS
from deskline_intake.domain.senders import LANES
from deskline_intake.handlers.messages import Deliveries, announce_mails
from deskline_intake.opening import MailOpener, OpenedMail, unopened
from deskline_intake.ports import ReadMail, Registry, StoredMail

log = structlog.get_logger(__name__)

BATCH: Final = 50
BATCH_BYTES: Final = 4 * 1024 * 1024
POLL_SECONDS: Final = 0.25
RETRY_SECONDS: Final = 1.0
_KEEP_SECONDS: Final = 1.0


class Bell:
    """Wakes the readers of this process when the door stored something; the others poll."""

    def __init__(self) -> None:
        self._waiting: set[asyncio.Event] = set()

    def ring(self) -> None:
        """Called in the event loop's thread."""
        for event in self._waiting:
            event.set()

    @contextlib.contextmanager
    def heard(self) -> Iterator[asyncio.Event]:
        """An event that is set by each ring."""
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


class _Claim:
    """Lanes held for one round, for longer with every turn."""

    def __init__(self, database: Database, holder: UUID, lanes: dict[int, bool], beat: Beat) -> None:
        self.lanes = lanes
        self._database = database
        self._holder = holder
        self._beat = beat
        self._kept_at = time.monotonic()

    def turn(self) -> None:
        """Something long goes on; the lanes stay ours."""
        if time.monotonic() - self._kept_at < _KEEP_SECONDS:
            return
        with self._database.transaction() as connection:
            raw_messages.keep_lanes(connection, self._holder, list(self.lanes))
        self._kept_at = time.monotonic()
        self._beat.progress()

    def free(self, *, blameless: bool) -> None:
        """Let go after a failure; if the database is away the lease ends by itself."""
        try:
            with self._database.transaction() as connection:
                raw_messages.free_lanes(connection, self._holder, list(self.lanes), blameless=blameless)
        except Exception as error:  # noqa: BLE001 -- the failure before is the one that is told
            log.warning("lanes are left to their lease", cause=type(error).__name__)


class MailReader:
    """Takes lanes, reads their mails, announces them; `heavy` mails have a loop of their own."""

    def __init__(
        self,
        database: Database,
        event_log: EventLog,
        registry: Registry,
        opener: MailOpener,
        bell: Bell,
        *,
        heavy: bool,
    ) -> None:
        self._database = database
        self._log = event_log
        self._registry = registry
        self._opener = opener
        self._bell = bell
        self._heavy = heavy
        self._holder = uuid4()
        self._beat = Beat()

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Read until stopped; what is missing (database, object store) is waited for."""
        self._beat = beat
        running = asyncio.get_running_loop()
        thread = ThreadPoolExecutor(1, "heavy-reader" if self._heavy else "mail-reader")
        try:
            with self._bell.heard() as heard:
                while not stop.is_set():
                    heard.clear()
                    began = running.time()
                    try:
                        found = await running.run_in_executor(thread, self.read_some)
                    except Exception as error:
                        if not _is_passing(error):
                            raise
                        beat.red(f"waits: {type(error).__name__}")
                        log.warning("reading mail waits", cause=type(error).__name__)
                        await _either(stop, None, RETRY_SECONDS)
                        continue
                    beat.progress()
                    if not found:
                        await _either(stop, heard, POLL_SECONDS)
                    elif found < BATCH and not self._heavy:
                        took = running.time() - began
                        await _either(stop, None, pace_after(took) - took)
        finally:
            thread.shutdown(wait=False, cancel_futures=True)

    def read_some(self) -> int:
        """One round: how many mails were dealt with."""
        with self._database.transaction() as connection:
            lanes = raw_messages.claim_lanes(
                connection, self._holder, heavy=self._heavy, limit=1 if self._heavy else LANES
            )
        if not lanes:
            return 0
        claim = _Claim(self._database, self._holder, lanes, self._beat)
        try:
            return self._read_lanes(claim)
        except BaseException as error:
            claim.free(blameless=_is_passing(error))
            raise

    def _read_lanes(self, claim: _Claim) -> int:
        with self._database.transaction() as connection:
            mails = _choose(raw_messages.next_mails(connection, claim.lanes, BATCH), heavy=self._heavy)
            here = [mail.raw_id for mail in mails if not mail.apart]
            raws = raw_messages.read_raw(connection, here) if here else {}
        with contextlib.ExitStack() as files:
            opened = [self._opener.open(mail, raws, claim.turn, files) for mail in mails]
            raws.clear()
            read = self._keep(opened, claim)
            try:
                self._announce(read, claim)
            except Exception as error:
                if _is_passing(error):
                    raise
                log.error("a batch could not be announced, its mails are tried alone", exc_info=error)
                for one, kept in zip(opened, read, strict=True):
                    self._announce_alone(one, kept, claim)
                self._announce([], claim)
        return len(mails)

    def _keep(self, opened: Sequence[OpenedMail], claim: _Claim) -> list[ReadMail]:
        """Objects are written before the lock, and not for deliveries that repeat one."""
        identities = [(one.mail.line.line_id, one.reading.identity) for one in opened]
        with self._database.transaction() as connection:
            known = Deliveries(self._registry.sources(connection, identities) if identities else ())
        kept: list[ReadMail] = []
        for one in opened:
            if known.first_of(one.mail, one.reading.identity):
                kept.append(unopened(one))
                continue
            known.add(known.source(one.mail, one.reading.identity))
            kept.append(self._opener.keep(one, claim.turn))
        return kept

    def _announce(self, read: Sequence[ReadMail], claim: _Claim, *, release: bool = True) -> None:
        with self._database.transaction() as connection:
            self._log.lock(connection)
            unread = raw_messages.lock_unread(connection, [found.mail.raw_id for found in read])
            mine = [found for found in read if found.mail.raw_id in unread]
            outcomes = announce_mails(connection, self._log, self._registry, mine) if mine else []
            if outcomes:
                raw_messages.mark_read(connection, outcomes)
            if release:
                raw_messages.release_lanes(connection, self._holder, list(claim.lanes))
        if outcomes:
            self._log.ring()
        for found, outcome in zip(mine, outcomes, strict=True):
            name = "duplicate" if outcome.duplicate_of else outcome.state
            figures.ANNOUNCED.labels(name).inc()
            age = datetime.now(UTC) - found.mail.received_at
            figures.READ_SECONDS.observe(max(0.0, age.total_seconds()))
        # Another reader, or the sender's erasure, came first: what was written for these is nobody's.
        for found in read:
            if found.mail.raw_id not in unread and found.stored:
                self._opener.discard(found)

    def _announce_alone(self, one: OpenedMail, kept: ReadMail, claim: _Claim) -> None:
        claim.turn()
        try:
            self._announce([kept], claim, release=False)
        except Exception as error:
            if _is_passing(error):
                raise
            log.error("a mail is announced as a notice", exc_info=error, raw_id=one.mail.raw_id)
            self._announce([self._opener.notice(one)], claim, release=False)


def _choose(mails: Sequence[StoredMail], *, heavy: bool) -> list[StoredMail]:
    """A prefix of each lane: what this reader may take in one round, by kind, care and bytes."""
    chosen: list[StoredMail] = []
    closed: set[int] = set()
    room = BATCH_BYTES
    for mail in mails:
        if mail.lane in closed:
            continue
        alone = mail.apart
        if mail.heavy != heavy or (chosen and not alone and room < mail.size):
            closed.add(mail.lane)
            continue
        chosen.append(mail)
        if alone:
            closed.add(mail.lane)
        else:
            room -= mail.size
    return chosen


def _is_passing(error: BaseException) -> bool:
    """Whether the surroundings are to blame: the same mail may do well later."""
    return is_surroundings(error) or isinstance(error, OBJECT_ERRORS)


async def _either(stop: asyncio.Event, heard: asyncio.Event | None, seconds: float) -> None:
    events = [stop] if heard is None else [stop, heard]
    waits = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
