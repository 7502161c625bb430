"""What DATA brings is put together again, whatever pieces it came in, and its memory is counted."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_intake.channels.smtp_session import PIECE_BYTES, Content, InFlight

pytestmark = pytest.mark.unit

LINES = st.lists(st.sampled_from([b".", b"..", b".a", b"a.", b"", b"\n.", b"\r", b"x" * 70]), max_size=30)


def received(wire: bytes, cuts: list[int], limit: int = 10**6) -> Content:
    content = Content(InFlight(limit), limit)
    edges = sorted({0, len(wire), *(cut % (len(wire) - 4) for cut in cuts if len(wire) > 4)})
    for start, end in itertools.pairwise(edges):
        assert not content.ended
        content.add(wire[start:end])
    return content


@given(LINES, st.lists(st.integers(0, 10_000), max_size=10))
def test_any_mail_in_any_pieces_comes_out_as_it_was_meant(lines: list[bytes], cuts: list[int]) -> None:
    meant = b"".join(line + b"\r\n" for line in lines)
    stuffed = (b"\r\n" + meant).replace(b"\r\n.", b"\r\n..")[2:]
    content = received(stuffed + b".\r\n", cuts)
    assert content.ended
    assert b"".join(content.pieces) == meant


def test_large_mail_is_kept_in_small_pieces() -> None:
    content = received(b"y" * 300_000 + b"\r\n.\r\n", list(range(0, 300_000, 7_000)))
    assert b"".join(content.pieces) == b"y" * 300_000 + b"\r\n"
    assert max(map(len, content.pieces)) < 2 * PIECE_BYTES


@pytest.mark.parametrize("end", [b"\n.\n", b"\r\n.\n", b"\n.\r\n", b"\r.\r", b".\r\r\n"])
def test_only_the_whole_end_ends(end: bytes) -> None:
    content = Content(InFlight(1_000), 1_000)
    content.add(b"text" + end)
    assert not content.ended


def test_memory_is_counted_and_given_back_once() -> None:
    in_flight = InFlight(100)
    first, second = Content(in_flight, 90), Content(in_flight, 90)
    first.add(b"x" * 80)
    second.add(b"y" * 30)
    assert second.refusal is not None
    assert second.refusal.startswith("452")
    second.add(b"y" * 10)
    assert second.pieces == []
    first.close()
    first.close()
    assert in_flight.take(100)
    assert in_flight.full


def test_too_large_is_refused_and_dropped() -> None:
    in_flight = InFlight(1_000)
    content = Content(in_flight, 50)
    content.add(b"x" * 60)
    assert content.refusal is not None
    assert content.refusal.startswith("552")
    assert in_flight.take(1_000), "nothing of it is kept"
