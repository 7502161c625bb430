"""Header values: what people typed, as RFC 5322 and RFC 2047 let it stand in a header.

Not left to `email.headerregistry`: it reads values before it writes them, so that an encoded word that
somebody typed is decoded, and the line breaks in it become header lines of their own.
"""

import base64
import re
from functools import lru_cache
from typing import Final

from deskline_notify.domain.cleaning import one_line

LINE: Final = 76
_WORD_BYTES: Final = 45
_FOLD: Final = "\r\n "
_SIMPLE_NAME: Final = re.compile(r"[A-Za-z0-9]+( [A-Za-z0-9]+)*")


def text_value(text: str, most: int) -> str:
    """A subject, folded, as it stands after the header's name."""
    line = one_line(text, most)
    if _is_plain(line):
        folded = _folded(line)
        if folded is not None:
            return folded
    return _encoded(line)


def mailbox_value(name: str, address: str) -> str:
    """A display name and an address (one that `usable_address` gave), as they stand in From or Reply-To."""
    shown = _display_name(name)
    if not shown:
        return address
    return f"{shown}{_FOLD if len(shown) + len(address) > LINE // 2 else ' '}<{address}>"


@lru_cache(maxsize=1024)
def _display_name(name: str) -> str:
    # Lines have names, and there are few of them.
    line = one_line(name)
    if not line or _SIMPLE_NAME.fullmatch(line):
        return line
    if _is_plain(line):
        return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded(line)


def _is_plain(line: str) -> bool:
    # What looks like an encoded word is encoded itself, or the reader would decode it.
    return line.isascii() and "=?" not in line


def _folded(line: str) -> str | None:
    lines: list[str] = []
    for word in line.split(" "):
        if len(word) > LINE - 20:
            return None
        if lines and len(lines[-1]) + 1 + len(word) <= LINE - 20:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return _FOLD.join(lines)


def _encoded(line: str) -> str:
    encoded = line.encode()
    words: list[str] = []
    begin = 0
    while begin < len(encoded) or not words:
        end = min(begin + _WORD_BYTES, len(encoded))
        while end < len(encoded) and encoded[end] & 0xC0 == 0x80:  # noqa: PLR2004 -- amid a character
            end -= 1
        words.append(f"=?utf-8?b?{base64.b64encode(encoded[begin:end]).decode('ascii')}?=")
        begin = end
    return _FOLD.join(words)
