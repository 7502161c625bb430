"""What a live view tells and to whom, without a broker and without a wire."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_gateway.adapters.audience import BUFFER, Audience, StreamsFullError
from deskline_gateway.domain.live import Notice, Progress, Whereabouts, frame, name_of

pytestmark = pytest.mark.unit

ONE, TWO, THREE, QUEUE, TOKEN = (UUID(int=number) for number in range(1, 6))
EVENT = Envelope(
    id=UUID(int=9),
    source="/deskline/tickets",
    type="deskline.tickets.NoteAdded.v1",
    time=datetime(2026, 1, 2, tzinfo=UTC),
    subject=ONE,
    sequence=1,
    correlation_id=UUID(int=8),
    causation_id=None,
    epoch=1,
    generation=1,
)


def test_a_frame_is_one_event_of_three_fields() -> None:
    text = frame(3, Notice(ONE, 7, "NoteAdded")).decode()
    assert text == f'id: 3\ndata: {{"ticket":"{ONE}","version":7,"type":"NoteAdded"}}\n\n'
    assert frame(4, Notice(None, None, "resync"), "resync").decode().startswith("id: 4\nevent: resync\n")


@pytest.mark.parametrize("kind", ["x\ny", "x\r\ny", "x\u2028y", 'x"y', "x\x00y"])
def test_a_frame_ends_where_it_ends(kind: str) -> None:
    text = frame(1, Notice(ONE, 1, kind)).decode()
    assert text.splitlines() == ["id: 1", text.splitlines()[1], ""]
    assert json.loads(text.splitlines()[1].removeprefix("data: "))["type"] == kind


@pytest.mark.parametrize("wire_type", sorted(CATALOG))
def test_every_type_of_ours_has_a_name(wire_type: str) -> None:
    assert name_of(wire_type) == CATALOG[wire_type].name


@pytest.mark.parametrize(
    "wire_type",
    ["", "NoteAdded", "deskline.tickets.Note\nAdded.v1", "deskline.tickets.NoteAdded.v1\n", "a.b.c.v1"],
)
def test_what_is_no_type_of_ours_has_none(wire_type: str) -> None:
    assert name_of(wire_type) is None


def test_progress_drops_repeats_by_owner_and_stream() -> None:
    progress = Progress()
    assert progress.version(ONE) is None
    assert progress.advances(EVENT)
    assert not progress.advances(EVENT)
    assert not progress.advances(replace(EVENT, epoch=2))
    assert progress.advances(replace(EVENT, sequence=3))
    assert not progress.advances(replace(EVENT, sequence=2))
    assert progress.advances(replace(EVENT, source="/deskline/sla"))
    assert progress.advances(replace(EVENT, subject=TWO))
    assert (progress.version(ONE), progress.version(TWO), progress.version(THREE)) == (3, 1, None)
    assert progress.advances(replace(EVENT, generation=2))
    assert progress.version(ONE) == 1


def test_progress_and_whereabouts_are_bounded() -> None:
    progress, whereabouts = Progress(most=2), Whereabouts(most=2)
    for ticket in (ONE, TWO, ONE, THREE):
        progress.advances(replace(EVENT, subject=ticket, sequence=len(progress._last) + 1))
        whereabouts.moved(ticket, QUEUE)
    assert (progress.version(TWO), whereabouts.queue_of(TWO)) == (None, None)
    assert whereabouts.queue_of(ONE) == whereabouts.queue_of(THREE) == QUEUE


def test_what_was_seen_live_is_believed_more_than_what_was_listed() -> None:
    audience = Audience(most=5, most_per_token=5)
    with audience.subscribed(queue=QUEUE) as one:
        # The ticket leaves while analytics is being asked, which doesn't know it yet.
        audience.tell(ONE, Notice(ONE, 5, "TicketRouted"), moved_to=THREE)
        audience.list_tickets(one, {ONE, TWO})
        audience.tell(ONE, Notice(ONE, 6, "NoteAdded"))
        audience.tell(TWO, Notice(TWO, 2, "NoteAdded"))
        assert one.take() == [Notice(TWO, 2, "NoteAdded")]
    assert not audience._listing
    assert not audience._of_queue


def test_a_subscriber_is_told_once_whatever_it_watches_by() -> None:
    audience = Audience(most=5, most_per_token=5)
    with audience.subscribed(ticket=ONE, queue=QUEUE) as one:
        audience.tell(ONE, Notice(ONE, 1, "TicketRouted"), moved_to=QUEUE)
        audience.tell(ONE, Notice(ONE, 2, "NoteAdded"))
        assert [notice.version for notice in one.take()] == [1, 2]


def test_a_buffer_is_bounded() -> None:
    audience = Audience(most=5, most_per_token=5)
    with audience.subscribed(ticket=ONE) as one:
        for version in range(BUFFER * 2):
            audience.tell(ONE, Notice(ONE, version, "NoteAdded"))
        assert one.overflowed
        assert len(one.take()) == BUFFER


def test_places_are_counted_and_given_back() -> None:
    audience = Audience(most=2, most_per_token=1)
    with audience.place(TOKEN):
        with pytest.raises(StreamsFullError) as refused, audience.place(TOKEN):
            pass
        assert not refused.value.everybody
        with audience.place(ONE), pytest.raises(StreamsFullError) as refused, audience.place(TWO):
            pass
        assert refused.value.everybody
    with audience.place(TOKEN):
        pass
    assert not audience._by_token
    audience.close()
    with pytest.raises(StreamsFullError), audience.place(TOKEN):
        pass
