"""Live views from a real broker: new facts, repeats, what can't be read, and a broker that goes away."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiokafka import AIOKafkaProducer

from deskline_chassis.broker import Broker
from deskline_chassis.metrics import REGISTRY
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_events.tickets import Actor, TicketRouted
from deskline_events.topics import events_topic
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

Until = Callable[..., None]
QUEUE = UUID("01890a5d-ac96-774b-bcce-b302099a805a")
CANARY = "canary-Иван Петров"


class Announcer:
    """What relays do: records of owners, with their headers."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def say(
        self, ticket: UUID, *facts: tuple[str, int], value: bytes | None = None, generation: int = 1
    ) -> None:
        asyncio.run(self._say(ticket, facts, value or f'{{"text":"{CANARY}"}}'.encode(), generation))

    async def _say(
        self, ticket: UUID, facts: tuple[tuple[str, int], ...], value: bytes, generation: int
    ) -> None:
        producer = AIOKafkaProducer(**self._broker.client_settings("announcer"))
        await producer.start()
        try:
            for wire_type, sequence in facts:
                owner = wire_type.split(".")[1]
                envelope = Envelope(
                    id=event_id(source_of(owner), ticket, sequence, generation),
                    source=source_of(owner),
                    type=wire_type,
                    time=datetime.now(UTC),
                    subject=ticket,
                    sequence=sequence,
                    correlation_id=uuid4(),
                    causation_id=uuid4(),
                    epoch=1,
                    generation=generation,
                )
                topic = self._broker.topic(events_topic(owner))
                await producer.send_and_wait(
                    topic, value, key=str(ticket).encode(), headers=envelope.headers()
                )
        finally:
            await producer.stop()


@pytest.fixture
def broker(stack: Stack) -> Broker:
    return Broker(stack.bootstrap, prefix=f"live-{uuid4().hex[:8]}.", partitions=2)


def figure(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"deskline_gateway_live_{name}", labels) or 0.0


@pytest.fixture
def live(stage: Any, memory: Any, broker: Broker, until: Until) -> Any:
    world = stage.open(memory, broker=broker)
    until(lambda: figure("up") == 1.0, 30.0)
    return world


@pytest.fixture
def watch(live: Any) -> Iterator[Callable[[str], Any]]:
    watching: list[Any] = []

    def watch(path: str) -> Any:
        watching.append(live.watch(path, live.token("operator")))
        watching[-1].until("ready")
        return watching[-1]

    yield watch
    for one in watching:
        one.close()


def news(seen: Any) -> list[tuple[Any, Any]]:
    return [(data["type"], data["version"]) for kind, data in seen.events if kind == "message"]


def routed(queue: UUID) -> bytes:
    fact = TicketRouted(queue_id=queue, actor=Actor(kind="system"), assignment_no=1)
    return fact.model_dump_json().encode()


def test_what_owners_announce_is_told_once_and_without_its_content(
    live: Any, broker: Broker, watch: Callable[[str], Any]
) -> None:
    ticket, announcer = uuid4(), Announcer(broker)
    seen = watch(f"/v1/tickets/{ticket}/events")
    repeated = figure("records_total", outcome="repeated")
    announcer.say(
        ticket,
        ("deskline.sla.ClockStarted.v1", 1),
        ("deskline.tickets.TicketOpened.v1", 1),
        ("deskline.tickets.NoteAdded.v1", 2),
    )
    seen.until("ClockStarted", "NoteAdded")
    announcer.say(
        ticket,
        ("deskline.tickets.TicketOpened.v1", 1),
        ("deskline.tickets.NoteAdded.v1", 2),
        ("deskline.tickets.OperatorReplied.v1", 3),
    )
    seen.until("OperatorReplied")
    # Another owner's event comes with the ticket's version as it was known then.
    announcer.say(ticket, ("deskline.notify.NotificationSent.v1", 1))
    seen.until("NotificationSent")
    found = news(seen)
    assert [one for one in found if one[0] != "ClockStarted"] == [
        ("TicketOpened", 1),
        ("NoteAdded", 2),
        ("OperatorReplied", 3),
        ("NotificationSent", 3),
    ]
    assert figure("records_total", outcome="repeated") == repeated + 2
    assert CANARY not in seen.text
    assert {frozenset(data) for _, data in seen.events} == {frozenset({"ticket", "version", "type"})}


def test_a_restored_owners_events_are_told_anew(broker: Broker, watch: Callable[[str], Any]) -> None:
    ticket, announcer = uuid4(), Announcer(broker)
    seen = watch(f"/v1/tickets/{ticket}/events")
    announcer.say(ticket, ("deskline.tickets.TicketOpened.v1", 1), ("deskline.tickets.NoteAdded.v1", 2))
    announcer.say(ticket, ("deskline.tickets.StageChanged.v1", 2), generation=2)
    seen.until("StageChanged")
    assert news(seen) == [("TicketOpened", 1), ("NoteAdded", 2), ("StageChanged", 2)]


def test_a_queue_follows_tickets_by_their_routing(
    live: Any, broker: Broker, watch: Callable[[str], Any]
) -> None:
    live.analytics.body = b'{"items":[],"next_cursor":null}'
    ticket, announcer = uuid4(), Announcer(broker)
    seen = watch(f"/v1/queues/{QUEUE}/events")
    announcer.say(ticket, ("deskline.tickets.TicketOpened.v1", 1))
    announcer.say(ticket, ("deskline.tickets.TicketRouted.v1", 2), value=routed(QUEUE))
    announcer.say(ticket, ("deskline.tickets.TicketAccepted.v1", 3))
    seen.until("TicketAccepted")
    assert news(seen) == [("TicketRouted", 2), ("TicketAccepted", 3)]


def test_what_happened_while_nobody_watched_is_known(
    live: Any, broker: Broker, watch: Callable[[str], Any], until: Until
) -> None:
    live.analytics.body = b'{"items":[],"next_cursor":null}'
    ticket, announcer = uuid4(), Announcer(broker)
    told = figure("records_total", outcome="told")
    announcer.say(ticket, ("deskline.tickets.TicketOpened.v1", 1))
    announcer.say(ticket, ("deskline.tickets.TicketRouted.v1", 2), value=routed(QUEUE))
    until(lambda: figure("records_total", outcome="told") == told + 2, 30.0)
    seen = watch(f"/v1/queues/{QUEUE}/events")
    announcer.say(ticket, ("deskline.tickets.TicketRouted.v1", 2), value=routed(UUID(int=1)))
    announcer.say(ticket, ("deskline.sla.ClockStarted.v1", 1))
    seen.until("ClockStarted")
    assert news(seen) == [("ClockStarted", 2)]


def test_what_can_not_be_read_is_passed_over(broker: Broker, watch: Callable[[str], Any]) -> None:
    ticket, announcer = uuid4(), Announcer(broker)
    seen = watch(f"/v1/tickets/{ticket}/events")
    unreadable = figure("records_total", outcome="unreadable")
    announcer.say(ticket, ("deskline.tickets.TicketRouted.v1", 1), value=b"{}")
    announcer.say(ticket, ("deskline.tickets.Forged\n\ndata: {}.v1", 2))
    announcer.say(ticket, ("deskline.tickets.NoteAdded.v1", 3))
    seen.until("NoteAdded")
    assert news(seen) == [("NoteAdded", 3)]
    assert figure("records_total", outcome="unreadable") == unreadable + 2


def test_a_broker_that_is_away_leaves_streams_open_and_nothing_is_lost_that_comes_after(
    live: Any, broker: Broker, watch: Callable[[str], Any], stack: Stack, until: Until
) -> None:
    ticket, announcer = uuid4(), Announcer(broker)
    seen = watch(f"/v1/tickets/{ticket}/events")
    announcer.say(ticket, ("deskline.tickets.TicketOpened.v1", 1))
    seen.until("TicketOpened")
    stack.kafka.stop()
    try:
        until(lambda: figure("up") == 0.0, 30.0)
        assert live.gateway.beat.reason is None
        assert live.ask("GET", f"/v1/tickets/{ticket}", live.token()).status_code == 200
        assert not seen.ended
    finally:
        stack.kafka.start()
    until(lambda: figure("up") == 1.0, 60.0)
    announcer.say(ticket, ("deskline.tickets.NoteAdded.v1", 2))
    seen.until("NoteAdded")
    assert ("NoteAdded", 2) in news(seen)


def test_when_reading_began_anew_everybody_is_told_to_read_anew(
    live: Any, watch: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch(f"/v1/tickets/{uuid4()}/events")

    async def lost(*_: Any) -> None:
        monkeypatch.undo()
        raise TimeoutError

    monkeypatch.setattr("deskline_gateway.adapters.live_feed._look", lost)
    seen.until("resync")
    assert not seen.ended


def test_streams_end_when_the_process_is_asked_to_stop(live: Any, watch: Callable[[str], Any]) -> None:
    seen = watch(f"/v1/tickets/{uuid4()}/events")
    began = datetime.now(UTC)
    live.gateway.ask_to_stop()
    seen._thread.join(10)
    assert seen.ended
    assert datetime.now(UTC) - began < timedelta(seconds=5)
