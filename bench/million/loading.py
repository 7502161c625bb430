"""One owner's store, filled by COPY: indexes away, rows of all copies in the order of days, indexes back."""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from itertools import pairwise
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from bench.million.names import TOKEN, NameMaker, Names, Recipe, prepared
from bench.million.template import SUMS, Sums, Table, Template

DAYS: Final = 300
Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """How many copies there are to be, numbered behind those that are there already."""

    first: int
    count: int

    def days(self, copy: int) -> int:
        """How many days before the template a copy lies: the last ones the day before it."""
        return DAYS - (copy - self.first) * DAYS // self.count

    @property
    def copies(self) -> range:
        """Their numbers, in the order of days."""
        return range(self.first, self.first + self.count)


@dataclass(frozen=True, slots=True)
class Pattern:
    """A table's rows as pieces: what stays, and between that what each copy has of its own."""

    table: Table
    stays: list[str]
    differs: list[str]

    @classmethod
    def of(cls, table: Table, numbers: frozenset[str], known: Callable[[str], bool]) -> "Pattern":
        """Cut at everything that is known to differ."""
        text, stays, differs, place = prepared(table, numbers), [], [], 0
        for found in TOKEN.finditer(text):
            if known(found.group()):
                stays.append(text[place : found.start()])
                differs.append(found.group())
                place = found.end()
        return cls(table, [*stays, text[place:]], differs)

    def rows(self, names: Names) -> bytes:
        """The rows of one copy, as COPY reads them."""
        pieces = [""] * (2 * len(self.differs) + 1)
        pieces[0::2] = self.stays
        pieces[1::2] = map(names.__getitem__, self.differs)
        return "".join(pieces).encode()


@dataclass(frozen=True, slots=True)
class Loaded:
    """How long the parts of an owner's load took, in seconds."""

    owner: str
    rows: int
    copied: float
    indexed: float
    vacuumed: float

    def __str__(self) -> str:
        return (
            f"{self.owner}: {self.rows:,} rows copied in {self.copied:.0f} s, indexes {self.indexed:.0f} s,"
            f" vacuum {self.vacuumed:.0f} s"
        )


def load(owner: str, url: str, template: Template, plan: Plan) -> Loaded:
    """Write all copies of an owner's rows."""
    maker = NameMaker(template)
    numbers = frozenset(template.tables["tickets", "tickets_index"].column("number"))
    tables = [table for (of, _), table in template.tables.items() if of == owner]
    patterns = [Pattern.of(table, numbers, maker.known) for table in tables]
    recipe = maker.for_tokens(token for pattern in patterns for token in pattern.differs)
    names = [table.name for table in tables]
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET maintenance_work_mem = '512MB'")
        again = take_indexes(connection, names)
        moments = [time.monotonic()]
        copy_all(url, patterns, recipe, plan)
        moments.append(time.monotonic())
        for statement in again:
            connection.execute(statement)
        set_sequences(connection)
        if owner == "analytics":
            add_sums(connection, template.sums, plan)
        moments.append(time.monotonic())
        for name in names:
            connection.execute(SQL("VACUUM (ANALYZE) {}").format(Identifier(name)))
        moments.append(time.monotonic())
    rows = plan.count * sum(len(table.rows) for table in tables)
    return Loaded(owner, rows, *(end - start for start, end in pairwise(moments)))


def copy_all(url: str, patterns: list[Pattern], recipe: Recipe, plan: Plan) -> None:
    """A session for each table: all of them are written side by side, one copy after the other."""
    with ExitStack() as held:
        copies = []
        for pattern in patterns:
            connection = held.enter_context(psycopg.connect(url))
            columns = SQL(", ").join(map(Identifier, pattern.table.columns))
            query = SQL("COPY {} ({}) FROM STDIN").format(Identifier(pattern.table.name), columns)
            copies.append(held.enter_context(connection.cursor().copy(query)))
        for number in plan.copies:
            names = recipe.names(number, plan.days(number))
            for pattern, copy in zip(patterns, copies, strict=True):
                copy.write(pattern.rows(names))


def take_indexes(connection: Connection, tables: list[str]) -> list[str]:
    """Drop what would be kept up row by row, and give the statements that put it back."""
    constraints = connection.execute(
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), contype::text"
        " FROM pg_constraint WHERE contype IN ('p', 'u', 'f') AND connamespace = 'public'::regnamespace"
        " AND (conrelid::regclass::text = ANY(%(t)s) OR confrelid::regclass::text = ANY(%(t)s))"
        " ORDER BY contype = 'f' DESC, conname",
        {"t": tables},
    ).fetchall()
    # A key that others refer to can only go after them, and comes back before them.
    again = [f"ALTER TABLE {table} ADD CONSTRAINT {name} {text}" for table, name, text, _ in constraints]
    for table, name, _, _ in constraints:
        connection.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}".encode())
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = ANY(%s)",
        (tables,),
    ).fetchall()
    for name, _ in indexes:
        connection.execute(f"DROP INDEX {name}".encode())
    foreign = sum(kind == "f" for *_, kind in constraints)
    return [*again[foreign:], *(text for _, text in indexes), *again[:foreign]]


def set_sequences(connection: Connection) -> None:
    """Numbers that are given from now on lie behind those of the copies."""
    for sequence, table, column in (
        ("ticket_numbers", "tickets_index", "number"),
        ("person_key_changes", "person_keys", "change_id"),
    ):
        row = connection.execute(
            "SELECT to_regclass(%s) IS NOT NULL AND to_regclass(%s) IS NOT NULL", (sequence, table)
        ).fetchone()
        if row == (True,):
            last = f"SELECT max({column}) AS last FROM {table}"
            connection.execute(
                f"SELECT setval('{sequence}', last) FROM ({last}) AS t WHERE last > 0".encode()
            )


def add_sums(connection: Connection, sums: Sums, plan: Plan) -> None:
    """Sums over a day: the template's, as often as there are copies on that day."""
    days = Counter(plan.days(copy) for copy in plan.copies)
    for table, (moment, of) in SUMS.items():
        names = list(next(iter(sums[table].values()), {}))
        rows = [
            (when - timedelta(days=back), what, *(counts[name] * times for name in names))
            for (when, what), counts in sums[table].items()
            if any(counts.values())
            for back, times in days.items()
        ]
        if not rows:
            continue
        columns = (moment, of, *names)
        merged = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in names)
        statement = (
            f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))})"
            f" ON CONFLICT ({moment}, {of}) DO UPDATE SET {merged}"
        )
        with connection.cursor() as cursor:
            cursor.executemany(statement.encode(), rows)
