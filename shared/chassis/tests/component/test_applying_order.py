"""A reader's order: repeats vanish, the early wait, a higher epoch begins anew, the database fences."""

import base64
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from pydantic_core import to_json

from deskline_chassis import metrics
from deskline_events.keys import PersonKeys

pytestmark = pytest.mark.component


def key_of(wire: Any, subject: UUID, epoch: int = 1) -> Any:
    """The record that announces a person's key."""
    key = wire.keys.setdefault(subject, subject.bytes * 2)
    wrapped = base64.b64encode(aes_key_wrap(bytes(range(32)), key)).decode()
    record = PersonKeys(subject=subject, keys={1: wrapped})
    return wire.keys_record(subject, to_json(record.model_dump(mode="json", exclude_none=True)), epoch)


def erasure_of(wire: Any, subject: UUID) -> Any:
    record = PersonKeys(subject=subject, keys={}, erased_at=datetime(2026, 3, 3, tzinfo=UTC))
    return wire.keys_record(subject, to_json(record.model_dump(mode="json", exclude_none=True)))


def rebuild_needed(desk: Any) -> float:
    return float(metrics.READER_REBUILD_NEEDED.labels(desk.name)._value.get())


def test_repeats_vanish(desk: Any, wire: Any) -> None:
    a, b = uuid4(), uuid4()
    desk.feed(wire.company(a, 1), wire.company(b, 1), wire.company(a, 1), wire.company(a, 2))
    desk.feed(wire.company(a, 1), wire.company(a, 2), wire.company(b, 1), wire.company(b, 2))
    assert desk.sequences(a) == [1, 2]
    assert desk.sequences(b) == [1, 2]
    assert desk.position() == (1, 8)


def test_the_same_batch_again_changes_nothing(desk: Any, wire: Any) -> None:
    a = uuid4()
    records = [wire.company(a, 1), wire.company(a, 2)]
    desk.feed(*records)
    assert desk.feed(*records).seeks == {}
    assert desk.sequences(a) == [1, 2]


def test_what_came_early_waits_and_is_applied_in_order(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1), wire.company(a, 4), wire.company(a, 3))
    assert desk.sequences(a) == [1]
    assert desk.waiting() == 2
    desk.feed(wire.company(a, 2))
    assert desk.sequences(a) == [1, 2, 3, 4]
    assert desk.waiting() == 0
    assert desk.parked() == []


def test_event_waits_for_its_key_and_its_stream_with_it(desk: Any, wire: Any) -> None:
    a, b = uuid4(), uuid4()
    desk.feed(wire.contact(a, 1, "Анна"), wire.contact(a, 2, "Анна Б."), wire.company(b, 1))
    assert desk.sequences(a) == []
    assert desk.sequences(b) == [1]
    assert desk.waiting() == 2
    desk.feed(key_of(wire, a))
    assert desk.applied(a) == [(1, "Анна"), (2, "Анна Б.")]
    assert desk.waiting() == 0
    assert desk.parked() == []


def test_key_that_another_reader_learned_wakes_what_waits(desk: Any, make_desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.contact(a, 1, "Анна"))
    desk.applier.wake()
    assert desk.waiting() == 1
    make_desk().feed(key_of(wire, a))
    assert desk.waiting() == 1
    desk.applier.wake()
    assert desk.applied(a) == [(1, "Анна")]
    assert desk.waiting() == 0


def test_erased_person_reads_as_erased_for_ever(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(key_of(wire, a), wire.contact(a, 1, "Анна"))
    desk.feed(erasure_of(wire, a), key_of(wire, a))
    # What an earlier relay repeats, a new epoch too, gives nothing back.
    desk.feed(key_of(wire, a, epoch=2))
    desk.feed(*[key_of(wire, a, epoch=2)])
    desk.feed(wire.contact(a, 2, "Анна снова"))
    assert desk.applied(a) == [(1, "Анна"), (2, "erased")]


def test_higher_epoch_begins_the_partition_anew(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1), wire.company(a, 2))
    outcome = desk.feed(wire.company(a, 4, epoch=2))
    assert outcome.seeks == {("deskline.intake.events", 0): 0}
    assert desk.position() == (2, 0)
    assert desk.sequences(a) == [1, 2]
    wire.ends.clear()
    anew = [wire.company(a, n, epoch=2) for n in (1, 2, 3, 4)]
    assert desk.feed(*anew).seeks == {}
    assert desk.sequences(a) == [1, 2, 3, 4]
    assert desk.position() == (2, 4)


def test_first_epoch_that_is_seen_is_no_loss(desk: Any, wire: Any) -> None:
    a = uuid4()
    assert desk.feed(wire.company(a, 1, epoch=7)).seeks == {}
    assert desk.sequences(a) == [1]


def test_partition_below_its_position_is_scanned_until_a_higher_epoch(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(*[wire.company(a, n) for n in (1, 2, 3, 4)])
    wire.ends.clear()
    # The tail is lost: 3 and 4 are gone, and what comes next is announced under epoch 2.
    assert desk.feed(wire.company(a, 1), wire.company(a, 2)).seeks == {}
    assert desk.feed(*[wire.company(a, n, epoch=2) for n in (1, 2, 3)]).seeks != {}
    assert desk.position() == (2, 0)


def test_hole_in_offsets_seeks_back_to_the_row(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1))
    lost = wire.company(a, 2)
    outcome = desk.feed(wire.company(a, 3))
    assert outcome.seeks == {("deskline.intake.events", 0): lost.offset}
    assert desk.sequences(a) == [1]
    assert desk.waiting() == 0


def test_member_whose_row_was_moved_is_fenced(desk: Any, make_desk: Any, wire: Any) -> None:
    a = uuid4()
    one, two, three = (wire.company(a, n) for n in (1, 2, 3))
    desk.feed(one)
    make_desk(desk.name).feed(two)
    outcome = desk.feed(two, three)
    assert outcome.fenced == {("deskline.intake.events", 0)}
    assert outcome.seeks == {("deskline.intake.events", 0): 2}
    assert desk.sequences(a) == [1, 2]
    desk.applier.assigned([("deskline.intake.events", 0)])
    assert desk.feed(three).fenced == set()
    assert desk.sequences(a) == [1, 2, 3]


def test_restored_owner_makes_a_rebuild_needed(desk: Any, make_desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1))
    assert rebuild_needed(desk) == 0
    desk.feed(wire.company(a, 2, epoch=2, generation=2))
    assert rebuild_needed(desk) == 1
    # A new start of the process must not forget it.
    metrics.READER_REBUILD_NEEDED.labels(desk.name).set(0)
    wire.ends.clear()
    again = make_desk(desk.name)
    again.feed(wire.company(a, 1, epoch=2, generation=2))
    assert rebuild_needed(desk) == 1
    # A rebuild writes the generation that it read; the last record, read again, shows it.
    with desk.database.transaction() as connection:
        connection.execute("UPDATE positions SET generation = 2 WHERE reader = %s", (desk.name,))
    again.feed(wire.company(a, 2, epoch=2, generation=2))
    assert rebuild_needed(desk) == 0


def test_partition_that_went_to_another_member_asks_for_no_rebuild_here(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1))
    desk.feed(wire.company(a, 2, epoch=2, generation=2))
    assert rebuild_needed(desk) == 1
    desk.applier.assigned([("deskline.intake.events", 1)])
    assert rebuild_needed(desk) == 0


def test_reader_that_begins_after_a_restore_needs_no_rebuild(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1, epoch=2, generation=2))
    desk.feed(wire.company(a, 2, epoch=2, generation=2))
    assert rebuild_needed(desk) == 0
    assert desk.sequences(a) == [1, 2]
