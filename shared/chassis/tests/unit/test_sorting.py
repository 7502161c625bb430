"""Given a stream's row, when a record is placed, then what becomes of it and of those after it."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_chassis.decoding import Received, Record, UnreadableError
from deskline_chassis.event_log import Cause
from deskline_chassis.inbox import Kept, Position, StreamRow
from deskline_chassis.marking import Mark, Marker
from deskline_chassis.personal_data import MissingKeyError, SealError
from deskline_chassis.sorting import FOLLOWS, Incoming, Sorted, _place
from deskline_chassis.watch import PATIENCE_SECONDS, Standing, Watch
from deskline_chassis.watermarks import KEPT, known_until, remember
from deskline_events.envelope import Envelope
from deskline_events.intake import ContactRegistered
from deskline_events.watermarks import Watermark

pytestmark = pytest.mark.unit

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ONE, OTHER = ("intake", UUID(int=1)), ("intake", UUID(int=2))
PERSON = UUID(int=9)
FACT = ContactRegistered(contact_id=PERSON, address=None, name=None, locale="en")


def record(sequence: int) -> Record:
    return Record("t", 0, sequence, None, None, ())


def envelope(stream: Any, sequence: int) -> Envelope:
    owner, subject = stream
    return Envelope(UUID(int=sequence), f"/deskline/{owner}", "x", NOW, subject, sequence, PERSON, None, 1, 1)


def incoming(sequence: int, stream: Any = ONE, **more: Any) -> Incoming:
    return Incoming(stream, sequence, record(sequence), envelope(stream, sequence), **more)


def received(sequence: int, stream: Any = ONE) -> Received:
    cause = Cause(PERSON, PERSON, None)
    return Received(envelope(stream, sequence), FACT, cause)


class Opened:
    """What opening a record comes to."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome
        self.asked: Any = None

    def received(self, incoming: Incoming, spans: Any) -> Any:
        self.asked = (incoming, spans)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


def placed(one: Incoming, row: StreamRow, outcome: Any = None) -> Sorted:
    sorting = Sorted({one.stream: row}, ignored=7)
    opened = Opened(outcome)
    _place(sorting, row, one, opened)  # type: ignore[arg-type]
    assert opened.asked in (None, (one, sorting.spans))
    assert opened.asked is None or opened.asked[1] is sorting.spans
    sorting.ignored -= 7
    return sorting


def counts(**some: int) -> dict[str, int]:
    return dict.fromkeys(("applied", "repeated", "waiting", "parked", "ignored"), 0) | some


ORIGINS = pytest.mark.parametrize("origin", ["topic", "waiting", "parked"])


def left(origin: str, sequence: int) -> dict[str, list[Any]]:
    """Only what waited is taken from where it waited; a redrive has taken what was parked already."""
    return {"waiting": [(ONE, sequence)] if origin == "waiting" else [], "parked": []}


@ORIGINS
def test_the_next_of_a_stream_is_applied(origin: Any) -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(5, origin=origin), row, received(5))
    assert sorting.counts() == counts(applied=1)
    assert sorting.applied == [received(5)]
    assert row == StreamRow(5, parked=False, waiting=False)
    assert sorting.records == {(ONE, 5): record(5)}
    assert sorting.left == left(origin, 5)


@ORIGINS
def test_what_the_reader_has_no_use_for_moves_the_stream_all_the_same(origin: Any) -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(5, origin=origin), row, None)
    assert sorting.counts() == counts(ignored=1)
    assert (row.sequence, sorting.records, sorting.left) == (5, {(ONE, 5): record(5)}, left(origin, 5))


@ORIGINS
def test_what_comes_too_early_waits_where_it_is(origin: Any) -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(6, origin=origin), row, received(6))
    assert sorting.waiting == [Kept(ONE, 6, record(6), None)]
    assert (sorting.counts(), row.sequence) == (counts(waiting=1), 4)
    assert sorting.left == {"waiting": [], "parked": []}


@ORIGINS
def test_what_lacks_a_key_waits_for_that_person(origin: Any) -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(5, origin=origin), row, MissingKeyError(PERSON))
    assert sorting.waiting == [Kept(ONE, 5, record(5), PERSON)]
    assert (sorting.counts(), row) == (counts(waiting=1), StreamRow(4, parked=False, waiting=False))
    assert sorting.left == {"waiting": [], "parked": []}


@ORIGINS
@pytest.mark.parametrize("error", [UnreadableError("odd"), SealError("odd")])
def test_what_cannot_be_read_is_parked_with_its_cause_and_the_stream_with_it(
    origin: Any, error: Exception
) -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(5, origin=origin), row, error)
    assert sorting.parked == [Kept(ONE, 5, record(5), f"{type(error).__name__}: odd")]
    assert (row, sorting.left) == (StreamRow(4, parked=True, waiting=False), left(origin, 5))


def test_what_was_condemned_is_parked_for_that() -> None:
    row = StreamRow(4, parked=False, waiting=False)
    sorting = placed(incoming(5, condemned="failed so often"), row, UnreadableError("failed so often"))
    assert sorting.parked == [Kept(ONE, 5, record(5), "failed so often")]


@ORIGINS
def test_what_follows_a_parked_record_is_parked_too(origin: Any) -> None:
    row = StreamRow(4, parked=True, waiting=False)
    for sequence in (5, 7):
        sorting = placed(incoming(sequence, origin=origin), row, received(sequence))
        assert sorting.parked == [Kept(ONE, sequence, record(sequence), FOLLOWS)]
        assert (row.sequence, sorting.left) == (4, left(origin, sequence))
    assert FOLLOWS == "follows a parked record"


def test_what_fails_while_it_is_applied_is_parked_with_all_after_it() -> None:
    rows = {ONE: StreamRow(7, parked=False, waiting=False), OTHER: StreamRow(6, parked=False, waiting=False)}
    mine, others = [received(sequence) for sequence in (5, 6, 7)], received(6, OTHER)
    sorting = Sorted(rows, applied=[mine[0], mine[1], others, mine[2]])
    sorting.records = {(ONE, sequence): record(sequence) for sequence in (5, 6, 7)}
    assert not sorting.is_parked(mine[1])
    sorting.park_from(mine[1], "broke")
    assert sorting.applied == [mine[0], others]
    assert sorting.parked == [Kept(ONE, 6, record(6), "broke"), Kept(ONE, 7, record(7), FOLLOWS)]
    assert rows[ONE] == StreamRow(5, parked=True, waiting=False)
    assert rows[OTHER] == StreamRow(6, parked=False, waiting=False)
    assert sorting.is_parked(mine[0])
    assert not sorting.is_parked(others)


def test_records_are_counted_by_their_end() -> None:
    kept = Kept(ONE, 1, record(1))
    sorting = Sorted({}, [received(1)], [kept] * 2, [kept] * 3, repeated=4, ignored=5)
    assert sorting.counts() == {"applied": 1, "waiting": 2, "parked": 3, "repeated": 4, "ignored": 5}


# Marks and watermarks


def test_a_mark_is_announced_once_when_the_log_was_announced_so_far() -> None:
    rings: list[None] = []
    marker = Marker("url", "name", lambda: rings.append(None))
    assert marker.reached(9) is None
    mark = marker._mark = Mark(NOW, 1, 5)
    marker._announced.clear()
    assert marker.reached(4) is None
    assert not marker._announced.is_set()
    assert marker.reached(5) is mark
    assert marker._announced.is_set()
    assert marker.reached(5) is None


def watermark(second: int, offset: int = 0, epoch: int = 1, generation: int = 1) -> Watermark:
    return Watermark(time=NOW.replace(second=second), epoch=epoch, generation=generation, offsets={0: offset})


def test_which_watermarks_are_remembered() -> None:
    first = watermark(5, 10)
    assert remember((), first) == (first,)
    for older in (
        watermark(5, 11),
        watermark(4, 11),
        watermark(6, 11, epoch=1, generation=0 + 1).model_copy(update={"epoch": 0}),
    ):
        history = (first,)
        assert remember(history, older) is history
    later = watermark(6, 11)
    assert remember((first,), later) == (first, later)
    silent = watermark(7, 11)
    assert remember((first, watermark(6, 10), later), silent) == (first, watermark(6, 10), silent)
    for newer in (watermark(1, 0, epoch=2), watermark(1, 0, epoch=1, generation=2)):
        assert remember((first, later), newer) == (newer,)
    restored = watermark(9, 0, epoch=9, generation=1)
    of_next = (watermark(1, 0, epoch=2, generation=2),)
    assert remember(of_next, restored) is of_next


def test_the_far_past_is_thinned_out() -> None:
    history = tuple(
        watermark(5, number).model_copy(update={"offsets": {0: number}}) for number in range(KEPT)
    )
    newest = watermark(6, KEPT)
    kept = remember(history, newest)
    assert [one.offsets[0] for one in kept] == [
        *range(0, KEPT // 2, 2),
        *range(KEPT // 2, KEPT),
        KEPT,
    ]
    assert len(remember(history[1:], newest)) == KEPT


def test_until_when_a_partition_is_complete() -> None:
    history = (watermark(1, 0), watermark(2, 10), watermark(3, 20))

    def until(position: Position | None, partition: int = 0) -> int | None:
        found = known_until(history, position, partition)
        return None if found is None else found.second

    assert until(Position(1, 20, 1)) == 3
    assert until(Position(1, 19, 1)) == 2
    assert until(Position(1, 10, 1)) == 2
    assert until(Position(1, 9, 1)) == until(None) == 1
    assert until(Position(2, 99, 1)) == until(Position(1, 99, 2)) == 1
    assert until(Position(1, 99, 1), partition=1) is None
    assert known_until((), Position(1, 99, 1), 0) is None
    mixed = (watermark(1, 5), Watermark(time=NOW, epoch=1, generation=1, offsets={1: 1}))
    assert known_until(mixed, Position(1, 5, 1), 0) == NOW.replace(second=1)


# The watch


def test_how_far_a_partition_is_behind_and_how_long_it_may_be() -> None:
    assert (Standing(3, 10).lag, Standing(10, 3).lag) == (7, -7)
    assert PATIENCE_SECONDS == 15.0
    times = iter([0.0, 1.0, 16.0])
    watch = Watch(lambda: next(times))
    behind = {("t", 0): Standing(3, 10), ("t", 1): Standing(4, 4)}
    assert [watch.is_stalled(behind), watch.is_stalled(behind)] == [False, True]
    assert replace(Standing(1, 2), position=2).lag == 0
