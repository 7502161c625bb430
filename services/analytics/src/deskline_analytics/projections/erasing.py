"""What an erasure makes of rows that were written before it: exactly what a rebuild would write."""

from typing import Final

from deskline_chassis.postgres import Conn
from deskline_events.personal import ERASED

_BOTH: Final = "to_tsvector('pg_catalog.russian', {0}::text) || to_tsvector('pg_catalog.english', {0}::text)"
WORDS: Final = f"setweight({_BOTH.format('{subject}')}, 'A') || ({_BOTH.format('{body}')})"
"""The vector of a document; both languages, as nobody says in which one a message is."""

_ERASED_WORDS: Final = WORDS.format(
    # The first event of a ticket opens it, and alone has a subject.
    subject=f"CASE WHEN sequence = 1 THEN '{ERASED}' ELSE '' END",
    body=f"'{ERASED}'",
)
_OF_ERASED: Final = "IN (SELECT subject FROM known_keys WHERE erased_at IS NOT NULL)"
# Locked in the order in which readers lock them.
_BLANK_SUBJECTS: Final = (
    f"UPDATE open_tickets SET subject = '{ERASED}' WHERE ticket_id IN (SELECT ticket_id FROM open_tickets"
    f" WHERE subject <> '{ERASED}' AND contact_id {_OF_ERASED} ORDER BY ticket_id FOR NO KEY UPDATE)"
)
_BLANK_DOCUMENTS: Final = (
    f"UPDATE ticket_documents SET erased = true, words = {_ERASED_WORDS}"
    f" WHERE NOT erased AND person_id {_OF_ERASED}"
)
_BLANK_OPERATORS: Final = (
    f"UPDATE operators SET name = '{ERASED}' WHERE name <> '{ERASED}' AND operator_id {_OF_ERASED}"
)


def forget_erased(connection: Conn) -> int:
    """Make rows that hold something of a person erased since what a rebuild would make them; how many.

    A rebuild reads such texts as "erased" by itself, so the two stay equal.
    """
    sweeps = (_BLANK_SUBJECTS, _BLANK_DOCUMENTS, _BLANK_OPERATORS)
    return sum(connection.execute(sweep).rowcount for sweep in sweeps)
