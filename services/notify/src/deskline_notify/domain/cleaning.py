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
    # Nothing unwanted is printable: most texts need no look at each character.
    kept = text if text.isprintable() else "".join(map(_wanted, text))
    line = " ".join(kept.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


def body_text(text: str) -> str:
    """The text with LF line ends and without characters that no mail may carry."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "\n".join(line if line.isprintable() else "".join(filter(_may_travel, line)) for line in lines)


def usable_message_id(message_id: str) -> str | None:
    """A foreign Message-ID without brackets, as it may stand in our headers; None where it may not."""
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return bare if _MESSAGE_ID.fullmatch(bare) else None


def _wanted(character: str) -> str:
    kept = character in _JOINERS or unicodedata.category(character) not in _UNWANTED
    return character if kept else " "


def _may_travel(character: str) -> bool:
    return character == "\t" or unicodedata.category(character) not in {"Cc", "Cs"}
