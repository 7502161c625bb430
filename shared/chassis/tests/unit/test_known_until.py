"""What a reader may hold to be complete, against a model of log, relay, broker and reader."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from deskline_chassis.inbox import Position
from deskline_chassis.watermarks import KEPT, History, known_until, remember
from deskline_events.watermarks import Watermark

pytestmark = pytest.mark.unit

PARTITIONS = 2
START = datetime(2026, 3, 2, tzinfo=UTC)


def moment(number: int) -> datetime:
    return START + timedelta(microseconds=number)


@dataclass
class World:
    """Times are microseconds; a record is (epoch, event), an event its place in the log."""

    clock: int = 0
    last: int = 0
    log: list[tuple[int, int]] = field(default_factory=list)
    mark: tuple[int, int] | None = None
    epoch: int = 1
    position: int = 0
    acknowledged: dict[int, int] = field(default_factory=dict)
    topics: list[list[tuple[int, int]]] = field(default_factory=lambda: [[] for _ in range(PARTITIONS)])
    announced: list[Watermark] = field(default_factory=list)
    rows: list[Position] = field(default_factory=lambda: [Position(0, 0, 1) for _ in range(PARTITIONS)])
    applied: set[int] = field(default_factory=set)
    history: History = ()
    claimed: list[datetime] = field(default_factory=lambda: [moment(-1)] * PARTITIONS)

    def tick(self, a: int, _b: int) -> None:
        self.clock += a - 2

    def write(self, a: int, _b: int) -> None:
        self.last = max(self.clock, self.last)
        partition = a % PARTITIONS
        assert moment(self.last) > self.claimed[partition], "claimed to be complete and then written"
        self.log.append((partition, self.last))

    def take_mark(self, _a: int, _b: int) -> None:
        if self.mark is None:
            time = max(self.clock, self.last)
            self.last = time + 1
            self.mark = time, len(self.log)

    def relay(self, a: int, _b: int) -> None:
        for number in range(self.position, min(self.position + a, len(self.log))):
            partition = self.log[number][0]
            self.topics[partition].append((self.epoch, number))
            self.acknowledged[partition] = len(self.topics[partition])
            self.position = number + 1
        if self.mark is not None and self.mark[1] <= self.position:
            offsets = dict.fromkeys(range(PARTITIONS), 0) | self.acknowledged
            self.announced.append(
                Watermark(time=moment(self.mark[0]), epoch=self.epoch, generation=1, offsets=offsets)
            )
            self.mark = None

    def lose(self, a: int, b: int) -> None:
        """The broker forgets a tail, and the relay notices before it sends anything more."""
        records = self.topics[a % PARTITIONS]
        del records[max(0, len(records) - b) :]
        self.epoch, self.position, self.acknowledged = self.epoch + 1, 0, {}

    def repeat(self, a: int, _b: int) -> None:
        """A new leader begins at an older position."""
        self.position = max(0, self.position - a)

    def read(self, a: int, b: int) -> None:
        partition = a % PARTITIONS
        row, records = self.rows[partition], self.topics[partition]
        if row.next_offset > len(records):
            row.next_offset = 0
        # The last one that was read is read again: its epoch tells whether it is still the same topic.
        first = max(0, row.next_offset - 1)
        for offset, (epoch, number) in enumerate(records[first : first + b + 1], first):
            if epoch > row.epoch:
                began = row.next_offset == 0
                row.epoch, row.next_offset = epoch, 0
                if not began:
                    return
            if offset == row.next_offset:
                self.applied.add(number)
                row.next_offset += 1

    def learn(self, a: int, _b: int) -> None:
        if self.announced:
            self.history = remember(self.history, self.announced[max(0, len(self.announced) - 1 - a)])

    def check(self) -> None:
        for partition, row in enumerate(self.rows):
            until = known_until(self.history, row, partition)
            if until is None:
                continue
            event("something is complete")
            self.claimed[partition] = max(self.claimed[partition], until)
            missing = [
                number
                for number, (of, time) in enumerate(self.log)
                if of == partition and moment(time) <= until and number not in self.applied
            ]
            assert not missing, f"complete until {until}, without {missing}"


OPERATIONS = ("tick", "write", "take_mark", "relay", "lose", "repeat", "read", "learn")
MOVES = st.lists(
    st.tuples(
        st.sampled_from((*OPERATIONS, "write", "relay", "read", "learn")),
        st.integers(0, 5),
        st.integers(0, 5),
    ),
    min_size=20,
    max_size=100,
)


@settings(max_examples=1000, deadline=None)
@given(MOVES)
def test_what_is_held_to_be_complete_is_complete_for_ever(moves: list[tuple[str, int, int]]) -> None:
    world = World()
    for name, a, b in moves:
        getattr(world, name)(a, b)
        world.check()
    # Once all of it was announced, read and learned, nothing is missing.
    world.mark = None
    world.take_mark(0, 0)
    world.relay(len(world.log) + 1, 0)
    for partition in range(PARTITIONS):
        for _ in range(world.epoch + 2):
            world.read(partition, 1000)
    world.learn(0, 0)
    world.check()
    assert {known_until(world.history, row, n) for n, row in enumerate(world.rows)} == {
        world.announced[-1].time
    }


def mark(number: int, epoch: int = 1, generation: int = 1, **offsets: int) -> Watermark:
    found = {int(name[1:]): offset for name, offset in offsets.items()}
    return Watermark(time=moment(number), epoch=epoch, generation=generation, offsets=found)


def test_reader_always_a_few_records_behind_makes_progress() -> None:
    history: History = ()
    for number in range(20):
        history = remember(history, mark(number, p0=number * 10))
    assert known_until(history, Position(1, 174, 1), 0) == moment(17)
    assert known_until(history, Position(1, 175, 2), 0) == moment(0)
    assert known_until(history[1:], Position(1, 175, 2), 0) is None
    assert known_until(history, None, 1) is None


def test_older_epochs_and_times_are_not_believed() -> None:
    history = remember((), mark(5, epoch=2, p0=3))
    assert remember(history, mark(9, epoch=1, p0=9)) == history
    assert remember(history, mark(4, epoch=2, p0=2)) == history
    assert remember(history, mark(1, epoch=3, p0=0)) == (mark(1, epoch=3, p0=0),)
    assert remember(history, mark(1, epoch=1, generation=2, p0=0)) == (mark(1, 1, 2, p0=0),)


def test_far_past_is_thinned_out_and_quiet_time_takes_no_room() -> None:
    history: History = ()
    for number in range(10 * KEPT):
        history = remember(history, mark(number, p0=number))
    assert len(history) <= KEPT
    assert history[0].time == moment(0)
    for number in range(20_000, 21_000):
        history = remember(history, mark(number, p0=10 * KEPT))
    assert history[-1].time == moment(20_999)
    assert len(history) <= KEPT
