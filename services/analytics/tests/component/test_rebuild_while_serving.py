"""A rebuild beside a reader that goes on, with a parked stream and a builder that is killed, ends equal."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import pytest

from deskline_analytics.adapters.erasing import forget_while_serving
from deskline_analytics.consumer import READER, REBUILDER
from deskline_events.facts import Fact

pytestmark = [pytest.mark.component, pytest.mark.chaos]

RATE = 200
SLICE = 20
BEFORE = 3000
SECONDS = 45.0


class FromTheFuture(Fact):
    """Of a type that no reader knows yet."""

    TYPE: ClassVar[str] = "deskline.tickets.TicketMerged.v7"


class Load:
    """Tells a story's events at a steady rate until it is told to stop."""

    def __init__(self, rig: Any, story: Any) -> None:
        rig.tell(story, begin=len(story.told))  # the persons alone
        self._rig = rig
        self._told = [
            (owner, (stream, fact, story.cause_of(envelope.id)))
            for (owner, stream, fact), (envelope, _) in zip(story.told, story.events(), strict=True)
        ]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = 0

    def send(self, count: int) -> None:
        part = self._told[self.sent : self.sent + count]
        for name, owner in self._rig.owners.items():
            if mine := [event for of, event in part if of == name]:
                owner.append(mine)
        self.sent += len(part)

    def _run(self) -> None:
        began, before = time.monotonic(), self.sent
        while not self._stop.is_set() and self.sent < len(self._told):
            self.send(SLICE)
            due = began + (self.sent - before) / RATE
            self._stop.wait(max(0.0, due - time.monotonic()))

    @property
    def goes_on(self) -> bool:
        return self._thread.is_alive()

    @contextmanager
    def running(self) -> Iterator[None]:
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join()


class Stillness:
    """The longest time for which the live reader's positions did not move."""

    def __init__(self, rig: Any) -> None:
        self._rig = rig
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.longest = 0.0

    def _run(self) -> None:
        moved, seen = time.monotonic(), None
        query = "SELECT sum(next_offset) FROM positions WHERE reader = %s"
        while not self._stop.wait(0.02):
            now = self._rig.ask(query, (READER,))
            if now != seen:
                moved, seen = time.monotonic(), now
            self.longest = max(self.longest, time.monotonic() - moved)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def reached(rig: Any, reader: str) -> int:
    rows = rig.ask("SELECT coalesce(sum(next_offset), 0) FROM positions WHERE reader = %s", (reader,))
    return int(rows[0][0])


def test_rebuild_beside_200_messages_a_second_a_parked_stream_and_a_killed_builder_is_equal(
    rig: Any, make_story: Any, until: Any
) -> None:
    story = make_story(31).live(tickets=20, events=200)
    parked = next(iter(story.tickets))
    story.say("tickets", parked, FromTheFuture())
    story.answer(parked)
    story.live(tickets=60, events=BEFORE + int(RATE * SECONDS))
    load = Load(rig, story)
    load.send(BEFORE)
    with rig.reading():
        rig.loops.start("erasing", forget_while_serving(rig.database))
        until(lambda: rig.ask("SELECT FROM parked_records WHERE subject = %s", (parked,)), "it is parked")
        with load.running():
            killed = rig.command("rebuild")
            until(lambda: reached(rig, REBUILDER) > 0, "the builder builds")
            killed.send_signal(signal.SIGKILL)
            killed.communicate()
            assert killed.returncode == -signal.SIGKILL
            assert rig.as_owner("SELECT tablename FROM pg_tables WHERE schemaname = 'rebuilt'")
            began, sent, applied = time.monotonic(), load.sent, reached(rig, READER)
            with Stillness(rig) as stillness:
                code, output = rig.run("rebuild")
            seconds = time.monotonic() - began
            assert code == 0, output
            assert ": different" not in output
            assert "streams: equal" in output
            assert load.goes_on, "the run proves nothing: nothing came any more"
            assert (load.sent - sent) / seconds > RATE / 2
            assert reached(rig, READER) > applied
            assert stillness.longest < 5, "the live reader had to stand still for too long"
        rig.wait_applied()
        rig.loops.stop("erasing")
    assert rig.ask("SELECT DISTINCT subject FROM parked_records") == [(parked,)]
    assert reached(rig, REBUILDER) == 0
    code, output = rig.run("rebuild")
    assert code == 0, output
    assert ": different" not in output
