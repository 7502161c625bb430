"""Search: words of people → tickets, the best first; lexemes are searched, no text is kept for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deskline_analytics.domain.cursors import Found
from deskline_analytics.domain.wording import searchable
from deskline_analytics.queries.answering import Answer, dicts
from deskline_analytics.queries.visibility import Reach
from deskline_chassis.postgres import Conn

MAX_RANKED: Final = 5000
"""Of the messages that match the newest are ranked: a word that is everywhere must not read everything."""

SAMPLE: Final = 200
COMMON: Final = 10
"""Words that so many of a sample's messages hold are found by reading from the newest message on."""

MAX_READ: Final = 100_000
"""Of the messages that are read so; where they bring too few, the index on words is asked after all."""

# In the English form a Russian word stands unstemmed, so "without it" would let its other forms pass:
# what excludes is asked in the Russian form alone, which stems English words too.
_COMPILE: Final = (
    "SELECT CASE WHEN ru::text LIKE '%%!%%' THEN ru::text ELSE (ru || en)::text END FROM (SELECT"
    " websearch_to_tsquery('pg_catalog.russian', %(text)s::text) AS ru,"
    " websearch_to_tsquery('pg_catalog.english', %(text)s::text) AS en) AS parsed"
)


@dataclass(frozen=True, slots=True)
class Search:
    """What is searched for, among messages that were recorded until a moment, so that pages agree."""

    words: str
    until: datetime
    open: bool | None = None


def compile_words(connection: Conn, text: str) -> str:
    """PostgreSQL's form of what a person typed; empty where it holds no word to search for."""
    row = connection.execute(_COMPILE, {"text": searchable(text)}).fetchone()
    return "" if row is None else str(row[0])


def search(
    connection: Conn, asked: Search, reach: Reach, after: Found | None, limit: int
) -> tuple[list[Answer], Found | None]:
    """A page of tickets by relevance, then newest, and the place to go on from where there is more.

    Rare words are found by their index. What most messages hold would be most of the table by it, and the
    planner can't tell one from the other: a sample does.
    """
    if _is_common(connection, asked, reach):
        rows = _ranked(connection, _NEWEST, asked, reach, after, limit=limit)
        if (rows and rows[0]["ranked"] >= MAX_RANKED) or not _older_than_read(connection, asked):
            return _page(rows, asked, limit)
    return _page(_ranked(connection, _BY_WORDS, asked, reach, after, limit=limit), asked, limit)


_LATEST: Final = (
    "(SELECT ticket_id, sequence, written_at, words FROM ticket_documents WHERE written_at <= %(until)s"
    " ORDER BY written_at DESC, ticket_id, sequence LIMIT %(read)s) AS d"
)
_OF_TICKETS: Final = " JOIN open_tickets ON open_tickets.ticket_id = d.ticket_id"
_MATCHING: Final = " WHERE d.words @@ %(words)s::tsquery"
_NEWEST: Final = (f"{_LATEST}{_OF_TICKETS}{_MATCHING}", "d.written_at")
# The index on moments is of no use to an order by something else.
_BY_WORDS: Final = (
    f"ticket_documents d{_OF_TICKETS}{_MATCHING} AND d.written_at <= %(until)s",
    "(d.written_at + interval '0')",
)


_SHARE: Final = (
    "SELECT least(100, 100 * %(sample)s / greatest(reltuples, 1)) FROM pg_class"
    " WHERE oid = 'ticket_documents'::regclass"
)
"""Percent of the table that are a sample; never analysed, it is small."""


def _is_common(connection: Conn, asked: Search, reach: Reach) -> bool:
    share = connection.execute(_SHARE, {"sample": SAMPLE}).fetchone()
    row = connection.execute(
        f"SELECT count(*) FROM (SELECT * FROM ticket_documents TABLESAMPLE SYSTEM (%(share)s)"
        f" LIMIT %(most)s) AS d{_OF_TICKETS}{_MATCHING} AND {_visible(asked, reach)}",
        {**_values(asked, reach), "share": 100 if share is None else share[0], "most": 2 * SAMPLE},
    ).fetchone()
    return row is not None and row[0] >= COMMON


def _older_than_read(connection: Conn, asked: Search) -> bool:
    """Whether there are messages that reading from the newest on never comes to."""
    older = connection.execute(
        "SELECT 1 FROM ticket_documents WHERE written_at <= %(until)s"
        " ORDER BY written_at DESC, ticket_id, sequence OFFSET %(read)s LIMIT 1",
        {"until": asked.until, "read": MAX_READ},
    )
    return older.fetchone() is not None


def _ranked(
    connection: Conn, way: tuple[str, str], asked: Search, reach: Reach, after: Found | None, *, limit: int
) -> list[Answer]:
    matching, newest = way
    beyond = (
        ""
        if after is None
        else " WHERE (relevance, opened_at, ticket_id) < (%(relevance)s::real, %(opened_at)s, %(ticket_id)s)"
    )
    return dicts(
        connection,
        f"WITH matching AS (SELECT d.ticket_id, d.words FROM {matching} AND {_visible(asked, reach)}"
        f" ORDER BY {newest} DESC, d.ticket_id, d.sequence LIMIT %(ranked)s),"
        " best AS (SELECT ticket_id, max(ts_rank(words, %(words)s::tsquery, 1)) AS relevance,"
        " count(*) AS messages FROM matching GROUP BY ticket_id)"
        " SELECT ticket_id, number, subject, stage, priority, level, open, opened_at, changed_at, queue_id,"
        " assignee_id, relevance, messages, (SELECT count(*) FROM matching) AS ranked"
        f" FROM best JOIN open_tickets USING (ticket_id){beyond}"
        " ORDER BY relevance DESC, opened_at DESC, ticket_id DESC LIMIT %(one_more)s",
        {
            **_values(asked, reach),
            "read": MAX_READ,
            "ranked": MAX_RANKED,
            "one_more": limit + 1,
            **({} if after is None else after.values()),
        },
        # Planned for these words and this caller: how many there are of both decides.
        prepare=False,
    )


def _visible(asked: Search, reach: Reach) -> str:
    return reach.condition if asked.open is None else f"{reach.condition} AND open = %(open)s"


def _values(asked: Search, reach: Reach) -> dict[str, Any]:
    return {"words": asked.words, "until": asked.until, "open": asked.open, **reach.values}


def _page(rows: list[Answer], asked: Search, limit: int) -> tuple[list[Answer], Found | None]:
    for row in rows:
        del row["ranked"]
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, Found(asked.until, last["relevance"], last["opened_at"], last["ticket_id"])
