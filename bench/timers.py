"""How late deadlines fire while a million others are armed: five thousand first answers due in one minute."""

import time
from typing import Any, Final

import psycopg

from bench.company import Company
from bench.stages import NeverCameError
from deskline_local.deployment import OWN_DOMAIN

DUE: Final = 5_000
MINUTE: Final = 60.0
TARGET_SECONDS: Final = 180
PATIENCE: Final = 600.0
LINE: Final = "urgent"
POLICY: Final = "0d000000-0000-7000-8000-00000000be02"
CALENDAR: Final = "0c000000-0000-7000-8000-00000000be01"
YEAR_SECONDS: Final = 31_536_000
FIRED: Final = (
    "SELECT extract(epoch FROM f.fired_at - f.due_at)::float8 FROM fired_deadlines f"
    " JOIN tickets t ON t.ticket_id = f.subject WHERE f.key LIKE 'first_response%%'"
    " AND t.circumstances->>'line_id' = %s AND f.due_at >= to_timestamp(%s)"
)


def lateness(company: Company) -> tuple[list[float], int]:
    """(Seconds from due to fired of each, how many others were armed then)."""
    line = _urgent_line(company)
    rate = DUE / MINUTE
    with company.mails(DUE, connections=16, rate=rate, recipient=f"{LINE}@{OWN_DOMAIN}") as client:
        client.say("go")
        begun = time.time()
        client.answer()
    deadline = time.monotonic() + TARGET_SECONDS + PATIENCE
    with psycopg.connect(company.system.owner_url("sla"), autocommit=True) as connection:
        row = connection.execute("SELECT count(*) FROM deadlines WHERE state = 'armed'").fetchone()
        armed = 0 if row is None else int(row[0])
        while True:
            rows = connection.execute(FIRED, (line, begun)).fetchall()
            if len(rows) >= DUE:
                return [late for (late,) in rows], armed
            if time.monotonic() > deadline:
                raise NeverCameError(f"{DUE - len(rows)} of {DUE} deadlines never fired")
            time.sleep(1.0)


def _urgent_line(company: Company) -> str:
    """A line whose customers are to be answered in three minutes, and nobody warns."""
    admin = company.office.admin
    line = company.office.add_line(LINE)
    targets = {"first_response": TARGET_SECONDS, "resolution": YEAR_SECONDS}
    breach: dict[str, Any] = {"key": "breach", "seconds": 0, "actions": [], "recipients": ["team_lead"]}
    admin.put(f"/v1/calendars/{CALENDAR}", {"name": "always", "zone": "UTC", "always": True})
    admin.put(
        f"/v1/policies/{POLICY}",
        {
            "name": "urgent",
            "order": 2,
            "conditions": {"line_ids": [line]},
            "calendar_id": CALENDAR,
            "targets": [
                {"clock": clock, "priority": priority, "seconds": seconds}
                for clock, seconds in targets.items()
                for priority in ("low", "medium", "high", "critical")
            ],
            "steps": {clock: [breach] for clock in targets},
        },
    )
    return line
