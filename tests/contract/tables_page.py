"""The page of tables: what analysts read, column by column, and one line for every table of every service.

`make docs` writes it from the comments of freshly migrated databases, a test compares it.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import psycopg

from deskline_chassis.migrate import migrate
from deskline_local.stack import Stack
from deskline_local.testing import session_stack

PAGE: Final = Path(__file__).parents[2] / "docs" / "tables.md"
SERVICES: Final = ("intake", "tickets", "routing", "sla", "notify", "analytics", "gateway")
# In the order in which one gets to know them.
VIEWS: Final = (
    "tickets",
    "ticket_events",
    "flow",
    "sla_outcomes",
    "routing_decisions",
    "operator_load",
    "notifications",
    "operators",
    "teams",
    "queues",
    "lines",
    "freshness",
)
TYPES: Final = {"timestamp with time zone": "timestamptz", "double precision": "float8"}
COMMENT: Final = re.compile(
    r"(?P<meaning>.+?)\."
    r"(?: Unit: (?P<unit>.+?)\.)?"
    r"(?: Null: (?P<null>.+?)\.)?"
    r" From (?P<source>[a-z]+: .+)\."
)
BAR: Final = "\\|"
HEAD: Final = """\
# Tables

Written by `make docs` from the comments in the databases. First the views that analysts read through the role
`analytics_readonly`, complete; then every table of every service, a line each.

How to connect, how fresh the views are, and ten worked questions: [for analysts](guides/analyse.md).
A moment is stored in UTC and shown in the session's time zone. *Fed by* names the owner and its events;
`all` stands for every event of that owner that analytics reads. An array or JSON list of nothing is empty and
not null.
"""
TABLES_HEAD: Final = """\
## Every table of every service

Truth is the only copy of a fact; a read model can be dropped and made anew from events
([ADR 0009](adr/0009-truth-and-read-models.md)). Only the service itself reads its tables.
"""
UNFIT: Final = "has no comment of the form `Meaning. Unit: … . Null: … . From owner: Event, Event.`"

Connection = psycopg.Connection[tuple[Any, ...]]


class UnfitCommentError(Exception):
    """A view, column or table without a comment, or with one that the page can't be made of."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a view, with the parts of its comment."""

    name: str
    type: str
    meaning: str
    unit: str | None
    null: str | None
    source: str


@dataclass(frozen=True, slots=True)
class View:
    """A view of the schema `analyst`."""

    name: str
    about: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a service; `kind` is the beginning of its comment."""

    name: str
    kind: str
    about: str


def described(name: str, type_name: str, comment: str | None) -> Column:
    """The column by its comment; raises UnfitCommentError."""
    found = COMMENT.fullmatch(comment or "")
    if found is None:
        raise UnfitCommentError(f"analyst.{name} {UNFIT}")
    meaning, unit, null, source = found.group("meaning", "unit", "null", "source")
    if unit is None and type_name == "timestamp with time zone":
        unit = "moment"
    shown = TYPES.get(type_name, type_name)
    return Column(name.partition(".")[2], shown, meaning, unit, null, source)


def read_views(connection: Connection) -> tuple[View, ...]:
    """What analysts may read, in the page's order; raises UnfitCommentError."""
    columns: dict[str, list[Column]] = {}
    abouts: dict[str, str | None] = {}
    for view, about, column, type_name, comment in connection.execute(
        "SELECT c.relname, obj_description(c.oid), a.attname, format_type(a.atttypid, a.atttypmod),"
        " col_description(c.oid, a.attnum) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " WHERE c.relnamespace = 'analyst'::regnamespace ORDER BY 1, a.attnum"
    ):
        abouts[view] = about
        columns.setdefault(view, []).append(described(f"{view}.{column}", type_name, comment))
    if unknown := set(columns) ^ set(VIEWS):
        raise UnfitCommentError(f"the page does not say where these views belong: {sorted(unknown)}")
    return tuple(View(name, _told(name, abouts[name]), tuple(columns[name])) for name in VIEWS)


def read_tables(connection: Connection) -> tuple[Table, ...]:
    """Every table of a service's database; raises UnfitCommentError."""
    rows = connection.execute(
        "SELECT c.relname, obj_description(c.oid) FROM pg_class c"
        " WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace"
        " AND c.relname <> 'alembic_version' ORDER BY 1"
    )
    told = ((name, _told(name, comment).partition(": ")) for name, comment in rows)
    return tuple(Table(name, kind, about) for name, (kind, _, about) in told)


def _told(name: str, comment: str | None) -> str:
    if not comment:
        raise UnfitCommentError(f"{name} has no comment")
    return comment


def page(stack: Stack) -> str:
    """The whole page, from databases that are made for it and dropped; raises UnfitCommentError."""
    views: tuple[View, ...] = ()
    tables: dict[str, tuple[Table, ...]] = {}
    for service in SERVICES:
        with migrated(stack, service) as connection:
            tables[service] = read_tables(connection)
            if service == "analytics":
                views = read_views(connection)
    common = frozenset(tables[SERVICES[0]]).intersection(*tables.values())
    own = {service: [table for table in tables[service] if table not in common] for service in SERVICES}
    everywhere = sorted(common, key=lambda table: table.name)
    parts = [HEAD, *map(view_part, views), TABLES_HEAD, tables_part("Every service", everywhere)]
    parts += [tables_part(service, own[service]) for service in SERVICES]
    return "\n".join(parts)


@contextmanager
def migrated(stack: Stack, service: str) -> Iterator[Connection]:
    """A service's database in its newest form, dropped afterwards."""
    name = f"page_{service}_{uuid4().hex[:8]}"
    place = stack.create_service_database(service, name)
    try:
        package = import_module(f"deskline_{service}").__name__
        migrate(place.owner_url, package, f"{name}_runtime", f"{name}_readonly")
        with psycopg.connect(place.owner_url, autocommit=True) as connection:
            yield connection
    finally:
        stack.drop_service_database(service, name)


def view_part(view: View) -> str:
    """A view's heading and its table of columns."""
    lines = [f"## analyst.{view.name}", "", f"{view.about}.", ""]
    lines += ["| column | type | unit | what it is | null | fed by |", "|---|---|---|---|---|---|"]
    for column in view.columns:
        null = "never" if column.null is None else column.null
        cells = (f"`{column.name}`", column.type, column.unit or "", column.meaning, null, column.source)
        lines.append(f"| {' | '.join(cell.replace('|', BAR) for cell in cells)} |")
    return "\n".join([*lines, ""])


def tables_part(title: str, tables: Iterable[Table]) -> str:
    """A service's heading and one line a table."""
    lines = [f"### {title}", "", "| table | kind | what it holds |", "|---|---|---|"]
    lines += [f"| `{table.name}` | {table.kind} | {table.about.replace('|', BAR)} |" for table in tables]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    text = page(session_stack())
    PAGE.write_text(text)
    sys.stdout.write(f"wrote {PAGE.relative_to(PAGE.parents[1])}\n")
