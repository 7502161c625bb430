"""Cleaning: what people typed becomes safe for a header, and what other programs wrote for a list of ids."""

import re
import unicodedata
from typing import Final

MOST_CHARACTERS: Final = 200
_UNWANTED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_JOINERS: Final = frozenset({"\u200c", "\u200d"})  # Persian and emoji are written with them
_MESSAGE_ID: Final = re.compile(r"[!-;=?-~]{1,200}@[!-;=?-~]{1,200}")


def one_line(text: str, most: int = MOST_CHARACTERS) -> str:
    """The text as one line without control characters, blanks joined, cut to so many characters."""
    kept = "".join(
        character if character in _JOINERS or unicodedata.category(character) not in _UNWANTED else " "
        for character in text
    )
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def body_text(text: str) -> str:
    """The text with LF line ends and without characters that no mail may carry."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(
        "".join(c for c in line if c == "\t" or unicodedata.category(c) not in {"Cc", "Cs"}) for line in lines
    )


def usable_message_id(message_id: str) -> str | None:
    """A foreign Message-ID without brackets, as it may stand in our headers; None where it may not."""
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return bare if _MESSAGE_ID.fullmatch(bare) else None
