"""The ten questions of docs/guides/analyse, asked as the read-only role, equal a recount from the facts."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row
from services.analytics.tests import recount, recount_of_work
from services.analytics.tests.dated import Dated
from services.analytics.tests.read_models import read_models
from services.analytics.tests.recount import Past, Row

from deskline_local.stack import Stack

pytestmark = pytest.mark.component

FOLDER = Path(__file__).parents[4] / "docs" / "guides" / "analyse"
ZONES = ("UTC", "America/St_Johns")
ASKED: dict[str, tuple[Callable[[Past], list[Row]], int]] = {
    "01_volume": (recount.volume, 30),
    "02_busiest_hours": (recount.busiest_hours, 50),
    "03_first_response": (recount.first_response, 2),
    "04_service_levels": (recount_of_work.service_levels, 6),
    "05_breaches": (recount_of_work.breaches, 8),
    "06_backlog": (recount.backlog, 6),
    "07_reopenings": (recount_of_work.reopenings, 5),
    "08_operators": (recount_of_work.operators, 4),
    "09_stages": (recount_of_work.stages, 4),
    "10_escalations": (recount_of_work.escalations, 4),
}
"""Question → its recount, and how many rows it has at least: an empty answer would prove nothing."""


@pytest.fixture(scope="module")
def story() -> Dated:
    return Dated.before(datetime.now(UTC), seed=41, tickets=140, events=1800)


@pytest.fixture(scope="module")
def readonly(stack: Stack, story: Dated) -> Iterator[psycopg.Connection[Row]]:
    with read_models(stack) as models:
        models.tell(story.events())
        with psycopg.connect(models.database.readonly_url, row_factory=dict_row) as connection:
            yield connection


def text_of(question: str) -> str:
    return (FOLDER / f"{question}.sql").read_text()


def ask(connection: psycopg.Connection[Row], question: str) -> tuple[list[Row], datetime]:
    """The answer, and the moment at which it was given."""
    with connection.transaction():
        (row,) = connection.execute("SELECT now()").fetchall()
        # As an analyst pastes it: without parameters, so that no placeholder is looked for.
        return connection.execute(text_of(question).encode()).fetchall(), row["now"].astimezone(UTC)


def plain(rows: list[Row]) -> list[Row]:
    """Decimals as floats and moments in UTC."""

    def one(value: Any) -> Any:
        if isinstance(value, datetime):
            return value.astimezone(UTC)
        return float(value) if isinstance(value, Decimal) else value

    return [{name: one(value) for name, value in row.items()} for row in rows]


def about(rows: list[Row]) -> list[Any]:
    """The same rows, where a fraction need not be equal to its last digit."""

    def one(value: Any) -> Any:
        return pytest.approx(value, rel=1e-7, abs=1e-6) if isinstance(value, float) else value

    return [{name: one(value) for name, value in row.items()} for row in plain(rows)]


def test_there_are_ten_questions() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.sql")) == sorted(ASKED)


@pytest.mark.parametrize("question", ASKED)
def test_a_question_is_asked_in_both_languages_and_needs_no_client(question: str) -> None:
    text = text_of(question)
    russian, english = text.splitlines()[:2]
    assert russian.startswith("-- ")
    assert english.startswith("-- ")
    assert any("а" <= letter <= "я" for letter in russian)
    assert english.isascii()
    assert not any(mark in text for mark in ("%", "\\", " :", "$1"))
    assert text.count(";") == 1 + sum(line.count(";") for line in text.splitlines() if line.startswith("--"))
    assert max(len(line) for line in text.splitlines()) <= 115
    guide = FOLDER.with_suffix(".md").read_text()
    assert f"(analyse/{question}.sql)" in guide
    assert russian.removeprefix("-- ") in guide or english.removeprefix("-- ") in guide


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("question", ASKED)
def test_an_answer_equals_a_recount(
    readonly: psycopg.Connection[Row], story: Dated, question: str, zone: str
) -> None:
    readonly.execute("SELECT set_config('TimeZone', %s, false)", (zone,))
    answer, now = ask(readonly, question)
    count, least = ASKED[question]
    assert plain(answer) == about(count(Past(story.events(), now)))
    assert len(answer) >= least
    for name in answer[0]:
        assert any(row[name] for row in answer), f"{name} says nothing in this story"
