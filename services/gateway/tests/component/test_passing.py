"""What the owners receive and what the caller gets back, over real HTTP on both sides."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deskline_chassis.identity import HEADER, Verifier
from deskline_chassis.metrics import REGISTRY
from deskline_chassis.telemetry import configure_tracing, shutdown_tracing

pytestmark = pytest.mark.component

TICKET = "01890a5d-ac96-774b-bcce-b302099a8057"
ACTOR = UUID("01890a5d-ac96-774b-bcce-b302099a8058")
STAGE = f"/v1/tickets/{TICKET}/stage"
CARD = f"/v1/tickets/{TICKET}"
INTERNAL = "canary-10.0.0.7-psycopg"


class Flaky:
    """A listener that hangs up on the first requests and answers the later ones."""

    def __init__(self, hang_ups: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.05)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = 0
        self._hang_ups = hang_ups
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(5)
        self._listener.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                assert connection.recv(65536)
                self.requests += 1
                if self.requests > self._hang_ups:
                    connection.sendall(
                        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"
                        b"content-length: 2\r\nconnection: close\r\n\r\n{}"
                    )


def figure(name: str) -> float:
    found = REGISTRY.get_sample_value(name)
    assert found is not None, name
    return found


def is_problem(answer: Any, status: int, code: str) -> bool:
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert len(problem["detail"]) > 20, "a sentence that helps"
    assert problem["trace_id"] == answer.headers["x-request-id"]
    assert INTERNAL not in answer.text
    return True


def test_a_command_reaches_its_owner_as_it_was_sent(world: Any) -> None:
    token = world.token("operator", "lead", actor_id=ACTOR, scope="team")
    body = '{"stage" : "resolved", "unknown": "й"}'.encode()
    world.tickets.headers |= {"etag": '"4"', "set-cookie": "a=b", "x-internal": INTERNAL}
    answer = world.ask(
        "POST",
        STAGE + "?a=%D0%B0&b=1",
        token,
        content=body,
        headers={
            "Content-Type": "application/json; charset=utf-8",
            "If-Match": '"3"',
            "Idempotency-Key": "key-1",
            "Accept-Language": "ru",
            "Cookie": "a=b",
            "X-Forwarded-For": "1.2.3.4",
        },
    )
    received = world.tickets.last
    identity = Verifier(world.public_key, "tickets").verify(
        received.headers.pop(HEADER.lower()), datetime.now(UTC)
    )
    assert (identity.actor_id, identity.roles, identity.scope) == (
        ACTOR,
        frozenset({"operator", "lead"}),
        "team",
    )
    assert (received.method, received.path, received.query, received.body) == (
        "POST",
        STAGE,
        "a=%D0%B0&b=1",
        body,
    )
    assert received.headers == {
        "host": world.owners["tickets"].url.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "identity",
        "content-length": str(len(body)),
        "content-type": "application/json; charset=utf-8",
        "if-match": '"3"',
        "idempotency-key": "key-1",
        "accept-language": "ru",
    }
    assert world.analytics.received == []
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (200, b'{"ok":true}', '"4"')
    assert "set-cookie" not in answer.headers
    assert INTERNAL not in str(answer.headers)


def test_every_answer_is_harmless_to_a_browser(world: Any) -> None:
    for answer in (world.ask("GET", "/v1/tickets", world.token()), world.ask("GET", "/v1/tickets")):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert len(answer.headers["x-request-id"]) == 32
        assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_refusal_of_the_owner_is_passed_on_with_the_trace(world: Any) -> None:
    world.tickets.status = 412
    world.tickets.headers = {"content-type": "application/problem+json", "etag": '"9"'}
    world.tickets.body = json.dumps({"status": 412, "code": "stale_version", "current": 9}).encode()
    answer = world.ask("POST", STAGE, world.token(), content=b"{}")
    assert answer.json() == {
        "status": 412,
        "code": "stale_version",
        "current": 9,
        "trace_id": answer.headers["x-request-id"],
    }
    assert (answer.status_code, answer.headers["etag"]) == (412, '"9"')
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("status", "given", "code", "retry"),
    [
        (500, {}, "owner_failed", None),
        (503, {"retry-after": "7"}, "owner_unavailable", "7"),
        (503, {"retry-after": "soon"}, "owner_unavailable", "2"),
    ],
)
def test_a_failure_of_the_owner_is_passed_on_without_its_internals(
    world: Any, status: int, given: dict[str, str], code: str, retry: str | None
) -> None:
    world.tickets.status = status
    world.tickets.headers = {"content-type": "application/problem+json"} | given
    world.tickets.body = json.dumps({"status": status, "code": "x", "detail": INTERNAL}).encode()
    answer = world.ask("POST", STAGE, world.token(), content=b"{}")
    assert is_problem(answer, status, code)
    assert answer.headers.get("retry-after") == retry
    assert len(world.tickets.received) == 1


def test_a_version_that_has_not_come_yet_is_told_as_that(world: Any) -> None:
    world.analytics.status = 503
    world.analytics.headers = {"content-type": "application/problem+json", "retry-after": "1"}
    world.analytics.body = json.dumps({"code": "version_pending", "detail": INTERNAL}).encode()
    asked = f"/v1/tickets?min_version={TICKET}:7"
    answer = world.ask("GET", asked, world.token())
    assert is_problem(answer, 503, "version_pending")
    assert answer.headers["retry-after"] == "1"
    assert world.analytics.last.query == f"min_version={TICKET}:7"


def test_a_put_reaches_its_owner_with_its_version_and_is_never_sent_again(
    stage: Any, memory: Any, flaky: Callable[[int], Flaky]
) -> None:
    broken = flaky(1)
    world = stage.open(memory, urls={"sla": broken.url})
    token, body = world.token("admin"), b'{"name": "x"}'
    world.played["routing"].headers["etag"] = '"2"'
    answer = world.ask("PUT", f"/v1/queues/{TICKET}", token, content=body, headers={"If-Match": '"1"'})
    received = world.played["routing"].last
    assert (received.method, received.body, received.headers["if-match"]) == ("PUT", body, '"1"')
    assert (answer.status_code, answer.headers["etag"]) == (200, '"2"')
    unknown = world.ask("PUT", f"/v1/policies/{TICKET}", token, content=body)
    assert is_problem(unknown, 504, "outcome_unknown")
    assert "Read what is there" in unknown.json()["detail"]
    assert broken.requests == 1


def test_an_owners_wish_to_wait_is_passed_back(world: Any) -> None:
    world.played["intake"].status = 429
    world.played["intake"].headers = {"content-type": "application/problem+json", "retry-after": "17"}
    world.played["intake"].body = b'{"status":429,"code":"too_many_forms"}'
    answer = world.ask("POST", f"/v1/lines/{TICKET}/messages", content=b"{}")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "17")


@pytest.mark.parametrize("status", [302, 307, 401, 404])
def test_what_an_owner_should_never_say_is_not_passed_on(world: Any, status: int) -> None:
    world.tickets.status = status
    world.tickets.headers = {"content-type": "text/html", "location": f"{world.owners['analytics'].url}/v1/x"}
    world.tickets.body = INTERNAL.encode()
    answer = world.ask("GET", CARD, world.token())
    assert is_problem(answer, 502, "owner_unreadable")
    assert "location" not in answer.headers
    # Nor was the redirect followed.
    assert (len(world.tickets.received), len(world.analytics.received)) == (1, 0)


def test_an_identity_that_the_owner_refuses_is_no_fault_of_the_callers_token(world: Any) -> None:
    world.tickets.status = 401
    world.tickets.headers = {"content-type": "application/problem+json"}
    world.tickets.body = b'{"status":401,"code":"identity_refused","reason":"audience"}'
    assert is_problem(world.ask("GET", CARD, world.token()), 502, "owner_unreadable")


def test_an_owner_that_is_away_is_told_and_nothing_was_done(world: Any) -> None:
    token = world.token()
    world.owners["tickets"].stop()
    for method, path in (("GET", CARD), ("POST", STAGE)):
        answer = world.ask(method, path, token)
        assert is_problem(answer, 503, "owner_unavailable")
        assert answer.headers["retry-after"] == "2"
    assert world.ask("GET", "/v1/tickets", token).status_code == 200


@pytest.fixture
def flaky() -> Iterator[Callable[[int], Flaky]]:
    made: list[Flaky] = []

    def make(hang_ups: int) -> Flaky:
        made.append(Flaky(hang_ups))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_query_is_asked_once_more_when_its_connection_broke(
    stage: Any, memory: Any, flaky: Callable[[int], Flaky]
) -> None:
    once, twice = flaky(1), flaky(2)
    world = stage.open(memory, urls={"tickets": once.url, "analytics": twice.url})
    assert world.ask("GET", CARD, world.token()).status_code == 200
    assert is_problem(world.ask("GET", "/v1/tickets", world.token()), 503, "owner_unavailable")
    assert (once.requests, twice.requests) == (2, 2)


def test_a_command_is_never_sent_again_by_the_gateway(
    stage: Any, memory: Any, flaky: Callable[[int], Flaky]
) -> None:
    broken = flaky(1)
    world = stage.open(memory, urls={"tickets": broken.url})
    answer = world.ask("POST", STAGE, world.token(), content=b"{}")
    assert is_problem(answer, 504, "outcome_unknown")
    assert "same Idempotency-Key" in answer.json()["detail"]
    assert broken.requests == 1


def test_more_requests_than_the_door_takes_are_shed_before_anything_is_done(
    stage: Any, memory: Any, until: Callable[..., None]
) -> None:
    world = stage.open(memory, in_flight=2)
    token = world.token()
    world.tickets.seconds = 1.0
    with ThreadPoolExecutor(2) as pool:
        slow = [pool.submit(world.ask, "GET", CARD, token) for _ in range(2)]
        until(lambda: len(world.tickets.received) == 2)
        before = figure("deskline_gateway_shed_total")
        shed = world.ask("GET", CARD, token)
        assert is_problem(shed, 503, "overloaded")
        assert shed.headers["retry-after"] == "1"
        russian = world.ask("GET", CARD, token, headers={"Accept-Language": "ru"})
        assert russian.json()["title"] == "Сейчас слишком много запросов"
        assert figure("deskline_gateway_shed_total") == before + 2
        # Who asks how the door fares is answered all the same.
        assert world.ask("GET", "/healthz").status_code == 200
        assert [one.result().status_code for one in slow] == [200, 200]
    assert len(world.tickets.received) == 2
    assert figure("deskline_gateway_places") == 2
    world.tickets.seconds = 0.0
    assert world.ask("GET", CARD, token).status_code == 200


OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(("sample", "flag"), [(1.0, 1), (0.0, 0)])
def test_the_trace_begins_here_and_goes_on_to_the_owner(
    world: Any, tmp_path: Path, sample: float, flag: int
) -> None:
    def written() -> list[str]:
        return (tmp_path / "spans.jsonl").read_text().splitlines()

    configure_tracing("gateway", sample, tmp_path / "spans.jsonl")
    try:
        answer = world.ask(
            "GET", CARD, world.token(), headers={"traceparent": OUTSIDE, "X-Request-Id": "theirs"}
        )
        refused = world.ask("GET", CARD)
        # A span ends after its answer has been sent: it is waited for, not looked up.
        deadline = time.monotonic() + 10
        while len(written()) < (2 if sample else 0):
            assert time.monotonic() < deadline, "both requests leave a span"
            time.sleep(0.02)
    finally:
        shutdown_tracing()
    _, trace_id, _, sampled = world.tickets.last.headers["traceparent"].split("-")
    assert trace_id == answer.headers["x-request-id"]
    assert trace_id not in OUTSIDE
    assert int(sampled, 16) & 1 == flag
    assert is_problem(refused, 401, "token_refused")
    spans = [json.loads(line) for line in written()]
    assert len(spans) == (2 if sample else 0)
    if spans:
        assert spans[0]["name"] == "GET /v1/tickets/{ticket_id}"
        assert spans[0]["trace_id"] == trace_id
