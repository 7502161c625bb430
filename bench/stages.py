"""How far tickets came, asked cheaply: each event is looked at once."""

import time
from collections.abc import Collection
from types import TracebackType
from typing import Final, Self

import psycopg

from deskline_local.site import Site

ACKNOWLEDGED: Final = "type = 'deskline.notify.NotificationSent.v1' AND data->>'kind' = 'acknowledgement'"
ARMED: Final = "type = 'deskline.sla.ClockStarted.v1' AND data->>'clock' = 'first_response'"

# Stage: (owner, what its event is).
BY_EVENTS: Final = {
    "opened": ("tickets", "type = 'TicketOpened.v1'"),
    "routed": ("tickets", "type = 'TicketRouted.v1'"),
    "armed": ("sla", ARMED),
    "told": ("notify", ACKNOWLEDGED),
}
PROJECTED: Final = "projected"
STAGES: Final = (*BY_EVENTS, PROJECTED)


class NeverCameError(Exception):
    """Some tickets did not come through in time."""


class Stages:
    """Counts what came since it was made; its sessions at the databases are not to be counted as theirs."""

    def __init__(self, site: Site) -> None:
        self._sessions = {
            owner: psycopg.connect(site.owner_url(owner), autocommit=True)
            for owner in ("tickets", "sla", "notify", "analytics")
        }
        self._seen = {stage: self._last_event(owner) for stage, (owner, _) in BY_EVENTS.items()}
        self._count = dict.fromkeys(BY_EVENTS, 0)
        self._last_at = dict.fromkeys(STAGES, 0.0)
        self.first_number = self._one("analytics", "SELECT coalesce(max(number), 0) FROM open_tickets")

    @property
    def backends(self) -> list[int]:
        """The pids at the server that work for these questions only."""
        return [session.info.backend_pid for session in self._sessions.values()]

    def _one(self, owner: str, statement: str) -> int:
        row = self._sessions[owner].execute(statement).fetchone()
        assert row is not None
        return int(row[0])

    def _last_event(self, owner: str) -> int:
        return self._one(owner, "SELECT coalesce(max(id), 0) FROM events")

    def count(self, stage: str) -> int:
        """How many tickets reached a stage."""
        if stage == PROJECTED:
            statement = f"SELECT count(*) FROM open_tickets WHERE number > {self.first_number}"
            return self._one("analytics", statement)
        owner, condition = BY_EVENTS[stage]
        row = (
            self._sessions[owner]
            .execute(
                "SELECT max(id), count(*) FILTER (WHERE wanted),"
                " extract(epoch FROM max(time) FILTER (WHERE wanted))::float8"
                f" FROM (SELECT id, time, {condition} AS wanted FROM events WHERE id > %s) AS new",
                (self._seen[stage],),
            )
            .fetchone()
        )
        assert row is not None
        if row[0] is not None:
            self._seen[stage] = row[0]
            self._count[stage] += row[1]
            self._last_at[stage] = max(self._last_at[stage], row[2] or 0.0)
        return self._count[stage]

    def wait(self, goal: int, seconds: float, stages: Collection[str] = STAGES) -> dict[str, float]:
        """Per stage the moment at which the goal was reached; raises NeverCameError."""
        deadline = time.monotonic() + seconds
        reached: dict[str, float] = {}
        while len(reached) < len(stages):
            for stage in stages:
                if stage not in reached and self.count(stage) >= goal:
                    reached[stage] = self._last_at[stage] or time.time()
            if time.monotonic() > deadline:
                missing = {stage: self.count(stage) for stage in stages if stage not in reached}
                raise NeverCameError(f"not all of {goal} tickets came within {seconds:.0f} s: {missing}")
            time.sleep(0.1)
        return reached

    def tickets(self) -> list[str]:
        """The ids of those that were opened since, in the order of their numbers."""
        rows = self._sessions["analytics"].execute(
            "SELECT ticket_id::text FROM open_tickets WHERE number > %s ORDER BY number", (self.first_number,)
        )
        return [str(one) for (one,) in rows.fetchall()]

    def close(self) -> None:
        """Hang up."""
        for session in self._sessions.values():
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
