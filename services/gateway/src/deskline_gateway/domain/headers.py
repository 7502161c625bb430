"""Headers: the few that pass through the door, and the shape that they must have."""

import re
from collections.abc import Iterable
from typing import Final

INWARD: Final = ("if-match", "idempotency-key", "accept-language", "content-type")
OF_FORMS: Final = ("origin",)
"""What the owner of a web form is told besides: which site's page sent it."""
OUTWARD: Final = ("etag", "retry-after", "location", "content-type", "content-language", "cache-control")

MAX_VALUE_CHARS: Final = 1024
MAX_QUERY_CHARS: Final = 8192

# Printable ASCII only: neither a line's end nor what one hop would read otherwise than the next.
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_QUERY: Final = re.compile(rb"[\x21\x24-\x3b\x3d\x3f-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]*")
# A path of our own, so that no owner's address and no other host reaches a client.
_LOCATION: Final = re.compile(r"/v1/[\x21-\x7e]*")


class HeaderRefusedError(Exception):
    """A header that would be passed on came twice or holds what a header can't."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


def inward(received: Iterable[tuple[str, str]], also: tuple[str, ...] = ()) -> dict[str, str]:
    """What of a caller's headers the owner gets; raises HeaderRefusedError."""
    passed: dict[str, str] = {}
    for name, value in received:
        key = name.lower()
        if key not in INWARD and key not in also:
            continue
        if key in passed:
            raise HeaderRefusedError(key, "came more than once")
        if len(value) > MAX_VALUE_CHARS:
            raise HeaderRefusedError(key, f"is longer than {MAX_VALUE_CHARS} characters")
        if _VALUE.fullmatch(value) is None:
            raise HeaderRefusedError(key, "holds characters other than printable ASCII")
        passed[key] = value
    return passed


def outward(answered: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What of an owner's headers the caller gets."""
    passed = {name.lower(): value for name, value in answered if name.lower() in OUTWARD}
    if _LOCATION.fullmatch(passed.get("location", "/v1/")) is None:
        del passed["location"]
    return passed


def is_query(query: bytes) -> bool:
    """Whether a query string is one by RFC 3986 and can be passed on as it is."""
    return len(query) <= MAX_QUERY_CHARS and _QUERY.fullmatch(query) is not None
