"""Forms that arrive at one moment share a transaction, and each gets its own answer."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from uuid import UUID, uuid4

import psycopg
import pytest
from services.intake.tests.kit import Intake

from deskline_chassis.postgres import Database
from deskline_intake.channels.forms import MOST_WAITING, FormDoor
from deskline_intake.domain.forms import Form
from deskline_intake.domain.pressure import Pressure
from deskline_intake.domain.rates import Rate
from deskline_intake.handlers.forms import FormPost, FormRefused, Rates, take_forms
from deskline_intake.ports import StoredLine

pytestmark = pytest.mark.component

RATES = Rates(line=Rate(4, timedelta(minutes=1)), address=Rate(2, timedelta(hours=1)))


def post(line_id: UUID, key: str, address: str, text: str = "Не работает касса") -> FormPost:
    line = StoredLine(line_id, "Форма", "form", None, "ru", disabled=False, origins=())
    return FormPost(line, key, Form(address, "Касса", text), trapped=False, traceparent=None)


def told(outcomes: list[bool | FormRefused]) -> list[bool | str]:
    return [one.code if isinstance(one, FormRefused) else one for one in outcomes]


def test_each_of_a_transaction_gets_its_own_answer(intake: Intake) -> None:
    line = intake.add_form()
    anna, eva, ours = "anna@client.example", "eva@client.example", "desk@desk.example"
    intake.add_line(ours)
    posts = [
        post(line, "a", anna),
        post(line, "a", anna),
        post(line, "a", anna, "Другое"),
        post(line, "b", ours),
        post(line, "c", anna),
        post(line, "d", anna),
        post(line, "e", eva),
        post(line, "f", eva),
        post(line, "g", "ida@client.example"),
    ]
    expected = [True, False, "key_reused", "own_address", True, "too_many", True, True, "too_many"]
    with psycopg.connect(intake.database.owner_url) as connection:
        assert told(take_forms(connection, posts, RATES)) == expected
    again = [False, False, "key_reused", "own_address", False, "too_many", False, False, "too_many"]
    with psycopg.connect(intake.database.owner_url) as connection:
        assert told(take_forms(connection, posts, RATES)) == again
    assert intake.sql("SELECT count(*) FROM raw_messages") == [(4,)]


def test_the_fault_of_one_form_is_not_the_others(intake: Intake) -> None:
    line, nowhere = intake.add_form(), uuid4()
    database = Database(intake.database.runtime_url, "test")
    database.open()
    stored = threading.Event()
    door = FormDoor(database, Pressure(10.0), RATES, stored.set)

    async def send() -> list[UUID | BaseException]:
        posts = [post(line, "a", "a@client.example"), post(nowhere, "b", "b@client.example")]
        return await asyncio.gather(*(door.accept(one) for one in posts), return_exceptions=True)

    try:
        good, bad = asyncio.run(send())
    finally:
        database.close()
    assert isinstance(good, UUID)
    assert isinstance(bad, psycopg.errors.ForeignKeyViolation)
    assert stored.is_set()
    assert intake.sql("SELECT raw_id FROM raw_messages") == [(good,)]


class _Stuck(Database):
    """A database whose transactions wait until they are let go."""

    def __init__(self) -> None:
        self.go = threading.Event()

    @contextmanager
    def transaction(self) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
        assert self.go.wait(30)
        raise psycopg.OperationalError
        yield


def test_threat_flood_of_forms_is_sent_away_before_it_waits() -> None:
    """Behind a writer that does not get on, only so many wait; the others hear at once when to come again."""
    database = _Stuck()
    door = FormDoor(database, Pressure(10.0), RATES, lambda: None)
    line = uuid4()

    async def send() -> list[UUID | BaseException]:
        async def one(number: int) -> UUID:
            try:
                return await door.accept(post(line, str(number), f"p{number}@client.example"))
            except FormRefused:
                database.go.set()
                raise

        number = 2 * MOST_WAITING
        return await asyncio.gather(*(one(n) for n in range(number)), return_exceptions=True)

    answers = asyncio.run(send())
    refused = [one for one in answers if isinstance(one, FormRefused)]
    assert {(one.code, one.retry_after) for one in refused} == {("busy", 2)}
    assert len(refused) == MOST_WAITING
    assert all(isinstance(one, FormRefused | psycopg.OperationalError) for one in answers)
