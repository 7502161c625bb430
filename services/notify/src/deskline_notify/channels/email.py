"""Email: what is due is claimed, handed to the provider over several connections, and committed in groups."""

import asyncio
import random
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from deskline_chassis.event_log import EventLog
from deskline_chassis.loops import Beat
from deskline_chassis.postgres import Database, is_surroundings
from deskline_notify.adapters.waker import Waker
from deskline_notify.channels.errands import Round, Sending
from deskline_notify.handlers.sending import claim_errands, commit_verdicts, renew_leases
from deskline_notify.handlers.writing import House
from deskline_notify.ports import Connection

POLL_SECONDS: Final = 0.25
CLAIM_SECONDS: Final = 0.1
"""Between two claims that find all there is: what comes meanwhile is claimed together."""

ERRANDS_PER_CONNECTION: Final = 12
STOP_SECONDS: Final = 5.0


class EmailChannel:
    """Sends for one process; several work side by side, each with its own claims."""

    def __init__(
        self,
        database: Database,
        events: EventLog,
        house: House,
        *,
        connections: Sequence[Connection],
        waker: Waker,
        sending: Sending,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = database
        self._events = events
        self._house = house
        self._connections = connections
        self._waker = waker
        self._sending = sending
        self._chance = chance

    async def run(self, beat: Beat, stop: asyncio.Event) -> None:
        """Send until the event is set; what is under way then is finished, what is not begun is let go."""
        round_ = Round(self._sending, self._chance, self._waker)
        self._waker.listen()
        threads = ThreadPoolExecutor(3, "email")
        renewing = asyncio.create_task(self._renew(round_, threads))
        committing = asyncio.create_task(self._commit(round_, threads, beat))
        workers = [asyncio.create_task(round_.work(one)) for one in self._connections]
        try:
            while not stop.is_set():
                for task in (committing, renewing, *workers):
                    if task.done():
                        task.result()
                await self._turn(round_, threads, beat)
            await self._end(round_, workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            round_.close()
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await committing
            finally:
                renewing.cancel()
                await asyncio.gather(renewing, return_exceptions=True)
                for connection in self._connections:
                    await connection.close()
                threads.shutdown(wait=False, cancel_futures=True)

    async def _turn(self, round_: Round, threads: ThreadPoolExecutor, beat: Beat) -> None:
        wanted = round_.wanted(len(self._connections) * ERRANDS_PER_CONNECTION)
        if wanted == 0:
            await round_.wait(POLL_SECONDS)
            if round_.away is None:
                beat.progress()
            else:
                beat.red(f"provider: {round_.away}")
            return
        loop = asyncio.get_running_loop()
        claimed_at = loop.time()
        try:
            errands, verdicts = await loop.run_in_executor(
                threads, claim_errands, self._database, self._house, self._sending.lease, wanted
            )
        except Exception as error:
            if not is_surroundings(error):
                raise
            beat.red(f"database: {type(error).__name__}")
            await asyncio.sleep(POLL_SECONDS)
            return
        round_.take(errands, claimed_at, more=len(errands) + len(verdicts) >= wanted)
        round_.tell(*verdicts)
        if round_.away is None:
            beat.progress()
        if not round_.more:
            await asyncio.sleep(max(0.0, claimed_at + CLAIM_SECONDS - loop.time()))
            await self._waker.wait(POLL_SECONDS)

    async def _end(self, round_: Round, workers: Sequence["asyncio.Task[None]"]) -> None:
        round_.let_go()
        await asyncio.wait(workers, timeout=STOP_SECONDS)

    async def _commit(self, round_: Round, threads: ThreadPoolExecutor, beat: Beat) -> None:
        loop = asyncio.get_running_loop()
        while verdicts := await round_.told():
            while True:
                try:
                    awaited = await loop.run_in_executor(
                        threads, commit_verdicts, self._database, self._events, verdicts
                    )
                except Exception as error:
                    if not is_surroundings(error):
                        raise
                    # What the provider took must be remembered, however long the database is away.
                    beat.red(f"database: {type(error).__name__}")
                    await asyncio.sleep(POLL_SECONDS)
                else:
                    break
            round_.committed(verdicts)
            if awaited:
                self._waker.ring()

    async def _renew(self, round_: Round, threads: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._sending.renewal)
            held, renewed_at = round_.held(), loop.time()
            if not held:
                continue
            try:
                renewed = await loop.run_in_executor(
                    threads, renew_leases, self._database, held, self._sending.lease
                )
            except Exception as error:
                if not is_surroundings(error):
                    raise
            else:
                round_.renewed(renewed, renewed_at)
