"""What the guide demands of a subscriber, asked of its `subscriber.py` record by record."""

import json
import runpy
import sqlite3
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from tests.contract import asyncapi

pytestmark = pytest.mark.contract

SUBSCRIBER = runpy.run_path(str(asyncapi.ROOT / asyncapi.GUIDE.with_suffix("") / "subscriber.py"))
FACTS = "deskline.tickets.events"
KEYS = "deskline.intake.keys"


@dataclass(frozen=True)
class Record:
    """As much of Kafka's as is looked at."""

    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def fact(sequence: int, *, stream: str = "a", epoch: int = 1, generation: int = 1, says: str = "") -> Any:
    """A fact of a stream, to be put at an offset."""
    head = {
        "ce_source": "/deskline/tickets",
        "ce_subject": stream,
        "ce_sequence": str(sequence),
        "ce_id": f"{stream}/{sequence}/{generation}",
        "ce_type": "deskline.tickets.NeverHeardOf.v9",
        "ce_time": "2026-03-02T09:30:15+00:00",
        "deskline-epoch": str(epoch),
        "deskline-generation": str(generation),
    }
    return stream, says or f"{stream}{sequence}", head


def key_of(person: str, wrapped: str | None, epoch: int = 1) -> Any:
    record = {"erased_at": "2026"} if wrapped is None else {"keys": {"1": wrapped}}
    return person, record, {"deskline-epoch": str(epoch), "deskline-generation": "1"}


class Broker:
    """Partitions that can lose what they had; the subscriber reads each from its position."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {}
        self.state = sqlite3.connect(":memory:")
        self.state.executescript(SUBSCRIBER["TABLES"])

    def read(self, topic: str, number: int, log: list[Any], start: int | None = None) -> None:
        """The partition as it is now is read to its end, from the kept position or from a given one."""
        place = TopicPartition(topic, number)
        offset = self.position(place) if start is None else start
        offset = 0 if offset > len(log) else offset  # out of range
        while offset < len(log):
            key, says, head = log[offset]
            record = Record(
                offset, key.encode(), json.dumps(says).encode(), [(k, v.encode()) for k, v in head.items()]
            )
            with self.state:
                kept = SUBSCRIBER["keep"](self.state, place, record)
            offset = offset + 1 if kept else self.position(place)

    def position(self, place: TopicPartition) -> int:
        row = self.state.execute(SUBSCRIBER["POSITION"], place).fetchone()
        return 0 if row is None else max(0, int(row[-1]) - 1)

    def kept(self) -> list[str]:
        return [json.loads(data) for (data,) in self.state.execute("SELECT data FROM facts ORDER BY rowid")]

    def keys(self) -> dict[str, str]:
        return dict(self.state.execute("SELECT person, keys FROM keys").fetchall())


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_repeats_are_dropped_and_streams_do_not_mix(broker: Broker) -> None:
    broker.read(FACTS, 0, [fact(1), fact(1), fact(1, stream="b"), fact(2), fact(1), fact(2, stream="b")])
    assert broker.kept() == ["a1", "b1", "a2", "b2"]


def test_a_read_from_anywhere_repeats_nothing(broker: Broker) -> None:
    log = [fact(n) for n in range(1, 6)]
    for start in (0, 3, 1, 0):
        broker.read(FACTS, 0, log, start)
    assert broker.kept() == ["a1", "a2", "a3", "a4", "a5"]


def test_what_comes_before_its_predecessor_is_kept_when_it_comes_again(broker: Broker) -> None:
    """The broker lost 2, the relay announced 3, noticed, and announced everything anew."""
    broker.read(FACTS, 0, [fact(1), fact(3)])
    assert broker.kept() == ["a1"]
    broker.read(FACTS, 0, [fact(1), fact(3), *(fact(n, epoch=2) for n in (1, 2, 3))])
    assert broker.kept() == ["a1", "a2", "a3"]


def test_a_partition_that_was_lost_and_grew_beyond_the_position_is_read_anew(broker: Broker) -> None:
    """It was read with a repeat in it; announced anew, another stream's fact stands where it was."""
    broker.read(FACTS, 0, [fact(1), fact(1), fact(2)])
    anew = [fact(1, epoch=2), fact(1, stream="b", epoch=2), fact(2, epoch=2)]
    broker.read(FACTS, 0, anew)
    assert broker.kept() == ["a1", "a2", "b1"]


def test_an_offset_out_of_range_begins_the_partition_anew(broker: Broker) -> None:
    broker.read(FACTS, 0, [fact(1), fact(2), fact(3)])
    broker.read(FACTS, 0, [fact(1, stream="b", epoch=2)])
    assert broker.kept() == ["a1", "a2", "a3", "b1"]


def test_a_lower_epoch_that_is_read_again_changes_nothing(broker: Broker) -> None:
    log = [fact(1), fact(2), fact(1, epoch=2), fact(2, epoch=2), fact(3, epoch=2)]
    broker.read(FACTS, 0, log)
    broker.read(FACTS, 0, log, 0)
    assert broker.kept() == ["a1", "a2", "a3"]
    assert broker.position(TopicPartition(FACTS, 0)) == len(log) - 1


@pytest.mark.parametrize("read_before", [True, False])
def test_a_restored_history_replaces_the_one_before(broker: Broker, *, read_before: bool) -> None:
    """Fact 3 of one stream and a whole stream were lost by the restore, and written otherwise since."""
    old = {0: [fact(1), fact(2), fact(3, says="lost")], 1: [fact(1, stream="b", says="lost")]}
    new = {
        0: [*(fact(n, epoch=2, generation=2) for n in (1, 2)), fact(3, epoch=2, generation=2, says="new")],
        1: [fact(1, stream="c", epoch=2, generation=2)],
    }
    for number, log in old.items() if read_before else ():
        broker.read(FACTS, number, log)
    for number, log in old.items():
        broker.read(FACTS, number, log + new[number])
    assert sorted(broker.kept()) == ["a1", "a2", "c1", "new"]


def test_the_erasure_of_a_person_is_never_taken_back(broker: Broker) -> None:
    log = [key_of("anna", "1st"), key_of("ivan", "other"), key_of("anna", None)]
    broker.read(KEYS, 0, log)
    broker.read(KEYS, 0, log[:1], 0)
    assert broker.keys()["anna"] == "", "the older record stays on the topic until it is compacted"
    broker.read(KEYS, 0, [*log, key_of("ivan", "2nd", epoch=2)])
    assert broker.keys() == {"anna": "", "ivan": '{"1": "2nd"}'}
