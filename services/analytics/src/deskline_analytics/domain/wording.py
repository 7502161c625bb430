"""What people wrote, made fit to be kept and searched: whatever bytes came, the database takes it."""

from typing import Final

MAX_INDEXED_BYTES: Final = 64 * 1024
"""Of one text; a vector of PostgreSQL holds 1 MiB, which the lexemes of two languages stay well below."""

_ONE_LETTER: Final = str.maketrans({"ё": "е", "Ё": "Е", "\0": " "})
# PostgreSQL refuses NUL in any text.
_NUL: Final = str.maketrans({"\0": "\ufffd"})


def storable(text: str) -> str:
    """The text without what PostgreSQL or UTF-8 refuse."""
    return text.translate(_NUL).encode("utf-8", "replace").decode("utf-8")


def searchable(text: str) -> str:
    """The excerpt that is searched; ё is е, as people write both."""
    encoded = text.translate(_ONE_LETTER).encode("utf-8", "replace")
    return encoded[:MAX_INDEXED_BYTES].decode("utf-8", "ignore")
