"""Given rows, when sla, notify or intake tell something, then all rows that change; and whole batches."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from services.analytics.tests.full_rows import (
    ANNA,
    AT,
    BASIS,
    CAME,
    CARD,
    CAUSE,
    CLOCK,
    CONTACT,
    EVENT,
    LINE,
    NOTIFY,
    NOW,
    QUARTER,
    ROUTING,
    SLA,
    TICKET,
    WHICH,
    envelope,
    expected,
    known,
    notified,
    received,
    told,
)

from deskline_analytics.domain.projecting import (
    project,
)
from deskline_analytics.domain.rows import (
    ClockRow,
    FlowRow,
    LineRow,
    NotificationRow,
    NotifyPart,
    TicketRow,
)
from deskline_events.conditions import Circumstances
from deskline_events.facts import Line
from deskline_events.intake import ContactRegistered
from deskline_events.notify import NotificationFailed, NotificationSent
from deskline_events.sla import (
    ClockCancelled,
    ClockMet,
    ClockPaused,
    ClockResumed,
    ClockStarted,
    SlaBreached,
    SlaRecalculated,
    SlaWarned,
)

pytestmark = pytest.mark.unit


# sla


def clocked(row: ClockRow, **shows: Any) -> dict[str, Any]:
    return expected(clocks=row, tickets=TicketRow(TICKET, CARD, ROUTING, replace(SLA, **shows), NOTIFY))


def test_a_clock_starts() -> None:
    found = Circumstances(line_id=LINE, channel="email", language="ru", level=1, priority="low")
    fact = ClockStarted(
        clock="first_response",
        cycle=1,
        generation=8,
        started_at=CAME,
        due_at=NOW,
        basis=BASIS,
        circumstances=found,
    )
    row = ClockRow(
        ticket_id=TICKET,
        clock="first_response",
        cycle=1,
        generation=8,
        state="running",
        policy_id=BASIS.policy_id,
        policy_version=2,
        calendar_id=BASIS.calendar_id,
        calendar_version=3,
        target_seconds=60,
        started_at=CAME.astimezone(UTC),
        due_at=AT,
        met_at=None,
        paused_at=None,
        cancelled_at=None,
        cancel_reason=None,
        elapsed_seconds=None,
        breached=False,
        breached_at=None,
        pauses=0,
        recalculated=0,
        warned_steps=[],
    )
    assert told(fact) == clocked(
        row, first_response_due_at=AT, first_response_at=None, first_response_breached=False
    )
    shows = {
        "resolution_cycle": 2,
        "resolution_due_at": AT,
        "resolution_met_at": None,
        "resolution_breached": False,
    }
    second = fact.model_copy(update={"clock": "resolution", "cycle": 2})
    assert told(second) == clocked(replace(row, clock="resolution", cycle=2), **shows)


def shows(due_at: datetime | None, met_at: datetime | None = None, breached: bool = False) -> dict[str, Any]:
    return {
        "resolution_cycle": 1,
        "resolution_due_at": due_at,
        "resolution_met_at": met_at,
        "resolution_breached": breached,
    }


def test_a_clock_stands_still_and_goes_on() -> None:
    paused = ClockPaused(**WHICH, paused_at=NOW, elapsed_seconds=33, reason="waiting_customer")
    row = replace(CLOCK, generation=8, state="paused", paused_at=AT, elapsed_seconds=33, pauses=2)
    assert told(paused) == clocked(row, **shows(None))
    resumed = ClockResumed(**WHICH, resumed_at=NOW, due_at=NOW)
    row = replace(CLOCK, generation=8, state="running", paused_at=None, elapsed_seconds=None, due_at=AT)
    assert told(resumed) == clocked(row, **shows(AT))


@pytest.mark.parametrize("breached", [True, False])
def test_a_clock_is_met(breached: bool) -> None:
    fact = ClockMet(**WHICH, met_at=NOW, due_at=CAME, elapsed_seconds=44, breached=breached)
    due = CAME.astimezone(UTC)
    row = replace(CLOCK, generation=8, state="met", paused_at=None, met_at=AT, due_at=due, elapsed_seconds=44)
    row = replace(row, breached=breached, breached_at=due if breached else None)
    assert told(fact) == clocked(row, **shows(due, AT, breached))


def test_a_clock_is_cancelled() -> None:
    fact = ClockCancelled(**WHICH, cancelled_at=NOW, reason="spam")
    row = replace(
        CLOCK, generation=8, state="cancelled", paused_at=None, cancelled_at=AT, cancel_reason="spam"
    )
    assert told(fact) == clocked(row, **shows(None))


def test_a_clock_is_measured_otherwise() -> None:
    fact = SlaRecalculated(
        **WHICH, before=BASIS, before_due_at=CAME, basis=BASIS, due_at=NOW, reason="policy"
    )
    row = replace(
        CLOCK,
        generation=8,
        due_at=AT,
        policy_id=BASIS.policy_id,
        policy_version=2,
        calendar_id=BASIS.calendar_id,
        calendar_version=3,
        target_seconds=60,
        recalculated=2,
    )
    assert told(fact) == clocked(row, **shows(AT))


def test_a_warning_is_noted_once_and_moves_nothing_else() -> None:
    fact = SlaWarned(**WHICH, step="late", step_due_at=NOW, due_at=NOW)
    assert told(fact) == expected(clocks=replace(CLOCK, warned_steps=["half", "late"]))
    assert told(fact.model_copy(update={"step": "half"})) == expected(clocks=CLOCK)


def test_a_breach_keeps_its_first_moment() -> None:
    fact = SlaBreached(**WHICH, step="breach", step_due_at=NOW, due_at=NOW)
    row = replace(CLOCK, due_at=AT, breached=True, breached_at=AT)
    assert told(fact) == clocked(row, **shows(AT, None, True))
    later = fact.model_copy(update={"due_at": NOW + timedelta(hours=1)})
    rows = known()
    project([(envelope(fact), fact), (envelope(later), later)], rows)
    changes = project([(envelope(fact), fact), (envelope(later), later)], known())
    assert changes.clocks[CLOCK.key].breached_at == AT


def test_an_earlier_cycle_is_not_shown_any_more() -> None:
    rows = known()
    rows.tickets[TICKET].sla.resolution_cycle = 2
    fact = ClockCancelled(**WHICH, cancelled_at=NOW, reason="spam")
    changes = project([(envelope(fact), fact)], rows)
    assert changes.tickets[TICKET].sla == replace(SLA, resolution_cycle=2)


# notify and intake


def noted(state: Any, reason: str | None, kind: str = "reply") -> NotificationRow:
    return NotificationRow(
        UUID(int=63), TICKET, CAUSE, kind, "email", "operator", ANNA, UUID(int=61), state, reason, AT
    )


def part(**changed: Any) -> TicketRow:
    return TicketRow(TICKET, CARD, ROUTING, SLA, replace(NOTIFY, **changed))


def test_what_became_of_a_notification() -> None:
    sent = NotificationSent(**notified(), message_id="a@b")
    assert told(sent) == expected(
        tickets=part(notifications_sent=7, last_notified_at=AT), notifications=noted("sent", None)
    )
    failed = NotificationFailed(**notified(), reason="smtp_550")
    assert told(failed) == expected(
        tickets=part(notifications_failed=8), notifications=noted("failed", "smtp_550")
    )


def test_an_acknowledgement_is_the_first() -> None:
    fact = NotificationSent(**notified(kind="acknowledgement"), message_id="a@b")
    assert told(fact) == expected(
        tickets=part(notifications_sent=7, last_notified_at=AT),
        notifications=noted("sent", None, "acknowledgement"),
    )
    first = project([(envelope(fact), fact)]).tickets[TICKET]
    assert (first.card, first.notify) == (None, NotifyPart(AT, AT, 1, 0))


def test_a_message_at_the_door() -> None:
    line = LineRow(LINE, "Sup\ufffdport", "form", "en", AT, EVENT)
    assert told(received(), CONTACT) == expected(flow=FlowRow(received=1), lines=line)
    contact = ContactRegistered(contact_id=CONTACT, address=None, name=None, locale="ru")
    assert told(contact, CONTACT) == {}


@pytest.mark.parametrize(
    ("later", "by", "name"), [(1, EVENT, "new"), (-1, EVENT, "old"), (0, CAUSE, "new"), (0, ANNA, "old")]
)
def test_a_line_is_as_it_was_told_last(later: int, by: UUID, name: str) -> None:
    line = Line(line_id=LINE, name="old", channel="form", language="en")
    first, second = received(line=line), received(line=line.model_copy(update={"name": "new"}))
    after = envelope(second, CONTACT, id=by, time=NOW + timedelta(seconds=later))
    changes = project([(envelope(first, CONTACT), first), (after, second)])
    assert changes.lines[LINE].name == name
    assert changes.flow == {(QUARTER, LINE): FlowRow(received=2)}
