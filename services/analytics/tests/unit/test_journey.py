"""What routing, sla and notify tell of a ticket, and how tickets answers them."""

from collections import Counter
from datetime import UTC
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from services.analytics.tests.journey import Journey

from deskline_analytics.domain.projecting import (
    ClockUnknownError,
    Known,
    clocks_in,
    project,
    tickets_in,
)
from deskline_analytics.domain.rows import Card, Changes, TicketRow
from deskline_analytics.domain.wording import MAX_INDEXED_BYTES, searchable, storable
from deskline_events.sla import ClockMet, ClockStarted, SlaBreached, SlaWarned

pytestmark = pytest.mark.unit

GROUPS = {"tickets": "card", "routing": "routing", "sla": "sla", "notify": "notify"}


def told(story: Journey) -> Changes:
    return project(story.events())


def card_of(changes: Changes, ticket_id: UUID) -> Card:
    card = changes.tickets[ticket_id].card
    assert card is not None
    return card


def one_ticket(make_story: Any) -> tuple[Journey, UUID]:
    story = make_story().staff()
    return story, story.open()


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 200))
def test_each_owner_writes_its_own_columns_and_reads_no_others(make_story: Any, seed: int) -> None:
    events = make_story(seed).live(tickets=3, events=60).events()
    whole = project(events).tickets
    for owner, group in GROUPS.items():
        alone = project([one for one in events if one[0].owner == owner]).tickets
        for ticket_id, row in alone.items():
            fresh = TicketRow(ticket_id)
            assert getattr(row, group) == getattr(whole[ticket_id], group)
            for other in set(GROUPS.values()) - {group}:
                assert getattr(row, other) == getattr(fresh, other)


def test_a_batch_asks_for_every_row_that_it_reads(make_story: Any) -> None:
    events = make_story(3).live(tickets=5, events=150).events()
    changes = project(events)
    assert set(changes.tickets) <= tickets_in(events)
    started = {(e.subject, f.clock, f.cycle) for e, f in events if isinstance(f, ClockStarted)}
    assert clocks_in(events) <= started
    with pytest.raises(ClockUnknownError):
        project([one for one in events if not isinstance(one[1], ClockStarted)], Known())


def test_an_offer_is_open_until_somebody_has_answered_it(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.enqueue(ticket_id)
    story.offer(ticket_id, story.operators[1])
    card = card_of(told(story), ticket_id)
    assert (card.queue_id, card.team_id) == (story.queues[0], story.teams[0])
    assert (card.offer_id, card.offer_operator_id) == (story.offer_of(ticket_id), story.operators[1])
    story.decline(ticket_id)
    card = card_of(told(story), ticket_id)
    assert (card.offer_id, card.offer_operator_id, card.offer_until) == (None, None, None)
    story.offer(ticket_id, story.operators[0])
    story.accept(ticket_id)
    changes = told(story)
    card = card_of(changes, ticket_id)
    assert (card.offer_id, card.assignee_id) == (None, story.operators[0])
    assert card.assigned_at == story.events()[-1][0].time
    assert [changes.outcomes[d].outcome for d in changes.decisions] == ["routed", "declined", "accepted"]
    story.escalate(ticket_id)
    card = card_of(told(story), ticket_id)
    assert (card.level, card.escalations, card.assignee_id, card.assigned_at) == (2, 1, None, None)


def test_each_decision_has_the_outcome_that_tickets_gave_it(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.enqueue(ticket_id, refused=True)
    story.enqueue(ticket_id)
    story.nobody(ticket_id)
    story.offer(ticket_id, refused=True)
    story.offer(ticket_id)
    story.end_offer(ticket_id)
    story.offer(ticket_id)
    story.end_offer(ticket_id, moved=True)
    story.offer(ticket_id)
    story.accept(ticket_id, withdrawn_meanwhile=True)
    story.lose_assignee(ticket_id)
    changes = told(story)
    found = [
        (row.kind, outcome and outcome.outcome, outcome and outcome.outcome_reason)
        for row in changes.decisions.values()
        for outcome in [changes.outcomes.get(row.decision_id)]
    ]
    assert found == [
        ("queued", "refused", "outdated"),
        ("queued", "routed", None),
        ("nobody", None, None),
        ("offered", "refused", "outdated"),
        ("offered", "ended", "timed_out"),
        ("withdrawn", "ended", "timed_out"),
        ("offered", "ended", "ticket_moved"),
        ("offered", "accepted", None),
        ("withdrawn", "refused", "outdated"),
        ("unassigned", "ended", "operator_left"),
    ]
    # Every outcome belongs to a decision that routing made.
    assert set(changes.outcomes) <= set(changes.decisions)
    offered = [row for row in changes.decisions.values() if row.kind == "offered"]
    assert [len(row.candidates) for row in offered] == [len(story.operators)] * 4
    assert changes.tickets[ticket_id].routing.offers_made == 4


def test_a_persons_choice_of_queue_answers_no_decision(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.requeue(ticket_id, 1)
    changes = told(story)
    assert changes.outcomes == {}
    assert card_of(changes, ticket_id).queue_id == story.queues[1]


def test_load_equals_a_naive_recount(make_story: Any) -> None:
    events = make_story(7).live(tickets=8, events=400).events()
    expected: Counter[Any] = Counter()
    assignee: dict[UUID, UUID | None] = {}
    names = {
        "TicketOffered": "offered",
        "TicketAccepted": "accepted",
        "OfferDeclined": "declined",
        "OperatorReplied": "replies",
    }
    for envelope, fact in events:
        kind, day = type(fact).__name__, envelope.time.astimezone(UTC).date()
        if kind in names:
            expected[day, fact.operator_id, names[kind]] += 1
        if kind == "OfferEnded" and fact.reason == "timed_out":
            expected[day, fact.operator_id, "timed_out"] += 1
        if kind == "StageChanged" and fact.after == "resolved":
            credited = fact.actor.id if fact.actor.kind == "operator" else assignee.get(envelope.subject)
            expected[day, credited, "resolved"] += 1
        if kind in {"TicketAccepted", "TicketUnassigned"}:
            assignee[envelope.subject] = fact.operator_id if kind == "TicketAccepted" else None
    counted = {
        (*key, name): getattr(row, name)
        for key, row in project(events).load.items()
        for name in row.__slots__
        if getattr(row, name)
    }
    assert counted == dict(expected)
    assert {name for _, _, name in counted} == {*names.values(), "timed_out", "resolved"}


def test_clocks_equal_a_naive_recount(make_story: Any) -> None:
    events = make_story(12).live(tickets=10, events=600).events()
    clocks = project(events).clocks
    by_clock: dict[Any, list[Any]] = {}
    for envelope, fact in events:
        if hasattr(fact, "clock"):
            by_clock.setdefault((envelope.subject, fact.clock, fact.cycle), []).append(fact)
    assert set(clocks) == set(by_clock)
    for key, facts in by_clock.items():
        row = clocks[key]
        breaches = [fact for fact in facts if isinstance(fact, SlaBreached)]
        met = [fact for fact in facts if isinstance(fact, ClockMet)]
        assert row.breached == bool(breaches or [fact for fact in met if fact.breached])
        assert row.met_at == (met[-1].met_at if met else None)
        assert row.due_at == [fact.due_at for fact in facts if hasattr(fact, "due_at")][-1]
        steps = [fact.step for fact in facts if isinstance(fact, SlaWarned)]
        assert row.warned_steps == list(dict.fromkeys(steps))
        assert row.pauses == sum(type(fact).__name__ == "ClockPaused" for fact in facts)
        assert row.recalculated == sum(type(fact).__name__ == "SlaRecalculated" for fact in facts)
        if row.breached:
            assert row.breached_at == (breaches[0] if breaches else met[0]).due_at
    states = {row.state for row in clocks.values()}
    assert states == {"running", "paused", "met", "cancelled"}


def test_nothing_is_due_while_a_clock_stands_still(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.start_clock(ticket_id, "first_response")
    story.start_clock(ticket_id)
    story.tick(ticket_id, "pause", "resolution")
    sla = told(story).tickets[ticket_id].sla
    assert sla.first_response_due_at is not None
    assert (sla.resolution_cycle, sla.resolution_due_at, sla.resolution_breached) == (1, None, False)
    story.tick(ticket_id, "breach", "resolution")
    sla = told(story).tickets[ticket_id].sla
    assert sla.resolution_due_at is not None
    assert (sla.resolution_breached, sla.first_response_breached) == (True, False)


def test_a_new_cycle_shows_its_own_resolution(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.start_clock(ticket_id)
    story.tick(ticket_id, "breach")
    for stage in ("in_progress", "resolved", "in_progress"):
        story.move(ticket_id, stage)
    story.start_clock(ticket_id)
    changes = told(story)
    sla = changes.tickets[ticket_id].sla
    assert (sla.resolution_cycle, sla.resolution_breached) == (2, False)
    assert [row.breached for row in changes.clocks.values()] == [True, False]


def test_notifications_are_counted_by_what_became_of_them(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    story.notify(ticket_id)
    story.notify(ticket_id, "reply")
    story.notify(ticket_id, "breach", failed=True)
    changes = told(story)
    part, rows = changes.tickets[ticket_id].notify, list(changes.notifications.values())
    assert (part.notifications_sent, part.notifications_failed) == (2, 1)
    assert (part.acknowledged_at, part.last_notified_at) == (rows[0].told_at, rows[1].told_at)
    assert [(row.kind, row.state, row.reason) for row in rows] == [
        ("acknowledgement", "sent", None),
        ("reply", "sent", None),
        ("breach", "failed", "smtp_550"),
    ]


def test_a_document_holds_the_reply_without_its_quotes(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    message = story.message().model_copy(update={"text": "new\n> old", "reply": "new"})
    story.say_reply(ticket_id, message)
    opened, replied = told(story).documents
    assert (opened.subject, opened.body) == (
        story.tickets[ticket_id].subject,
        story.tickets[ticket_id].message.text,
    )
    assert (replied.subject, replied.body, replied.kind, replied.erased) == ("", "new", "customer", False)


def test_only_a_text_of_an_erased_person_counts_as_erased(make_story: Any) -> None:
    story, ticket_id = one_ticket(make_story)
    for reply, text in (("erased", "erased"), (None, "erased"), (None, "erased?")):
        story.say_reply(ticket_id, story.message().model_copy(update={"text": text, "reply": reply}))
    assert [row.erased for row in told(story).documents] == [False, True, True, False]


@given(st.text(st.characters(codec=None), max_size=50))
def test_any_text_can_be_kept_and_searched(text: str) -> None:
    for made in (storable(text), searchable(text)):
        assert "\0" not in made
        made.encode()


def test_long_texts_are_cut_at_a_letter() -> None:
    cut = searchable("я" * MAX_INDEXED_BYTES)
    assert set(cut) == {"я"}
    assert len(cut.encode()) == MAX_INDEXED_BYTES
    assert searchable("x" + "я" * MAX_INDEXED_BYTES).endswith("я")
    assert searchable("Ёлка ё") == "Елка е"
