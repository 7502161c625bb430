"""Retrying: what of a provider's refusals may pass, and when it is tried again."""

from datetime import timedelta
from typing import Final

GIVE_UP_AFTER: Final = timedelta(hours=24)
MOST_DELAY: Final = timedelta(minutes=30)
_MOST_DOUBLINGS: Final = 12
# 530, 534, 535, 538: our own credentials or TLS are wrong (RFC 4954 §6); the mail is not to blame.
_OUR_FAULT: Final = frozenset({530, 534, 535, 538})


def is_permanent(code: int) -> bool:
    """Whether a reply code says that this mail will never be taken; see RFC 5321 §4.2.1."""
    return 500 <= code < 600 and code not in _OUR_FAULT  # noqa: PLR2004 -- the class of a reply code


def is_our_fault(code: int) -> bool:
    """Whether the provider refuses us, whatever we send."""
    return code in _OUR_FAULT


def delay_after(attempts: int, first: timedelta, chance: float) -> timedelta:
    """Until the next try after so many; doubled each time, spread by `chance` (0 to 1) over ±50 %."""
    doublings = min(max(attempts - 1, 0), _MOST_DOUBLINGS)
    return min(first * (1 << doublings), MOST_DELAY) * (0.5 + chance)
