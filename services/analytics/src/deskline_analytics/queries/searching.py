"""Search: words of people → tickets, the best first; lexemes are searched, no text is kept for it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from deskline_analytics.domain.cursors import Found
from deskline_analytics.domain.wording import searchable
from deskline_analytics.queries.answering import Answer, dicts
from deskline_analytics.queries.visibility import Reach
from deskline_chassis.postgres import Conn

MAX_RANKED: Final = 5000
"""Of the messages that match the newest are ranked: a word that is everywhere must not read everything."""

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
    """A page of tickets by relevance, then newest, and the place to go on from where there is more."""
    open_ = "" if asked.open is None else " AND open = %(open)s"
    beyond = (
        ""
        if after is None
        else " WHERE (relevance, opened_at, ticket_id) < (%(relevance)s::real, %(opened_at)s, %(ticket_id)s)"
    )
    rows = dicts(
        connection,
        "WITH matching AS (SELECT d.ticket_id, d.words FROM ticket_documents d"
        " JOIN open_tickets ON open_tickets.ticket_id = d.ticket_id"
        f" WHERE d.words @@ %(words)s::tsquery AND d.written_at <= %(until)s AND {reach.condition}{open_}"
        " ORDER BY d.written_at DESC, d.ticket_id, d.sequence LIMIT %(ranked)s),"
        " best AS (SELECT ticket_id, max(ts_rank(words, %(words)s::tsquery, 1)) AS relevance,"
        " count(*) AS messages FROM matching GROUP BY ticket_id)"
        " SELECT ticket_id, number, subject, stage, priority, level, open, opened_at, changed_at, queue_id,"
        f" assignee_id, relevance, messages FROM best JOIN open_tickets USING (ticket_id){beyond}"
        " ORDER BY relevance DESC, opened_at DESC, ticket_id DESC LIMIT %(one_more)s",
        {
            "words": asked.words,
            "until": asked.until,
            "open": asked.open,
            "ranked": MAX_RANKED,
            "one_more": limit + 1,
            **reach.values,
            **({} if after is None else after.values()),
        },
    )
    page = rows[:limit]
    if len(rows) <= limit:
        return page, None
    last = page[-1]
    return page, Found(asked.until, last["relevance"], last["opened_at"], last["ticket_id"])
