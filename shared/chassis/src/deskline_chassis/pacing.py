"""Pacing: how soon a loop begins its next round, since what is done together costs less than one by one.

A round has costs of its own: a transaction, a fetch, a dozen statements. A loop that began as soon as
anything was there would spend a busy machine on rounds for one record each, and so make all others' rounds
longer. Here a round that took long is followed by a rest as long, in which more comes; on a machine with
room rounds are short, and so are the rests.
"""

from typing import Final

LEAST_SECONDS: Final = 0.025
MOST_REST_SECONDS: Final = 0.15


def pace_after(took: float) -> float:
    """Seconds from a round's begin to the next one's, of a round that took so many and was not full."""
    return max(LEAST_SECONDS, took + min(took, MOST_REST_SECONDS))
