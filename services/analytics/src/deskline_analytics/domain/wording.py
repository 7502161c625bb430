"""What people wrote, made fit to be kept and searched: whatever bytes came, the database takes it."""

from typing import Final

MAX_INDEXED_BYTES: Final = 64 * 1024
"""Of one text; a vector of PostgreSQL holds 1 MiB, which the lexemes of two languages stay well below."""


def storable(text: str) -> str:
    """The text without what PostgreSQL (NUL) or UTF-8 refuse."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def searchable(text: str) -> str:
    """The excerpt that is searched; ё is е, as people write both."""
    # `translate` looks up each letter: for a Russian mail it took longer than all else that is done with it.
    plain = text.replace("ё", "е").replace("Ё", "Е").replace("\0", " ")
    return plain.encode("utf-8", "replace")[:MAX_INDEXED_BYTES].decode("utf-8", "ignore")
