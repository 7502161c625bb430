"""Live views on the wire: who may open one, what it tells, and how it ends."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from deskline_gateway.adapters.audience import BUFFER
from deskline_gateway.domain.live import Notice

pytestmark = pytest.mark.component

TICKET = UUID("01890a5d-ac96-774b-bcce-b302099a8057")
OTHER = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
THIRD = UUID("01890a5d-ac96-774b-bcce-b302099a8059")
QUEUE = UUID("01890a5d-ac96-774b-bcce-b302099a805a")
ELSEWHERE = UUID("01890a5d-ac96-774b-bcce-b302099a805b")
STREAM = f"/v1/tickets/{TICKET}/events"
OF_QUEUE = f"/v1/queues/{QUEUE}/events"

Until = Callable[..., None]


@pytest.fixture
def watch(world: Any) -> Iterator[Callable[..., Any]]:
    watching: list[Any] = []

    def watch(path: str, token: str | None = None, in_world: Any = world, **headers: str) -> Any:
        watching.append(in_world.watch(path, token or in_world.token("operator"), **headers))
        return watching[-1]

    yield watch
    for one in watching:
        one.close()


def tell(world: Any, ticket: UUID, version: int | None, kind: str, moved_to: UUID | None = None) -> None:
    world.gateway.call(world.audience.tell, ticket, Notice(ticket, version, kind), moved_to)


def told(ticket: UUID | None, version: int | None, kind: str) -> dict[str, Any]:
    return {"ticket": None if ticket is None else str(ticket), "version": version, "type": kind}


def lists(world: Any, *tickets: UUID) -> None:
    items = [{"ticket_id": str(ticket), "subject": "Words"} for ticket in tickets]
    world.analytics.body = json.dumps({"items": items, "next_cursor": None}).encode()


def test_a_ticket_tells_what_happens_to_it_and_no_other(world: Any, watch: Callable[..., Any]) -> None:
    world.tickets.headers["etag"] = '"7"'
    seen = watch(STREAM)
    assert (seen.status, seen.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert seen.headers["cache-control"] == "no-store"
    assert "content-length" not in seen.headers
    tell(world, OTHER, 3, "NoteAdded")
    tell(world, TICKET, 8, "OperatorReplied")
    seen.until("OperatorReplied")
    assert seen.events == [
        ("ready", told(TICKET, 7, "ready")),
        ("message", told(TICKET, 8, "OperatorReplied")),
    ]
    assert seen.text.startswith("retry: 3000\n\nid: 1\nevent: ready\ndata: {")
    # The card was asked for and nothing of it was told.
    assert (world.tickets.last.method, world.tickets.last.path) == ("GET", f"/v1/tickets/{TICKET}")


def test_a_reader_that_comes_back_is_told_to_read_anew(world: Any, watch: Callable[..., Any]) -> None:
    seen = watch(STREAM, **{"Last-Event-ID": "17\\r\\ndata: x"})
    seen.until("resync")
    assert seen.events == [("resync", told(TICKET, None, "resync"))]


@pytest.mark.parametrize(("status", "code"), [(404, "ticket_unknown"), (403, "not_permitted")])
def test_a_ticket_that_is_not_ones_own_is_not_watched(world: Any, status: int, code: str) -> None:
    world.tickets.status = status
    world.tickets.headers = {"content-type": "application/problem+json"}
    world.tickets.body = json.dumps({"status": status, "code": code}).encode()
    answer = world.ask("GET", STREAM, world.token())
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not world.audience._subscriptions
    assert not world.audience._by_token


def test_an_owner_that_is_away_opens_nothing(world: Any) -> None:
    world.owners["routing"].stop()
    answer = world.ask("GET", OF_QUEUE, world.token())
    assert (answer.status_code, answer.json()["code"]) == (503, "owner_unavailable")
    world.analytics.status = 503
    world.owners["analytics"].stop()
    assert world.ask("GET", OF_QUEUE, world.token()).status_code == 503
    assert not world.audience._by_token


def test_a_queue_tells_of_the_tickets_in_it_and_of_those_that_come_and_go(
    world: Any, watch: Callable[..., Any]
) -> None:
    lists(world, TICKET)
    seen = watch(OF_QUEUE)
    asked = world.analytics.last
    assert (asked.path, asked.query) == ("/v1/tickets", f"queue_id={QUEUE}&open=true&limit=100")
    tell(world, OTHER, 1, "TicketOpened")
    tell(world, TICKET, 4, "NoteAdded")
    tell(world, OTHER, 2, "TicketRouted", moved_to=QUEUE)
    tell(world, OTHER, 3, "TicketOffered")
    tell(world, THIRD, 9, "TicketRouted", moved_to=ELSEWHERE)
    tell(world, TICKET, 5, "TicketRouted", moved_to=ELSEWHERE)
    tell(world, TICKET, 6, "NoteAdded")
    tell(world, OTHER, 4, "TicketAccepted")
    seen.until("TicketAccepted")
    assert seen.events == [
        ("ready", told(None, None, "ready")),
        ("message", told(TICKET, 4, "NoteAdded")),
        ("message", told(OTHER, 2, "TicketRouted")),
        ("message", told(OTHER, 3, "TicketOffered")),
        ("message", told(TICKET, 5, "TicketRouted")),
        ("message", told(OTHER, 4, "TicketAccepted")),
    ]
    assert "Words" not in seen.text


def test_a_long_queue_is_listed_by_pages_up_to_a_limit(world: Any, watch: Callable[..., Any]) -> None:
    world.analytics.body = json.dumps(
        {"items": [{"ticket_id": str(TICKET)}], "next_cursor": "a+b/="}
    ).encode()
    watch(OF_QUEUE)
    queries = [received.query for received in world.analytics.received]
    assert len(queries) == 5
    assert [query.partition("&cursor=")[2] for query in queries] == ["", *["a%2Bb%2F%3D"] * 4]


def test_heartbeats_keep_a_quiet_stream_open(stage: Any, memory: Any, watch: Callable[..., Any]) -> None:
    world = stage.open(memory, live={"heartbeat_seconds": 0.05})
    seen = watch(STREAM, in_world=world)
    seen.until(": heartbeat\n\n: heartbeat\n\n: heartbeat\n\n")
    assert [kind for kind, _ in seen.events] == ["ready"]


def test_what_may_have_been_missed_is_said_and_what_comes_after_it_told(
    world: Any, watch: Callable[..., Any]
) -> None:
    lists(world)
    one, two = watch(STREAM), watch(OF_QUEUE)
    world.gateway.call(world.audience.tell_missed)
    tell(world, TICKET, 8, "NoteAdded", moved_to=QUEUE)
    for seen, about in ((one, TICKET), (two, None)):
        seen.until("NoteAdded")
        assert seen.events[1:] == [
            ("resync", told(about, None, "resync")),
            ("message", told(TICKET, 8, "NoteAdded")),
        ]


def test_a_slow_reader_is_cut_off_and_the_others_are_not(
    world: Any, watch: Callable[..., Any], until: Until
) -> None:
    slow, quick = watch(STREAM), watch(f"/v1/tickets/{OTHER}/events")

    def flood() -> None:
        # In one turn of the loop, so that nothing is taken in between.
        for version in range(BUFFER + 1):
            world.audience.tell(TICKET, Notice(TICKET, version, "NoteAdded"))
        world.audience.tell(OTHER, Notice(OTHER, 1, "NoteAdded"))

    world.gateway.call(flood)
    slow.until("overflow")
    quick.until("NoteAdded")
    assert slow.events[-1] == ("overflow", told(TICKET, None, "overflow"))
    wait_ended(slow)
    assert not quick.ended
    until(lambda: world.audience._of_ticket.keys() == {OTHER})


def wait_ended(seen: Any) -> None:
    seen._thread.join(10)
    assert seen.ended


def test_a_reader_that_reads_nothing_at_all_is_let_go(stage: Any, memory: Any, until: Until) -> None:
    world = stage.open(memory, live={"send_seconds": 0.2, "heartbeat_seconds": 0.05})
    with socket.create_connection(("127.0.0.1", world.gateway.port), timeout=5) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(
            f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.token()}\r\n\r\n".encode()
        )
        until(lambda: len(world.audience._subscriptions) == 1)
        stopped = threading.Event()

        def flood() -> bool:
            for _ in range(100):
                world.gateway.call(world.audience.tell, TICKET, Notice(TICKET, 1, "N" * 100_000))
            stopped.set()
            return not world.audience._subscriptions

        until(flood, 20.0)
        assert stopped.is_set()
    until(lambda: not world.audience._by_token)


def test_a_reader_that_leaves_frees_its_place(stage: Any, memory: Any, until: Until) -> None:
    world = stage.open(memory, streams=(3, 2))
    one, other = world.token(), world.token()
    open_ones = [world.watch(STREAM, one), world.watch(STREAM, one)]
    refused = world.ask("GET", STREAM, one)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_streams")
    open_ones.append(world.watch(STREAM, other))
    full = world.ask("GET", STREAM, other)
    assert (full.status_code, full.json()["code"]) == (503, "overloaded")
    assert {refused.headers["retry-after"], full.headers["retry-after"]} == {"2"}
    reached = world.reached
    assert reached == 3
    open_ones[0].close()
    until(lambda: len(world.audience._subscriptions) == 2)
    open_ones.append(world.watch(STREAM, one))
    assert open_ones[-1].status == 200
    for watching in open_ones[1:]:
        watching.close()
    until(lambda: not world.audience._subscriptions)
    until(lambda: not world.audience._by_token)
    until(lambda: not world.audience._of_ticket)


def test_streams_take_no_place_of_requests(stage: Any, memory: Any, watch: Callable[..., Any]) -> None:
    world = stage.open(memory, in_flight=1)
    watch(STREAM, in_world=world)
    watch(STREAM, in_world=world)
    assert world.ask("GET", f"/v1/tickets/{TICKET}", world.token()).status_code == 200


def test_a_revoked_token_ends_its_stream(stage: Any, memory: Any, until: Until) -> None:
    world = stage.open(memory, live={"confirm_seconds": 0.05})
    text = world.token("operator")
    (token,) = memory.every()
    seen = world.watch(STREAM, text)
    until(lambda: len(world.tickets.received) > 2)
    assert not seen.ended
    memory.kept[token.id] = type(token)(
        **{name: getattr(token, name) for name in token.__slots__} | {"revoked_at": datetime.now(UTC)}
    )
    world.clock.ahead += 10.0
    wait_ended(seen)
    until(lambda: not world.audience._subscriptions)


def test_a_right_that_ended_ends_its_stream(stage: Any, memory: Any, until: Until) -> None:
    world = stage.open(memory, live={"confirm_seconds": 0.05})
    seen = world.watch(STREAM, world.token("operator"))
    until(lambda: len(world.tickets.received) > 2)
    # Nobody can say: the stream goes on for a while.
    world.tickets.status = 503
    asked = len(world.tickets.received)
    until(lambda: len(world.tickets.received) > asked + 1)
    assert not seen.ended
    world.tickets.status = 404
    wait_ended(seen)


def test_a_stream_that_nobody_can_vouch_for_ends(
    stage: Any, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskline_gateway.api.live_views.TRUST_SECONDS", 0.2)
    world = stage.open(memory, live={"confirm_seconds": 0.05})
    seen = world.watch(STREAM, world.token("operator"))
    world.tickets.status = 503
    wait_ended(seen)


def test_a_lost_role_ends_the_stream(stage: Any, memory: Any) -> None:
    world = stage.open(memory, live={"confirm_seconds": 0.05})
    text = world.token("operator")
    (token,) = memory.every()
    seen = world.watch(STREAM, text)
    memory.kept[token.id] = type(token)(
        **{name: getattr(token, name) for name in token.__slots__} | {"roles": frozenset({"analyst"})}
    )
    world.clock.ahead += 10.0
    wait_ended(seen)


def test_streams_end_at_once_when_the_process_stops(world: Any, watch: Callable[..., Any]) -> None:
    seen = watch(STREAM)
    world.gateway.call(world.audience.close)
    wait_ended(seen)
    answer = world.ask("GET", STREAM, world.token())
    assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")


def test_header_injection_by_server_sent_events(world: Any, watch: Callable[..., Any]) -> None:
    """Nothing that is told can end its line: neither a type nor what the reader sent."""
    seen = watch(STREAM)
    tell(world, TICKET, 8, "x\n\nevent: forged\ndata: {}\r\rid: 9")
    tell(world, TICKET, 9, "Last")
    seen.until("Last")
    assert [kind for kind, _ in seen.events] == ["ready", "message", "message"]
    assert "\r" not in seen.text
