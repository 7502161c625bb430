"""What a live view tells and to whom, without a broker and without a wire."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope, source_of
from deskline_gateway.adapters.audience import BUFFER, Audience, StreamsFullError
from deskline_gateway.domain.live import Heard, Notice, Progress, Whereabouts, frame, heard_in, name_of

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
HEARD = Heard(b"/deskline/tickets", str(ONE).encode(), 1, 1, EVENT.type, "NoteAdded")


@pytest.mark.parametrize("wire_type", sorted(CATALOG))
def test_what_an_owner_announces_is_heard(wire_type: str) -> None:
    contract = CATALOG[wire_type]
    source = source_of(contract.owner)
    heard = heard_in(
        replace(EVENT, source=source, type=wire_type, subject=TWO, sequence=7, generation=3).headers()
    )
    assert heard == Heard(source.encode(), str(TWO).encode(), 3, 7, wire_type, contract.name)
    assert heard.ticket == TWO


@pytest.mark.parametrize("header", ["ce_specversion", "ce_source", "ce_type", "ce_subject", "ce_sequence"])
@pytest.mark.parametrize("value", [None, b"", b"0", b"-1", b"x\ny", b"\xff", "нет".encode()])
def test_what_names_no_stream_place_and_type_is_not_heard(header: str, value: bytes | None) -> None:
    headers = dict(EVENT.headers())
    assert heard_in(headers.items()) == HEARD
    assert heard_in([(name, one) for name, one in headers.items() if name != header]) is None
    assert heard_in((headers | {header: value}).items()) is None


def test_somebody_listens_from_the_first_stream_to_the_last() -> None:
    async def comes() -> bool:
        waiting = asyncio.create_task(audience.until_it_listens(60.0))
        await asyncio.sleep(0)
        with audience.subscribed(ticket=ONE), audience.subscribed(ticket=TWO):
            await asyncio.wait_for(waiting, 10.0)
        return audience.listens

    audience = Audience(most=5, most_per_token=5)
    assert not audience.listens
    asyncio.run(audience.until_it_listens(0.0))
    with audience.subscribed(ticket=ONE):
        with audience.subscribed(queue=QUEUE):
            assert audience.listens
        assert audience.listens
    assert not asyncio.run(comes())


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
    assert progress.version(HEARD) is None
    assert progress.advances(HEARD)
    assert not progress.advances(HEARD)
    assert progress.advances(replace(HEARD, sequence=3))
    assert not progress.advances(replace(HEARD, sequence=2))
    assert progress.advances(replace(HEARD, source=b"/deskline/sla"))
    other, third = (replace(HEARD, subject=str(one).encode()) for one in (TWO, THREE))
    assert progress.advances(other)
    assert (progress.version(HEARD), progress.version(other), progress.version(third)) == (3, 1, None)
    assert progress.version(replace(HEARD, source=b"/deskline/sla", sequence=9)) == 3
    assert progress.advances(replace(HEARD, generation=2))
    assert progress.version(HEARD) == 1


def test_progress_and_whereabouts_are_bounded() -> None:
    progress, whereabouts = Progress(most=2), Whereabouts(most=2)
    of = {one: replace(HEARD, subject=str(one).encode()) for one in (ONE, TWO, THREE)}
    for sequence, ticket in enumerate((ONE, TWO, ONE, THREE), start=1):
        progress.advances(replace(of[ticket], sequence=sequence))
        whereabouts.moved(ticket, QUEUE)
    assert (progress.version(of[TWO]), whereabouts.queue_of(TWO)) == (None, None)
    assert (progress.version(of[ONE]), progress.version(of[THREE])) == (3, 4)
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


def test_a_stream_begins_with_its_first_event_in_any_generation() -> None:
    for generation, sequence in ((0, 1), (1, 0)):
        assert Progress().advances(replace(HEARD, generation=generation, sequence=sequence))
    assert not Progress().advances(replace(HEARD, generation=0, sequence=0))


def test_as_many_streams_are_remembered_as_was_said() -> None:
    progress, whereabouts = Progress(most=2), Whereabouts(most=2)
    of = {ticket: replace(HEARD, subject=str(ticket).encode()) for ticket in (ONE, TWO)}
    for ticket in (ONE, TWO):
        assert progress.advances(of[ticket])
        whereabouts.moved(ticket, QUEUE)
    assert not any(progress.advances(of[ticket]) for ticket in (ONE, TWO))
    assert [whereabouts.queue_of(ticket) for ticket in (ONE, TWO)] == [QUEUE, QUEUE]


def test_a_frame_of_the_stream_is_about_no_ticket() -> None:
    text = frame(4, Notice(None, None, "resync"), "resync").decode()
    assert text == 'id: 4\nevent: resync\ndata: {"ticket":null,"version":null,"type":"resync"}\n\n'
