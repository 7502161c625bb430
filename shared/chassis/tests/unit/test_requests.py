"""Requests: what their headers, queries and bodies may be, and in which language the refusal is told."""

import asyncio
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import Depends, FastAPI, Query

from deskline_chassis.bodies import Body
from deskline_chassis.cursors import read_cursor
from deskline_chassis.http import create_app
from deskline_chassis.requests import (
    PageQuery,
    etag,
    idempotency_key,
    no_query,
    required_version,
    speaks_russian,
    stated_version,
    stated_version_or_zero,
)
from deskline_chassis.runtime import Runtime

pytestmark = pytest.mark.unit

CANARY = "canary-7b1e"
RUSSIAN = {"Accept-Language": "ru"}


class Planet(Body):
    moons: int


class Door:
    """A small application that is asked as from outside."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def get(self, path: str, **settings: Any) -> httpx.Response:
        return self._ask("GET", path, settings)

    def post(self, path: str, **settings: Any) -> httpx.Response:
        return self._ask("POST", path, settings)

    def _ask(self, method: str, path: str, settings: dict[str, Any]) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://desk") as client:
                return await client.request(method, path, **settings)

        return asyncio.run(call())


@pytest.fixture(scope="module")
def door() -> Door:
    app = create_app("desk", "1", Runtime("desk"))

    @app.post("/stated", dependencies=[Depends(no_query)])
    def stated(version: Annotated[int | None, Depends(stated_version)]) -> Any:
        return version

    @app.post("/stated-or-zero")
    def stated_or_zero(version: Annotated[int | None, Depends(stated_version_or_zero)]) -> Any:
        return version

    @app.post("/required")
    def required(version: Annotated[int, Depends(required_version)]) -> Any:
        return version

    @app.post("/keyed")
    def keyed(key: Annotated[str, Depends(idempotency_key)]) -> Any:
        return key

    @app.post("/planets")
    def planets(planet: Planet) -> Any:
        return planet

    @app.get("/page")
    def page(asked: Annotated[PageQuery, Query()]) -> Any:
        return asked.limit if asked.cursor is None else str(read_cursor("page", asked.cursor, UUID)[0])

    return Door(app)


def refused(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["Content-Type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize(
    ("header", "russian"),
    [
        (None, False),
        ("", False),
        ("ru", True),
        ("ru-RU,ru;q=0.9,en;q=0.5", True),
        ("en, ru;q=0.9", False),
        ("en;q=0.3, RU;q=0.4", True),
        ("de, ru;q=0.1", True),
        ("ru;q=zero", False),
        ("*", False),
        (";;,=,q", False),
    ],
)
def test_russian_is_spoken_to_whoever_prefers_it(header: str | None, russian: bool) -> None:
    assert speaks_russian(header) is russian


@pytest.mark.parametrize("path", ["/stated", "/stated-or-zero", "/required"])
def test_a_version_is_read_as_it_was_given(door: Door, path: str) -> None:
    for version in (1, 7, 10**18 - 1):
        answer = door.post(path, headers={"If-Match": f" {etag(version)} "})
        assert answer.json() == version


WRONG_VERSIONS = ["*", "1", 'W/"1"', '"01"', '"-1"', '"1", "2"', '"x"', "", '"1000000000000000000"', '"٣"']


@pytest.mark.parametrize("header", WRONG_VERSIONS)
@pytest.mark.parametrize("path", ["/stated", "/stated-or-zero", "/required"])
def test_what_names_no_version_is_refused(door: Door, path: str, header: str) -> None:
    answer = door.post(path, headers={"If-Match": header.encode()})
    assert refused(answer) == (400, "if_match_malformed")


def test_one_version_is_named_and_not_two(door: Door) -> None:
    twice = door.post("/stated", headers=[("If-Match", '"1"'), ("If-Match", '"1"')])
    assert refused(twice) == (400, "if_match_malformed")


def test_zero_is_a_version_only_of_what_nobody_wrote(door: Door) -> None:
    header = {"If-Match": etag(0)}
    assert door.post("/stated-or-zero", headers=header).json() == 0
    for path in ("/stated", "/required"):
        assert refused(door.post(path, headers=header)) == (400, "if_match_malformed")


def test_no_version_is_none_or_refused_where_one_is_needed(door: Door) -> None:
    for path in ("/stated", "/stated-or-zero"):
        assert door.post(path).json() is None
    assert refused(door.post("/required")) == (428, "if_match_required")


@pytest.mark.parametrize("key", ["a", "x" * 200, "!~"])
def test_a_key_is_read(door: Door, key: str) -> None:
    assert door.post("/keyed", headers={"Idempotency-Key": key}).json() == key


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "ключ"])
def test_what_is_no_key_is_refused(door: Door, key: str) -> None:
    answer = door.post("/keyed", headers={"Idempotency-Key": key.encode()})
    assert refused(answer) == (400, "idempotency_key_required")


def test_one_key_is_given_and_not_two(door: Door) -> None:
    twice = door.post("/keyed", headers=[("Idempotency-Key", "a"), ("Idempotency-Key", "b")])
    assert refused(twice) == refused(door.post("/keyed")) == (400, "idempotency_key_required")


@pytest.mark.parametrize(
    ("path", "header", "titles"),
    [
        ("/stated", {"If-Match": "*"}, ("If-Match names no version", "If-Match не содержит версии")),
        ("/required", {}, ("Say on which version this rests", "Укажите версию обращения")),
        ("/keyed", {}, ("Give the command an Idempotency-Key", "Нужен заголовок Idempotency-Key")),
    ],
)
def test_a_refusal_is_told_in_the_callers_language(
    door: Door, path: str, header: dict[str, str], titles: tuple[str, str]
) -> None:
    english = door.post(path, headers=header)
    russian = door.post(path, headers=header | RUSSIAN)
    assert (english.json()["title"], russian.json()["title"]) == titles
    assert [one.headers["Content-Language"] for one in (english, russian)] == ["en", "ru"]
    assert english.json()["detail"] != russian.json()["detail"]


def test_parameters_are_refused_where_none_are_taken(door: Door) -> None:
    answer = door.post("/stated", params={"colour": CANARY, "x" * 200: "1"})
    assert refused(answer) == (422, "invalid_request")
    assert [wrong["field"] for wrong in answer.json()["errors"]] == ["query.colour", f"query.{'x' * 100}"]
    assert CANARY not in answer.text


def test_a_body_has_no_other_fields_and_errors_do_not_repeat_it(door: Door) -> None:
    assert door.post("/planets", json={"moons": 2}).json() == {"moons": 2}
    for wrong in ({"moons": CANARY}, {"moons": 2, "rings": CANARY}):
        answer = door.post("/planets", json=wrong)
        assert refused(answer) == (422, "invalid_request")
        assert CANARY not in answer.text
    with pytest.raises(ValueError, match="moons") as caught:
        Planet.model_validate({"moons": CANARY})
    assert CANARY not in str(caught.value)


def test_a_page_has_limits(door: Door) -> None:
    assert door.get("/page").json() == 50
    assert door.get("/page", params={"limit": 100}).json() == 100
    for wrong in ({"limit": 0}, {"limit": 101}, {"cursor": "x" * 201}, {"colour": "red"}):
        assert refused(door.get("/page", params=wrong)) == (422, "invalid_request")


def test_a_cursor_of_nobodys_is_refused_on_every_door(door: Door) -> None:
    answer = door.get("/page", params={"cursor": "x"})
    assert refused(answer) == (400, "bad_cursor")
    assert answer.json()["title"] == "The cursor is not one of ours"
    assert answer.json()["detail"] == "this cursor was given out by no page"
