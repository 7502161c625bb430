"""HTTP: probes, one shape for every error, limits, spans by template, and a server that ends well."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import psycopg
import psycopg_pool
import pytest
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from deskline_chassis.http import Problem, create_app, serve_http
from deskline_chassis.loops import Beat, FatalLoopError
from deskline_chassis.runtime import Runtime
from deskline_chassis.telemetry import configure_tracing, shutdown_tracing
from deskline_local.ports import choose

Lines = Callable[[], list[dict[str, Any]]]

pytestmark = pytest.mark.unit

CANARY = "canary-7b1e"
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Planet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    moons: int


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


async def idle(beat: Beat, stop: asyncio.Event) -> None:
    await stop.wait()


class World:
    """A small application, its clock and its beat."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.runtime = Runtime("planets", clock=self.clock)
        self.beat = self.runtime.add("orbit", idle)
        self.app = create_app("planets", "1", self.runtime, body_limit=100, **settings)
        self._add_routes()

    def _add_routes(self) -> None:
        app = self.app
        router = APIRouter(prefix="/planets")
        failures = {
            "text": ValueError(CANARY),
            "operational": psycopg.OperationalError(CANARY),
            "pool": psycopg_pool.PoolTimeout(CANARY),
            "problem": Problem(
                409, "orbit_taken", "The orbit is taken", "by Mars", headers={"X-Orbit": "4"}, orbit=4
            ),
        }

        @router.post("/{planet_id}")
        async def change(planet_id: UUID, planet: Planet) -> dict[str, str]:
            return {"name": planet.name}

        @router.get("/fail/{how}")
        async def fail(how: str) -> None:
            raise failures[how]

        @app.post("/raw")
        async def raw(request: Request) -> dict[str, int]:
            return {"bytes": len(await request.body())}

        @app.get("/broken-stream")
        async def broken_stream() -> StreamingResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"half"
                raise ValueError(CANARY)

            return StreamingResponse(parts())

        @app.post("/uploads/file")
        async def upload(request: Request) -> dict[str, int]:
            return {"bytes": len(await request.body())}

        app.include_router(router)

    def ask(self, method: str, path: str, **settings: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://planets") as client:
                return await client.request(method, path, **settings)

        return asyncio.run(call())


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert answer.headers["content-type"] == "application/problem+json"
    assert (answer.status_code, body["status"], body["code"]) == (status, status, code)
    assert body["type"] == f"urn:deskline:problem:{code}"
    assert body["title"]
    assert CANARY not in answer.text
    return body


def test_readiness_names_the_red_loops_and_liveness_stays() -> None:
    world = World()
    assert problem(world.ask("GET", "/readyz"), 503, "not_ready")["loops"] == {"orbit": "starting"}
    world.beat.progress()
    assert world.ask("GET", "/readyz").json() == {"status": "ready"}
    world.beat.red("database: OperationalError")
    assert world.ask("GET", "/readyz").status_code == 503
    assert world.ask("GET", "/healthz").json() == {"status": "live"}
    world.clock.now += 61
    problem(world.ask("GET", "/healthz"), 503, "not_live")


def test_figures_are_served() -> None:
    answer = World().ask("GET", "/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    assert 'deskline_loop_red{loop="orbit"} 1.0' in answer.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json", f"/{CANARY}"])
def test_unknown_route_is_a_problem_and_pages_are_off(path: str) -> None:
    problem(World().ask("GET", path), 404, "not_found")


def test_schema_is_there_in_process_without_the_probes() -> None:
    assert set(World().app.openapi()["paths"]) == {
        "/planets/{planet_id}",
        "/planets/fail/{how}",
        "/broken-stream",
        "/raw",
        "/uploads/file",
    }


def test_unknown_method_is_a_problem_with_allow() -> None:
    answer = World().ask("DELETE", "/raw")
    problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


def test_problem_keeps_detail_members_and_headers() -> None:
    answer = World().ask("GET", "/planets/fail/problem")
    assert problem(answer, 409, "orbit_taken") == {
        "type": "urn:deskline:problem:orbit_taken",
        "title": "The orbit is taken",
        "status": 409,
        "code": "orbit_taken",
        "detail": "by Mars",
        "orbit": 4,
    }
    assert answer.headers["x-orbit"] == "4"


def test_invalid_request_names_fields_and_never_their_values() -> None:
    answer = World().ask("POST", f"/planets/{CANARY}", json={"moons": CANARY})
    errors = problem(answer, 422, "invalid_request")["errors"]
    assert {error["field"]: error["message"] for error in errors} == {
        "path.planet_id": "Input should be a valid UUID",
        "body.name": "Field required",
        "body.moons": "Input should be a valid integer",
    }


def test_body_that_is_no_json_is_a_problem() -> None:
    headers = {"content-type": "application/json"}
    answer = World().ask("POST", f"/planets/{UUID(int=7)}", content=f'{{"{CANARY}', headers=headers)
    problem(answer, 422, "invalid_request")


def test_unexpected_failure_is_a_problem_without_text_and_is_logged_with_its_template(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = World().ask("GET", "/planets/fail/text")
    assert "detail" not in problem(answer, 500, "internal_error")
    assert "/planets/fail/{how}" in capsys.readouterr().out


def test_answer_that_breaks_midway_is_broken_off_and_not_begun_anew() -> None:
    with pytest.raises(ValueError, match=CANARY):
        World().ask("GET", "/broken-stream")


@pytest.mark.parametrize("how", ["operational", "pool"])
def test_database_away_is_503_with_retry_after(how: str) -> None:
    answer = World().ask("GET", f"/planets/fail/{how}")
    problem(answer, 503, "database_unavailable")
    assert int(answer.headers["retry-after"]) > 0


async def chunks(count: int) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield b"x" * 10


def test_body_over_the_limit_is_refused_by_its_declared_length() -> None:
    answer = World().ask("POST", "/raw", content=b"x" * 101)
    assert problem(answer, 413, "body_too_large")["limit_bytes"] == 100
    assert World().ask("POST", "/raw", content=b"x" * 100).json() == {"bytes": 100}


@pytest.mark.parametrize("path", ["/raw", f"/planets/{UUID(int=7)}"])
def test_chunked_body_over_the_limit_is_refused_as_it_comes(path: str) -> None:
    headers = {"content-type": "application/json"}
    problem(World().ask("POST", path, content=chunks(11), headers=headers), 413, "body_too_large")
    assert World().ask("POST", "/raw", content=chunks(10)).json() == {"bytes": 100}


@pytest.mark.parametrize("length", ["-1", "x", "9" * 5000, ""])
def test_hostile_length_is_refused(length: str) -> None:
    problem(World().ask("POST", "/raw", headers={"content-length": length}), 413, "body_too_large")


def test_uploads_may_have_a_limit_of_their_own() -> None:
    world = World(body_limits={"/uploads/": 1000})
    assert world.ask("POST", "/uploads/file", content=b"x" * 1000).json() == {"bytes": 1000}
    assert world.ask("POST", "/uploads/file", content=b"x" * 1001).status_code == 413


@pytest.fixture
def spans(tmp_path: Path) -> Iterator[Lines]:
    path = tmp_path / "spans.jsonl"
    configure_tracing("planets", 1.0, path)

    def read() -> list[dict[str, Any]]:
        shutdown_tracing()
        text = path.read_text()
        assert CANARY not in text
        return [json.loads(line) for line in text.splitlines()]

    yield read
    shutdown_tracing()


def test_span_is_named_by_the_template_and_holds_no_path_or_query(spans: Lines) -> None:
    world = World()
    world.ask("GET", f"/planets/fail/problem?who={CANARY}")
    world.ask("GET", f"/{CANARY}")
    world.ask(CANARY, "/raw")
    world.ask("GET", "/healthz")
    known, unknown, method = spans()
    assert known["name"] == "GET /planets/fail/{how}"
    assert known["attributes"] == {
        "http_method": "GET",
        "http_route": "/planets/fail/{how}",
        "http_status": 409,
    }
    assert (unknown["name"], unknown["attributes"]["http_status"]) == ("GET unmatched", 404)
    assert method["name"] == "OTHER /raw"


def test_outsiders_traceparent_is_not_trusted(spans: Lines) -> None:
    World().ask("POST", "/raw", headers={"traceparent": SAMPLED})
    (span,) = spans()
    assert span["parent_id"] is None
    assert span["trace_id"] != SAMPLED[3:35]


def test_gateways_traceparent_is_followed(spans: Lines) -> None:
    World(trust_traceparent=True).ask("POST", "/raw", headers={"traceparent": SAMPLED})
    (span,) = spans()
    assert (span["trace_id"], span["parent_id"]) == (SAMPLED[3:35], SAMPLED[36:52])


def test_server_answers_beats_and_ends_when_told() -> None:
    async def scenario() -> tuple[int, bool, str | None]:
        world, port = World(), choose()
        beat, stop = Beat(), asyncio.Event()
        serving = asyncio.ensure_future(serve_http(world.app, "127.0.0.1", port)(beat, stop))
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            await asyncio.sleep(0)
            answer = await client.post("/raw", content=chunks(11))
        stop.set()
        await asyncio.wait_for(serving, 8)
        return answer.status_code, "server" in answer.headers, beat.reason

    assert asyncio.run(scenario()) == (413, False, None)


def test_taken_port_ends_the_process_with_2_and_one_clear_line() -> None:
    async def scenario(port: int) -> FatalLoopError:
        with pytest.raises(FatalLoopError) as fatal:
            await serve_http(World().app, "127.0.0.1", port)(Beat(), asyncio.Event())
        return fatal.value

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        fatal = asyncio.run(scenario(port))
    assert fatal.exit_code == 2
    assert str(fatal) == f"can't listen on 127.0.0.1 port {port}: Address already in use"


def test_host_that_is_none_ends_the_process_with_2() -> None:
    async def scenario() -> int:
        with pytest.raises(FatalLoopError) as fatal:
            await serve_http(World().app, "300.0.0.1", 0)(Beat(), asyncio.Event())
        return fatal.value.exit_code

    assert asyncio.run(scenario()) == 2
