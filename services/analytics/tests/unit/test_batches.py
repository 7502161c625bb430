"""Batches: what they need, what adds up in them, who tells of which columns, and how fresh the rows are."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from services.analytics.tests.full_rows import (
    ANNA,
    AT,
    BY_ANNA,
    CAME,
    CLOCK,
    CONTACT,
    EVENT,
    LINE,
    NOW,
    OFFER,
    QUARTER,
    QUEUE,
    TEAM,
    TICKET,
    WHICH,
    envelope,
    known,
    message,
    notified,
    opening,
    received,
    told,
)

from deskline_analytics.domain.projecting import (
    ClockUnknownError,
    TicketUnknownError,
    clocks_in,
    project,
    tickets_in,
    types,
)
from deskline_analytics.domain.rows import (
    DecisionRow,
    FlowRow,
    LoadRow,
    SlaPart,
    TicketRow,
    quarter_of,
)
from deskline_events.catalog import CATALOG
from deskline_events.facts import Fact
from deskline_events.notify import NotificationFailed, NotificationSent
from deskline_events.routing import (
    AssignmentWithdrawn,
    TeamChanged,
)
from deskline_events.sla import (
    CalendarChanged,
    ClockCancelled,
    ClockMet,
)
from deskline_events.tickets import (
    AutomaticMessageAdded,
    CustomerReplied,
    MessageSetAside,
    OfferDeclined,
    OfferEnded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketAccepted,
    TicketOffered,
)

pytestmark = pytest.mark.unit


# The batch


def test_a_policy_or_calendar_moves_nothing_but_freshness() -> None:
    fact = CalendarChanged(calendar_id=QUEUE, version=1, name="x", zone="UTC", always=True)
    assert told(fact, QUEUE) == {}


def test_freshness_is_the_latest_of_an_owner() -> None:
    fact = received()
    earlier = envelope(fact, CONTACT, time=NOW - timedelta(hours=1))
    for order in ([earlier, envelope(fact, CONTACT)], [envelope(fact, CONTACT), earlier]):
        assert project([(one, fact) for one in order]).fresh == {"intake": AT}


def test_what_was_never_opened_or_started_is_a_hole() -> None:
    fact = PriorityChanged(before="low", after="high", actor=BY_ANNA)
    with pytest.raises(TicketUnknownError) as refused:
        project([(envelope(fact), fact)])
    assert str(refused.value) == f"ticket {TICKET} has no TicketOpened before this event"
    assert refused.value.safe_message is True
    met = ClockMet(**WHICH, met_at=NOW, due_at=CAME, elapsed_seconds=44, breached=False)
    with pytest.raises(ClockUnknownError) as unknown:
        project([(envelope(met), met)])
    assert str(unknown.value) == f"clock resolution of cycle 1 of ticket {TICKET} was not started"
    assert unknown.value.safe_message is True


def test_which_rows_a_batch_needs() -> None:
    met = ClockMet(**WHICH, met_at=NOW, due_at=CAME, elapsed_seconds=44, breached=False)
    team = TeamChanged(team_id=TEAM, name="First")
    aside = MessageSetAside(
        source_key="0" * 64, line_id=LINE, contact_id=CONTACT, received_at=CAME, reason="list"
    )
    calendar = CalendarChanged(calendar_id=QUEUE, version=1, name="x", zone="UTC", always=True)
    batch = [
        (envelope(met), met),
        (envelope(team, TEAM), team),
        (envelope(aside, OFFER), aside),
        (envelope(calendar, QUEUE), calendar),
        (envelope(received(), CONTACT), received()),
    ]
    # The envelopes of tickets' own facts come from their topic.
    batch = [
        (replace(one, source="/deskline/intake") if fact is batch[4][1] else one, fact) for one, fact in batch
    ]
    assert tickets_in(batch) == {TICKET}
    assert clocks_in(batch) == {CLOCK.key}
    started = opening()
    assert (tickets_in([(envelope(started), started)]), clocks_in([(envelope(started), started)])) == (
        {TICKET},
        set(),
    )


def test_every_type_of_ours_but_these_changes_rows() -> None:
    assert types() <= set(CATALOG)
    assert not [name for name in types() if CATALOG[name].name == "KeysChanged"]


def test_a_moment_without_a_zone_is_read_as_utc_wherever_the_machine_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fact = PriorityChanged(before="low", after="high", actor=BY_ANNA)
    try:
        monkeypatch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        changes = project([(envelope(fact, time=datetime(2026, 3, 1, 9)), fact)], known())  # noqa: DTZ001
    finally:
        monkeypatch.undo()
        time.tzset()
    assert changes.timeline[0].time == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert changes.timeline[0].time.tzinfo is UTC


def test_the_quarter_of_a_moment() -> None:
    moment = datetime(2026, 3, 1, 9, 0, 0, 1, tzinfo=UTC)
    for minute, quarter in [(0, 0), (14, 0), (15, 15), (29, 15), (45, 45), (59, 45)]:
        assert quarter_of(moment.replace(minute=minute, second=59)) == moment.replace(
            minute=quarter, microsecond=0
        )


TELLING: list[tuple[Fact, set[str]]] = [
    (opening(), {"card"}),
    (PriorityChanged(before="low", after="high", actor=BY_ANNA), {"card"}),
    (AssignmentWithdrawn(operator_id=ANNA, assignment_no=9, reason="operator_lost"), {"routing"}),
    (ClockCancelled(**WHICH, cancelled_at=NOW, reason="spam"), {"sla"}),
    (NotificationSent(**notified(), message_id="a@b"), {"notify"}),
    (NotificationFailed(**notified(), reason="smtp_550"), {"notify"}),
]


@pytest.mark.parametrize(("fact", "told_of"), TELLING, ids=[one.TYPE for one, _ in TELLING])
def test_an_owner_tells_of_its_own_columns_only(fact: Fact, told_of: set[str]) -> None:
    changes = project([(envelope(fact), fact)], known())
    assert changes.tickets[TICKET].told == told_of


def test_what_two_owners_tell_is_told_of_both() -> None:
    changes = project([(envelope(fact), fact) for fact, _ in TELLING[1:]], known())
    assert changes.tickets[TICKET].told == {"card", "routing", "sla", "notify"}


def test_counts_of_a_batch_add_up() -> None:
    aside = MessageSetAside(
        source_key="0" * 64, line_id=LINE, contact_id=CONTACT, received_at=CAME, reason="list"
    )
    twice: list[Fact] = [
        opening(),
        CustomerReplied(contact_id=CONTACT, message=message()),
        AutomaticMessageAdded(contact_id=CONTACT, message=message("bounce")),
        aside,
        OperatorReplied(
            reply_id=UUID(int=61), operator_id=ANNA, contact_id=CONTACT, text="Done", seen_version=4
        ),
        StageChanged(before="new", after="resolved", actor=BY_ANNA, cycle=1, assignment_no=9),
        StageChanged(before="new", after="closed", actor=BY_ANNA, cycle=1, assignment_no=9),
        TicketOffered(offer_id=OFFER, operator_id=ANNA, queue_id=QUEUE, until=NOW, assignment_no=9),
        OfferDeclined(offer_id=OFFER, operator_id=ANNA, assignment_no=9),
        OfferEnded(offer_id=OFFER, operator_id=ANNA, reason="timed_out", assignment_no=9),
        TicketAccepted(operator_id=ANNA, offer_id=OFFER, actor=BY_ANNA, assignment_no=9),
    ]
    reopens = [
        StageChanged(before="closed", after="in_progress", actor=BY_ANNA, cycle=cycle, assignment_no=9)
        for cycle in (2, 3)
    ]
    changes = project([(envelope(fact), fact) for fact in [*twice, *twice, *reopens]], known())
    assert changes.flow == {
        (QUARTER, LINE): FlowRow(
            opened=2,
            customer_replies=2,
            operator_replies=2,
            automatic=2,
            resolved=2,
            reopened=2,
            closed=2,
            set_aside=2,
        )
    }
    assert list(changes.load.values()) == [
        LoadRow(offered=2, accepted=2, declined=2, timed_out=2, replies=2, resolved=2)
    ]


def test_rows_of_owners_that_told_nothing_are_empty() -> None:
    assert SlaPart() == SlaPart(None, None, None, None, None, None, None)
    assert TicketRow(TICKET).told == set()
    made = opening(message=message("list"))
    card = project([(envelope(made), made)]).tickets[TICKET].card
    assert card is not None
    assert card.last_message_kind == "automatic"


def test_a_decision_is_by_default_about_nothing_else() -> None:
    made = DecisionRow(EVENT, TICKET, "queued", AT, EVENT, 9)
    assert (made.attempt, made.queue_id, made.operator_id, made.offer_id, made.reason) == (None,) * 5
    assert (made.candidates, made.basis) == ([], {})
    assert TicketRow(TICKET) == TicketRow(TICKET, told={"card"})
    bare = opening().model_copy(update={"message": message("list")})
    card = project([(envelope(bare), bare)]).tickets[TICKET].card
    assert card is not None
    assert replace(card, last_message_kind=None) != card
