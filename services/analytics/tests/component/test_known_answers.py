"""A small history whose answers anybody can count on their fingers, asked as the guide's questions."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from services.analytics.tests.dated import Dated
from services.analytics.tests.read_models import read_models
from services.analytics.tests.recount import MOSCOW, Row

from deskline_local.stack import Stack

pytestmark = pytest.mark.component

FOLDER = Path(__file__).parents[4] / "docs" / "guides" / "analyse"
SECOND = timedelta(seconds=1)
HOUR = timedelta(hours=1)


class Tale(Dated):
    """Ten days ago, at noon of Moscow, and what followed; each moment is exact."""

    def plan(self) -> "Tale":
        today = datetime.now(UTC).astimezone(MOSCOW).replace(hour=0, minute=0, second=0, microsecond=0)
        self.noon = today - timedelta(days=10) + 12 * HOUR
        self.at(self.noon - timedelta(days=90)).staff()
        self.answered()
        self.answered_soon()
        self.given_up()
        self.asked_by_a_machine()
        for place in ("not_routed", "in_queue", "nobody_available", "offered", "with_operator"):
            self.breached(place)
        self.at_midnight(today - timedelta(days=2))
        return self

    def when(self, moment: datetime) -> "Tale":
        """What is told next is recorded at this moment."""
        self.at(moment - SECOND)
        return self

    def answered(self) -> None:
        """Answered after 90 minutes, resolved, reopened within the week, and again after more than a week."""
        ticket_id = self.when(self.noon - timedelta(days=15)).open()
        asked = self.tickets[ticket_id].message.received_at
        self.enqueue(ticket_id)
        self.when(asked + 1.5 * HOUR).answer(ticket_id)
        self.when(asked + 2 * HOUR).move(ticket_id, "resolved")
        self.when(asked + 50 * HOUR).move(ticket_id, "in_progress")
        self.when(asked + 51 * HOUR).move(ticket_id, "resolved")
        self.when(asked + 51 * HOUR + timedelta(days=8)).move(ticket_id, "in_progress")

    def answered_soon(self) -> None:
        ticket_id = self.when(self.noon).open()
        self.enqueue(ticket_id)
        self.when(self.tickets[ticket_id].message.received_at + 0.5 * HOUR).answer(ticket_id)

    def given_up(self) -> None:
        """Resolved without an answer: nobody waits there any more."""
        ticket_id = self.when(self.noon - 24 * HOUR).open()
        self.move(ticket_id, "resolved")

    def asked_by_a_machine(self) -> None:
        """We answered a machine; the person who wrote later was never the one who waited."""
        ticket_id = self.when(self.noon).open(kind="auto_reply")
        self.enqueue(ticket_id)
        self.answer(ticket_id)
        self.reply(ticket_id)

    def breached(self, place: str) -> None:
        ticket_id = self.when(self.noon).open()
        due = self.tickets[ticket_id].message.received_at + HOUR
        self.start_clock(ticket_id, "first_response", due=due)
        if place != "not_routed":
            self.enqueue(ticket_id, 1)
        if place == "nobody_available":
            self.nobody(ticket_id)
        if place in {"offered", "with_operator"}:
            self.offer(ticket_id)
        if place == "with_operator":
            self.accept(ticket_id)
        self.when(due + SECOND).tick(ticket_id, "breach")
        # What comes after the moment doesn't count.
        if place == "offered":
            self.accept(ticket_id)
        if place == "with_operator":
            self.unassign(ticket_id, "given_back")
            self.recalculate(ticket_id, ("first_response", 1), due + 7 * HOUR)

    def at_midnight(self, midnight: datetime) -> None:
        """Two messages in Moscow's new day, on what is still the old one in UTC."""
        self.midnight = midnight
        for _ in range(2):
            self.when(midnight).open()


@pytest.fixture(scope="module")
def tale() -> Tale:
    return Tale(seed=3).plan()


@pytest.fixture(scope="module")
def readonly(stack: Stack, tale: Tale) -> Iterator[psycopg.Connection[Row]]:
    with read_models(stack) as models:
        models.tell(tale.events())
        with psycopg.connect(models.database.readonly_url, row_factory=dict_row) as connection:
            yield connection


def ask(readonly: psycopg.Connection[Row], question: str) -> list[Row]:
    return readonly.execute((FOLDER / f"{question}.sql").read_bytes()).fetchall()


def shown(rows: list[Row], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in rows]


def test_a_message_belongs_to_moscows_day(readonly: psycopg.Connection[Row], tale: Tale) -> None:
    rows = [row for row in ask(readonly, "01_volume") if row["day"] >= tale.midnight.date() - timedelta(1)]
    assert {row["day"] for row in rows} == {tale.midnight.date()}
    assert (sum(row["received"] for row in rows), sum(row["opened"] for row in rows)) == (2, 2)


def test_who_waited_for_the_first_answer(readonly: psycopg.Connection[Row], tale: Tale) -> None:
    rows = ask(readonly, "03_first_response")
    found = shown(rows, "queue", "answered", "median_hours", "p90_hours", "unanswered")
    assert found == [
        ("first", 2, 1.0, pytest.approx(1.4), 0),
        ("second", 0, None, None, 4),
        (None, 0, None, None, 4),
    ]
    # Within the minutes that a message takes to be written.
    waited = (datetime.now(UTC) - tale.noon) / HOUR
    assert waited - 1 <= rows[2]["oldest_waiting_hours"] <= waited


def test_where_tickets_stood_when_they_were_late(readonly: psycopg.Connection[Row]) -> None:
    found = shown(ask(readonly, "05_breaches"), "clock", "queue", "stood", "breaches")
    assert sorted(found, key=str) == [
        ("first_response", "second", "in_queue", 1),
        ("first_response", "second", "nobody_available", 1),
        ("first_response", "second", "offered", 1),
        ("first_response", "second", "with_operator", 1),
        ("first_response", None, "not_routed", 1),
    ]


def test_what_came_back_within_a_week(readonly: psycopg.Connection[Row]) -> None:
    rows = ask(readonly, "07_reopenings")
    assert sum(row["resolved"] for row in rows) == 3
    assert sum(row["reopened"] for row in rows) == 1
    assert [row["median_hours_until"] for row in rows if row["reopened"]] == [48.0]


def test_how_long_stages_last(readonly: psycopg.Connection[Row]) -> None:
    found = {row["stage"]: row for row in ask(readonly, "09_stages")}
    assert (found["in_progress"]["ended"], found["in_progress"]["lasting"]) == (1, 1)
    assert found["in_progress"]["median_hours"] == 1.0
    assert found["resolved"]["hours_in_all"] == 48.0 + 8 * 24
    assert found["new"]["lasting"] == 9


def test_what_is_open_and_late(readonly: psycopg.Connection[Row]) -> None:
    rows = ask(readonly, "06_backlog")
    found = {(row["queue"], row["age"]): row for row in rows}
    late = found["second", "4: 7 to 30 days"]
    assert (late["tickets"], late["overdue"], late["with_nobody"], late["our_turn"]) == (4, 4, 3, 4)
    assert sum(row["tickets"] for row in rows) == 10
