"""Whose fault: a bad record is parked with its cause and blocks nobody, an outage parks nothing."""

import json
from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID, uuid4

import psycopg
import pytest

from deskline_chassis import decoding
from deskline_chassis.applying import RedriveRefusedError, SurroundingsError
from deskline_chassis.parking import discard, newly_parked, parked_list, redrive, redrive_understood
from deskline_chassis.personal_data import KeyRing
from deskline_events.catalog import CATALOG, Contract
from deskline_events.facts import Fact

pytestmark = pytest.mark.component

LOOSE = {
    "no headers": lambda wire, s: wire.record(b"{}", []),
    "no value": lambda wire, s: wire.record(None, []),
    "header of bytes": lambda wire, s: wire.company(s, 1, headers={"ce_type": b"\xff\xfe\x00"}),
    "subject is no id": lambda wire, s: wire.company(s, 1, headers={"ce_subject": "кто-то".encode()}),
    "sequence is no number": lambda wire, s: wire.company(s, 1, headers={"ce_sequence": b"first"}),
    "sequence is huge": lambda wire, s: wire.company(s, 1, headers={"ce_sequence": b"9" * 30}),
    "epoch is huge": lambda wire, s: wire.company(s, 1, headers={"deskline-epoch": b"9" * 30}),
    "other specversion": lambda wire, s: wire.company(s, 1, headers={"ce_specversion": b"2.0"}),
    "foreign source": lambda wire, s: wire.company(s, 1, headers={"ce_source": b"/deskline/tickets"}),
    "stranger's source": lambda wire, s: wire.company(s, 1, headers={"ce_source": b"/elsewhere/intake"}),
    "key that is not JSON": lambda wire, s: wire.keys_record(s, b"\x00"),
    "key without a key": lambda wire, s: wire.keys_record(s, json.dumps({"subject": str(s)}).encode()),
    "key not base64": lambda wire, s: wire.keys_record(
        s, json.dumps({"subject": str(s), "keys": {"1": "*"}}).encode()
    ),
    "key of a huge version": lambda wire, s: wire.keys_record(
        s, json.dumps({"subject": str(s), "keys": {"9" * 12: "AAAA"}}).encode()
    ),
}
CONTACT = b"deskline.intake.ContactRegistered.v1"
POISON = {
    "not JSON": lambda wire, s: wire.company(s, 1, value=b"{nonsense"),
    "NUL": lambda wire, s: wire.company(s, 1, value=b"\x00\xff\x00"),
    "an array": lambda wire, s: wire.company(s, 1, value=b"[1, 2]"),
    "deep": lambda wire, s: wire.company(s, 1, value=b"[" * 100_000),
    "missing field": lambda wire, s: wire.company(s, 1, data={"locale": None}),
    "unknown type": lambda wire, s: wire.company(s, 1, headers={"ce_type": b"deskline.intake.Nothing.v1"}),
    "newer version": lambda wire, s: wire.company(
        s, 1, headers={"ce_type": b"deskline.intake.CompanyRegistered.v2"}
    ),
    "clear text": lambda wire, s: wire.company(
        s, 1, headers={"ce_type": CONTACT}, data={"contact_id": str(s), "name": "Canary"}
    ),
    "sealed as nobody's": lambda wire, s: wire.company(
        s, 1, headers={"ce_type": CONTACT}, data={"contact_id": str(s), "name": {"k": 5, "v": 1, "c": "AA"}}
    ),
}


@pytest.mark.parametrize("name", LOOSE)
def test_record_without_a_place_parks_alone(desk: Any, wire: Any, name: str) -> None:
    a, b = uuid4(), uuid4()
    good = wire.company(b, 1)
    bad = LOOSE[name](wire, a)
    desk.feed(good, bad, wire.company(a, 1), wire.company(b, 2))
    ((subject, sequence, cause),) = desk.parked()
    assert (subject, sequence) == (None, None)
    assert cause
    assert "Canary" not in cause
    assert desk.slept == []
    assert desk.sequences(a) == [1]
    assert desk.sequences(b) == [1, 2]
    (listed,) = parked_list(desk.database, desk.name)
    assert (listed.records, listed.record_offset) == (1, bad.offset)
    assert discard(desk.database, listed.id)
    assert desk.parked() == []


@pytest.mark.parametrize("name", POISON)
def test_poison_parks_its_stream_and_no_other(desk: Any, wire: Any, name: str) -> None:
    a, b = uuid4(), uuid4()
    desk.feed(wire.company(b, 1), POISON[name](wire, a), wire.company(a, 2), wire.company(b, 2))
    desk.feed(wire.company(a, 3), wire.company(b, 3), wire.company(a, 2))
    first, *followers = desk.parked()
    assert first[:2] == (a, 1)
    assert "Canary" not in first[2]
    assert followers == [(a, 2, "follows a parked record"), (a, 3, "follows a parked record")]
    assert desk.sequences(a) == []
    assert desk.sequences(b) == [1, 2, 3]
    assert desk.slept == []
    (listed,) = parked_list(desk.database, desk.name)
    assert (listed.subject, listed.sequence, listed.records, listed.cause) == (a, 1, 3, first[2])
    assert not discard(desk.database, listed.id)


def test_record_that_lies_where_another_was_parked_before_a_loss_is_parked_too(desk: Any, wire: Any) -> None:
    a, b = uuid4(), uuid4()
    desk.feed(wire.company(a, 1, value=b"?"))
    wire.ends.clear()
    anew = wire.company(b, 1, value=b"?", epoch=2)
    for _ in range(2):  # a higher epoch begins the partition anew
        desk.feed(anew)
    assert {stream for stream, _, _ in desk.parked()} == {a, b}


def test_record_without_a_stream_is_parked_too_where_another_lay_before_a_loss(desk: Any, wire: Any) -> None:
    before = wire.record(b"one", [])
    desk.feed(before)
    wire.ends.clear()
    after, stream = wire.record(b"other", []), uuid4()
    assert (after.place, after.offset) == (before.place, before.offset)
    anew = wire.company(stream, 1, epoch=2)
    desk.feed(anew)  # a higher epoch begins the partition anew
    for _ in range(2):
        desk.feed(after, anew)
    found = {
        bytes(value) for (value,) in desk.rows("SELECT value FROM parked_records WHERE reader = %(reader)s")
    }
    assert found == {b"one", b"other"}
    assert len(desk.parked()) == 2
    assert desk.sequences(stream) == [1]


def test_failing_handler_is_tried_five_times_and_others_flow(desk: Any, wire: Any) -> None:
    bad, *good = (uuid4() for _ in range(8))
    desk.failing[bad] = ValueError("Canary")
    records = [wire.company(stream, n) for n in (1, 2) for stream in (*good[:4], bad, *good[4:])]
    desk.feed(*records)
    assert desk.parked() == [(bad, 1, "ValueError"), (bad, 2, "follows a parked record")]
    assert desk.sequences(bad) == []
    assert all(desk.sequences(stream) == [1, 2] for stream in good)
    assert len(desk.slept) == 4
    assert sum(desk.slept) < 10
    assert desk.calls >= 5


def test_many_failing_records_wait_together(desk: Any, wire: Any) -> None:
    bad = [uuid4() for _ in range(30)]
    desk.failing |= dict.fromkeys(bad, ValueError())
    desk.feed(*[wire.company(stream, 1) for stream in bad])
    assert len(desk.parked()) == 30
    assert len(desk.slept) == 4
    assert newly_parked(desk.database, desk.name) == 30


def test_failure_that_passes_parks_nothing(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.failing[a] = ValueError()
    desk.applier._sleep = lambda _seconds: desk.failing.clear()
    desk.feed(wire.company(a, 1))
    assert desk.sequences(a) == [1]
    assert desk.parked() == []


def test_record_that_trips_the_harness_is_parked(
    desk: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = uuid4(), uuid4()
    whole = decoding.to_fact

    def trip(envelope: Any, data: Any, keys: Any) -> Any:
        if envelope.subject == a:
            raise ZeroDivisionError
        return whole(envelope, data, keys)

    monkeypatch.setattr("deskline_chassis.sorting.to_fact", trip)
    desk.feed(wire.company(b, 1), wire.company(a, 1), wire.company(b, 2))
    assert desk.parked() == [(a, 1, "ZeroDivisionError")]
    assert desk.sequences(b) == [1, 2]


def park(desk: Any, wire: Any, count: int = 3) -> UUID:
    """A stream of which the first record failed."""
    a = uuid4()
    desk.failing[a] = ValueError()
    desk.feed(*[wire.company(a, n) for n in range(1, count + 1)])
    assert len(desk.parked()) == count
    return a


def test_redrive_applies_in_order_and_the_stream_flows_again(desk: Any, wire: Any) -> None:
    a = park(desk, wire)
    desk.failing.clear()
    assert redrive(desk.applier, desk.database, a) == (3, [])
    desk.feed(wire.company(a, 4))
    assert desk.sequences(a) == [1, 2, 3, 4]
    assert desk.parked() == []


def test_refused_redrive_changes_nothing(desk: Any, wire: Any) -> None:
    a = park(desk, wire)
    before = desk.parked()
    applied, refused = redrive(desk.applier, desk.database)
    assert applied == 0
    assert refused == [f"intake {a}: ValueError"]
    assert desk.parked() == before
    assert desk.sequences(a) == []


def test_redrive_is_all_or_nothing(desk: Any, wire: Any) -> None:
    a = park(desk, wire, 1)
    desk.feed(wire.company(a, 2), wire.company(a, 3, value=b"{nonsense"))
    desk.failing.clear()
    with pytest.raises(RedriveRefusedError):
        desk.applier.redrive(("intake", a))
    assert desk.sequences(a) == []
    assert len(desk.parked()) == 3


def test_redrive_over_a_gap_lets_the_rest_wait(desk: Any, wire: Any) -> None:
    a = park(desk, wire, 1)
    desk.feed(wire.company(a, 3))
    desk.failing.clear()
    desk.applier.redrive(("intake", a))
    assert desk.sequences(a) == [1]
    assert (desk.waiting(), desk.parked()) == (1, [])
    desk.feed(wire.company(a, 2))
    assert desk.sequences(a) == [1, 2, 3]


def test_ignorable_unknown_type_is_passed_over(desk: Any, wire: Any) -> None:
    a = uuid4()
    unknown = {"ce_type": b"deskline.intake.Nothing.v1", "deskline-ignorable": b"1"}
    desk.feed(wire.company(a, 1), wire.company(a, 2, headers=unknown), wire.company(a, 3))
    assert desk.sequences(a) == [1, 3]
    assert desk.parked() == []


def test_unknown_fields_are_ignored(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1, data={"colour": {"of": ["the", "future"]}}))
    assert desk.sequences(a) == [1]


def test_type_without_a_use_needs_no_key_and_cannot_fail(make_desk: Any, wire: Any) -> None:
    from dataclasses import replace

    desk = make_desk()
    desk.applier.spec = replace(desk.applier.spec, types=frozenset({"deskline.intake.CompanyRegistered.v1"}))
    a, contact = uuid4(), {"ce_type": CONTACT}
    desk.feed(
        wire.contact(a, 1, "Анна"),
        wire.company(a, 2, headers=contact, value=b"{nonsense"),
        wire.company(a, 3),
    )
    assert desk.sequences(a) == [3]
    assert (desk.waiting(), desk.parked()) == (0, [])


def test_foreign_record_raises_no_epoch(desk: Any, wire: Any) -> None:
    a = uuid4()
    desk.feed(wire.company(a, 1))
    forged = wire.company(a, 2, headers={"ce_source": b"/deskline/tickets"}, epoch=99)
    assert desk.feed(forged, wire.company(a, 2)).seeks == {}
    assert desk.position() == (1, 3)


def test_damaged_key_parks_its_own_stream_only(desk: Any, make_desk: Any, wire: Any) -> None:
    a, b = uuid4(), uuid4()
    with desk.database.transaction() as connection:
        connection.execute(
            "INSERT INTO known_keys (subject, version, wrapped) VALUES (%s, 1, %s)", (a, bytes(40))
        )
        KeyRing(bytes(range(32))).register(connection, [b])
        key = KeyRing(bytes(range(32))).load(connection, [b])[b].key
    wire.keys[b] = key
    desk.feed(wire.contact(a, 1, "Анна"), wire.contact(b, 1, "Борис"))
    ((subject, _, cause),) = desk.parked()
    assert subject == a
    assert "damaged" in cause
    assert desk.applied(b) == [(1, "Борис")]


class ServiceMoved(Fact):
    TYPE: ClassVar[str] = "deskline.intake.ServiceMoved.v1"
    to: str


def test_restarted_reader_redrives_what_it_understands_now(
    desk: Any, make_desk: Any, wire: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b, c = uuid4(), uuid4(), uuid4()
    news = {"ce_type": ServiceMoved.TYPE.encode()}
    desk.feed(wire.company(a, 1, headers=news, data={"to": "there"}), wire.company(a, 2))
    desk.feed(wire.company(b, 1, headers={"ce_type": b"deskline.intake.ServiceMoved.v2"}))
    desk.failing[c] = ValueError()
    desk.feed(wire.company(c, 1))
    desk.failing.clear()
    assert redrive_understood(desk.applier, desk.database) == 0
    monkeypatch.setitem(
        CATALOG, ServiceMoved.TYPE, Contract("intake", "ServiceMoved", 1, ServiceMoved, ignorable=False)
    )
    assert redrive_understood(make_desk(desk.name).applier, desk.database) == 1
    assert desk.rows("SELECT subject FROM reader_streams WHERE reader = %(reader)s AND NOT parked") == [(a,)]
    assert {subject for subject, _, _ in desk.parked()} == {b, c}


def test_missing_table_parks_nothing(lone: Any, make_desk: Any, wire: Any) -> None:
    made, database = lone
    desk, a = make_desk(used=database), uuid4()
    record = wire.company(a, 1)
    with psycopg.connect(made.owner_url) as owner:
        owner.execute("ALTER TABLE effects RENAME TO away")
    with pytest.raises(SurroundingsError):
        desk.feed(record)
    with psycopg.connect(made.owner_url) as owner:
        owner.execute("ALTER TABLE away RENAME TO effects")
    assert desk.parked() == []
    assert desk.slept == []
    desk.feed(record)
    assert desk.sequences(a) == [1]


@pytest.mark.parametrize(
    "trouble",
    [
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.SerializationFailure(),
        psycopg.errors.DiskFull(),
        psycopg.OperationalError("the connection is closed"),
        ConnectionResetError(),
        TimeoutError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_trouble_around_counts_for_nothing(desk: Any, wire: Any, trouble: Exception) -> None:
    a, b = uuid4(), uuid4()
    desk.failing[a] = trouble
    records = wire.company(b, 1), wire.company(a, 1)
    for _ in range(7):
        with pytest.raises(SurroundingsError):
            desk.feed(*records)
    assert (desk.parked(), desk.slept, desk.applied()) == ([], [], [])
    desk.failing.clear()
    desk.feed(*records)
    assert desk.sequences(a) == desk.sequences(b) == [1]


def test_lost_connection_parks_nothing(lone: Any, make_desk: Callable[..., Any], wire: Any) -> None:
    made, database = lone
    desk, a = make_desk(used=database), uuid4()

    def cut(transaction: Any, _events: Any) -> None:
        (pid,) = transaction.connection.execute("SELECT pg_backend_pid()").fetchone()
        with psycopg.connect(made.runtime_url, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (pid,))
        transaction.connection.execute("SELECT 1")

    record = wire.company(a, 1)
    whole, desk.handle = desk.handle, cut
    with pytest.raises(SurroundingsError):
        desk.feed(record)
    desk.handle = whole
    desk.feed(record)
    assert (desk.parked(), desk.slept) == ([], [])
    assert desk.sequences(a) == [1]
