"""Which delivery repeats which: the rule of "once" for mail."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from deskline_intake.handlers.messages import WINDOW, Deliveries
from deskline_intake.parser import Identity
from deskline_intake.ports import StoredLine, StoredMail

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, tzinfo=UTC)
NAMED = Identity("a" * 64, "a" * 64, windowed=False, message_id_hash="ff" * 32)
NAMELESS = Identity("b" * 64, "c" * 64, windowed=True, message_id_hash=None)


def stored(number: int, after: timedelta = timedelta(), line: int = 1) -> StoredMail:
    return StoredMail(
        raw_id=UUID(int=number),
        lane=0,
        arrival=number,
        line=StoredLine(UUID(int=line), "Line", "email", "a@b.example", "ru", disabled=False),
        heavy=False,
        size=1,
        envelope_from=None,
        reply_token=None,
        received_at=NOW + after,
        traceparent=None,
        careful=False,
    )


def after_first(identity: Identity) -> Deliveries:
    deliveries = Deliveries()
    deliveries.add(deliveries.source(stored(1), identity))
    return deliveries


def test_a_named_mail_is_the_same_for_ever() -> None:
    first = after_first(NAMED).first_of(stored(2, timedelta(days=900)), NAMED)
    assert first is not None
    assert first.raw_id == UUID(int=1)


def test_on_another_line_it_is_another() -> None:
    assert after_first(NAMED).first_of(stored(2, line=2), NAMED) is None


@pytest.mark.parametrize(("after", "same"), [(WINDOW - timedelta(seconds=1), True), (WINDOW, False)])
def test_a_nameless_mail_is_the_same_for_a_day(after: timedelta, same: bool) -> None:
    deliveries = after_first(NAMELESS)
    assert (deliveries.first_of(stored(2, after), NAMELESS) is not None) == same
    if not same:
        assert deliveries.source(stored(2, after), NAMELESS).source_key == NAMELESS.later_key


def test_a_third_one_is_measured_from_the_latest_announced() -> None:
    deliveries = after_first(NAMELESS)
    deliveries.add(deliveries.source(stored(2, WINDOW), NAMELESS))
    again = deliveries.first_of(stored(3, WINDOW * 1.5), NAMELESS)
    assert again is not None
    assert again.raw_id == UUID(int=2)


def test_a_repeated_message_id_with_another_body_is_seen() -> None:
    other = Identity("d" * 64, "d" * 64, windowed=False, message_id_hash=NAMED.message_id_hash)
    deliveries = after_first(NAMED)
    assert deliveries.first_of(stored(2), other) is None
    assert deliveries.repeats_message_id(stored(2), other)
    assert not deliveries.repeats_message_id(stored(2, line=2), other)
