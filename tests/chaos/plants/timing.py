"""Mistakes of timers: whose clock says that a moment has come, and what becomes of one that was missed."""

from datetime import UTC, datetime, timedelta

from tests.chaos.plants.editing import Edit, Plant

DEADLINES = "deskline_chassis.deadlines"
AHEAD = timedelta(seconds=30)
"""By how much the process' clock is wrong."""

GRACE = timedelta(seconds=3)
"""What is due for longer is not fired any more, where there is such a limit."""


def believed() -> datetime:
    """What the process takes for the time."""
    return datetime.now(UTC) + AHEAD


LOCAL_CLOCK = Plant(
    "whether a moment has come is asked of the process' own clock",
    (
        Edit(
            DEADLINES,
            "_Firing._turn",
            """
            + rows = [(believed(), kind, ask_at) for _, kind, ask_at in rows]
              candidates = {
            """,
            {"believed": believed},
        ),
        Edit(
            DEADLINES,
            "_Firing._decide",
            """
            - row = connection.execute("SELECT clock_timestamp()").fetchone()
            + row = (believed(),)
            """,
            {"believed": believed},
        ),
    ),
)

AGE_LIMIT = Plant(
    "what is due for longer than a grace is dropped, as schedulers do with misfires",
    (
        Edit(
            DEADLINES,
            "_Firing._decide",
            """
              due = still_due(connection, candidates, now)
            + for missed in [one for one in due if now - one.due_at > GRACE]:
            +     Deadlines(self._log).cancel(connection, kind, missed.subject, [missed.key])
            + due = [one for one in due if now - one.due_at <= GRACE]
            """,
            {"GRACE": GRACE},
        ),
    ),
)
