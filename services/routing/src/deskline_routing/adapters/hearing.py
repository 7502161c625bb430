"""Hearing: until when heartbeats could be received, and whose turn a sweep is; without the log's lock."""

from datetime import timedelta
from typing import Final

from deskline_chassis.postgres import Conn, Database

# Every replica says each second that it hears; what is longer silent than this was deaf.
_DEAF: Final = timedelta(seconds=5)
# A process that starts while no other one hears finds the last word older than two ticks.
_DEAF_AT_START: Final = timedelta(seconds=1.5)


class Hearing:
    """One replica's word that it can receive heartbeats; `period` is how long one lasts, in seconds."""

    def __init__(self, database: Database, period: float) -> None:
        self._database = database
        self._period = period
        self._starting = True

    def tick(self) -> bool:
        """Say that heartbeats are heard; whether nobody could hear them before, and all got a full period."""
        with self._database.transaction() as connection:
            extended = self._tick(connection)
        self._starting = False
        return extended

    def _tick(self, connection: Conn) -> bool:
        row = connection.execute(
            "SELECT clock_timestamp() - heard_until FROM listening FOR UPDATE"
        ).fetchone()
        assert row is not None  # noqa: S101 -- the migration wrote the row
        deaf = row[0] > (_DEAF_AT_START if self._starting else _DEAF)
        if deaf:
            # Whoever was present when the last word was said is present for one full period from now.
            connection.execute(
                "UPDATE presence SET expires_at ="
                " greatest(expires_at, clock_timestamp() + make_interval(secs => %s))"
                " FROM listening WHERE expires_at > heard_until AND state <> 'offline'",
                (self._period,),
            )
        connection.execute("UPDATE listening SET heard_until = greatest(heard_until, clock_timestamp())")
        return bool(deaf)

    def claim_sweep(self, kind: str, every: float) -> bool:
        """Whether a sweep is due (seconds since the last one began, by any replica) and is ours now."""
        with self._database.transaction() as connection:
            claimed = connection.execute(
                "INSERT INTO sweeps (kind, swept_at) VALUES (%(kind)s, clock_timestamp())"
                " ON CONFLICT (kind) DO UPDATE SET swept_at = excluded.swept_at"
                " WHERE sweeps.swept_at <= excluded.swept_at - make_interval(secs => %(every)s)",
                {"kind": kind, "every": every},
            )
        return claimed.rowcount == 1
