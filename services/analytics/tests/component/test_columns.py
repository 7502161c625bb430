"""What the comments say of sources and of nulls is what happens when events are applied one by one."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import psycopg
import pytest
from services.analytics.tests.dated import Dated
from services.analytics.tests.read_models import ReadModels, read_models

from deskline_analytics.consumer import OWNERS
from deskline_analytics.domain import projecting
from deskline_events.catalog import CATALOG
from deskline_local.stack import Stack

pytestmark = pytest.mark.component

KEYS = {
    "tickets": 1,
    "ticket_events": 2,
    "flow": 2,
    "lines": 1,
    "freshness": 1,
    "operators": 1,
    "teams": 1,
    "queues": 1,
    "routing_decisions": 1,
    "sla_outcomes": 3,
    "operator_load": 2,
    "notifications": 1,
}
"""View → how many of its first columns make a row's key; sla_outcomes by ticket, clock and cycle."""

JOINED = {("flow", "line_name"), ("flow", "channel"), ("sla_outcomes", "stage")}
"""Looked up in another table: whoever makes the row tells nothing of them."""
BEGINNINGS: tuple[Any, ...] = (None, 0, False, [], {})
"""What a column of a new row holds that nobody has told of yet."""

Column = tuple[str, str]
Source = tuple[str, str]
Connection = psycopg.Connection[tuple[Any, ...]]


def comments(readonly: Connection) -> dict[Column, str]:
    rows = readonly.execute(
        "SELECT c.relname, a.attname, col_description(c.oid, a.attnum) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
        " WHERE c.relnamespace = 'analyst'::regnamespace ORDER BY 1, a.attnum"
    ).fetchall()
    return {(view, column): comment for view, column, comment in rows}


def sources(comment: str) -> set[Source]:
    (told,) = re.findall(r" From ([a-z]+: .*)\.$", comment)
    return {
        (owner, event)
        for owner, _, events in (part.partition(": ") for part in told.split("; "))
        for event in events.split(", ")
    }


def covers(declared: Iterable[Source], source: Source) -> bool:
    return source in declared or (source[0], "all") in declared


def rows_of(readonly: Connection) -> dict[str, dict[tuple[Any, ...], dict[str, Any]]]:
    shown: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for view, width in KEYS.items():
        rows = readonly.execute(f"SELECT row_to_json(v) FROM analyst.{view} v").fetchall()
        shown[view] = {tuple(list(row.values())[:width]): row for (row,) in rows}
    return shown


def moved(view: str, before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    """Columns that an event changed."""
    if before is None:
        return [
            name for name, value in after.items() if value not in BEGINNINGS and (view, name) not in JOINED
        ]
    return [name for name, value in after.items() if before[name] != value]


@pytest.fixture(scope="module")
def models(stack: Stack) -> Iterator[ReadModels]:
    with read_models(stack) as made:
        yield made


@pytest.fixture(scope="module")
def readonly(models: ReadModels) -> Iterator[Connection]:
    with psycopg.connect(models.database.readonly_url, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def observed(models: ReadModels, readonly: Connection) -> dict[Column, set[Source]]:
    """Column → the events that changed it, where each is applied alone."""
    found: dict[Column, set[Source]] = defaultdict(set)
    story, before = Dated(seed=12).live(tickets=8, events=400), rows_of(readonly)
    for envelope, fact in story.events():
        models.tell([(envelope, fact)])
        after = rows_of(readonly)
        for view, rows in after.items():
            for key, row in rows.items():
                if before[view].get(key) != row:
                    for column in moved(view, before[view].get(key), row):
                        found[view, column].add((envelope.owner, type(fact).__name__))
        before = after
    return found


def test_every_comment_names_events_that_are_read(readonly: Connection) -> None:
    read = {(CATALOG[kind].owner, CATALOG[kind].model.__name__) for kind in projecting.types()}
    read |= {(owner, "all") for owner in OWNERS}
    found = comments(readonly)
    assert {view for view, _ in found} == set(KEYS)
    for column, comment in found.items():
        assert sources(comment) <= read, column


def test_a_column_changes_by_the_events_that_its_comment_names(
    readonly: Connection, observed: dict[Column, set[Source]]
) -> None:
    undeclared = {
        (column, source)
        for column, comment in comments(readonly).items()
        for source in observed[column]
        if not covers(sources(comment), source)
    }
    assert sorted(undeclared) == []


def test_a_column_is_null_only_where_its_comment_says_so(
    readonly: Connection, observed: dict[Column, set[Source]]
) -> None:
    assert observed
    nulls: dict[Column, bool] = {}
    for view, column in comments(readonly):
        found = readonly.execute(f"SELECT FROM analyst.{view} WHERE {column} IS NULL LIMIT 1")
        nulls[view, column] = found.fetchone() is not None
    wrong = {
        column for column, comment in comments(readonly).items() if nulls[column] and " Null: " not in comment
    }
    assert sorted(wrong) == []
