"""Event → row changes, without a database."""

import copy
from dataclasses import astuple, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskline_analytics.domain.projecting import TicketUnknownError, project, tickets_in, types
from deskline_analytics.domain.rows import FlowRow, LineRow, TicketRow, TimelineRow, quarter_of
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact

pytestmark = pytest.mark.unit

Events = list[tuple[Envelope, Fact]]


class Memory:
    """The tables as the SQL keeps them."""

    def __init__(self) -> None:
        self.tickets: dict[UUID, TicketRow] = {}
        self.timeline: dict[tuple[UUID, int], TimelineRow] = {}
        self.flow: dict[tuple[datetime, UUID], FlowRow] = {}
        self.lines: dict[UUID, LineRow] = {}
        self.fresh: dict[str, datetime] = {}

    def apply(self, events: Events) -> "Memory":
        known = {t: copy.copy(self.tickets[t]) for t in tickets_in(events) if t in self.tickets}
        changes = project(events, known)
        self.tickets |= changes.tickets
        for row in changes.timeline:
            assert (row.ticket_id, row.sequence) not in self.timeline
            self.timeline[row.ticket_id, row.sequence] = row
        for key, added in changes.flow.items():
            kept = self.flow.setdefault(key, FlowRow())
            for one in fields(FlowRow):
                setattr(kept, one.name, getattr(kept, one.name) + getattr(added, one.name))
        for line_id, told in changes.lines.items():
            before = self.lines.get(line_id)
            if before is None or (before.told_at, before.told_by) < (told.told_at, told.told_by):
                self.lines[line_id] = told
        for owner, time in changes.fresh.items():
            self.fresh[owner] = max(self.fresh.get(owner, time), time)
        return self

    def state(self) -> Any:
        return (
            {key: astuple(row) for key, row in self.tickets.items()},
            {key: astuple(row) for key, row in self.timeline.items()},
            {key: astuple(row) for key, row in self.flow.items()},
            self.lines,
            self.fresh,
        )


def interleaved(events: Events, order: list[int], streams_of: Any) -> Events:
    """The same events; order is kept inside each stream only (`streams_of` says what a stream is)."""
    queues: dict[Any, Events] = {}
    for one in events:
        queues.setdefault(streams_of(one[0]), []).append(one)
    mixed: Events = []
    for choice in order:
        keys = sorted((key for key, queue in queues.items() if queue), key=str)
        if not keys:
            break
        mixed.append(queues[keys[choice % len(keys)]].pop(0))
    return mixed + [one for queue in queues.values() for one in queue]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), seed=st.integers(0, 20))
def test_any_interleaving_in_any_batches_gives_the_same_rows(make_story: Any, data: Any, seed: int) -> None:
    events = make_story(seed).live(tickets=4, events=30).events()
    expected = Memory().apply(events).state()
    order = data.draw(st.lists(st.integers(0, 50), min_size=len(events), max_size=len(events)))
    mixed = interleaved(events, order, lambda e: (e.owner, e.subject))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(mixed) - 1), max_size=6)))
    memory = Memory()
    for begin, end in zip([0, *cuts], [*cuts, len(mixed)], strict=True):
        memory.apply(mixed[begin:end])
    assert memory.state() == expected


def test_a_ticket_lives_through_its_stages(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open()
    for step in ("in_progress", "resolved", "in_progress", "resolved", "closed"):
        story.move(ticket_id, step)
    story.answer(ticket_id)
    story.note(ticket_id)
    story.prioritise(ticket_id)
    story.reply(ticket_id, "auto_reply")
    events = story.events()
    memory = Memory().apply(events)
    row = memory.tickets[ticket_id]
    mine = [envelope for envelope, _ in events if envelope.subject == ticket_id]
    assert (row.stage, row.open, row.cycle, row.reopened) == ("closed", False, 2, 1)
    assert (row.resolved_at, row.closed_at) == (mine[4].time, mine[5].time)
    assert (row.first_operator_at, row.last_operator_at) == (mine[6].time, mine[6].time)
    assert (row.version, row.changed_at) == (mine[-1].sequence, mine[-1].time)
    assert (row.customer_messages, row.operator_messages, row.automatic_messages, row.notes) == (1, 1, 1, 1)
    assert (row.priority, row.last_message_kind, row.closing_reason) == ("critical", "automatic", "solved")
    assert row.first_customer_at == story.tickets[ticket_id].message.received_at
    assert [row.type for key, row in sorted(memory.timeline.items())][:2] == ["TicketOpened", "StageChanged"]


def test_reopening_clears_what_the_resolution_set(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open()
    story.move(ticket_id, "resolved")
    assert Memory().apply(story.events()).tickets[ticket_id].resolved_at is not None
    story.move(ticket_id, "in_progress")
    row = Memory().apply(story.events()).tickets[ticket_id]
    assert (row.resolved_at, row.closing_reason, row.open, row.reopened) == (None, None, True, 1)


def test_a_machine_never_counts_as_the_customer(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open(kind="auto_reply")
    row = Memory().apply(story.events()).tickets[ticket_id]
    assert (row.first_customer_at, row.last_customer_at, row.customer_messages) == (None, None, 0)
    assert (row.last_message_kind, row.automatic_messages) == ("automatic", 1)


def test_messages_read_late_do_not_turn_back_the_customers_last_word(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open()
    story.reply(ticket_id)
    late = story.told[-1][2]
    last = late.message.received_at
    early = late.message.model_copy(update={"received_at": last - timedelta(days=1)})
    story.say("tickets", ticket_id, late.model_copy(update={"message": early}))
    row = Memory().apply(story.events()).tickets[ticket_id]
    assert (row.first_customer_at, row.last_customer_at) == (early.received_at, last)


def test_flow_equals_a_naive_recount(make_story: Any) -> None:
    story = make_story(4).live(tickets=6, events=80)
    events = story.events()
    flow = Memory().apply(events).flow
    for name, wanted in (
        ("opened", "TicketOpened"),
        ("customer_replies", "CustomerReplied"),
        ("operator_replies", "OperatorReplied"),
        ("automatic", "AutomaticMessageAdded"),
        ("set_aside", "MessageSetAside"),
        ("received", "MessageReceived"),
    ):
        counted = sum(type(fact).__name__ == wanted for _, fact in events)
        assert counted > 0
        assert sum(getattr(row, name) for row in flow.values()) == counted
    moves = [fact for _, fact in events if type(fact).__name__ == "StageChanged"]
    assert sum(row.resolved for row in flow.values()) == sum(m.after == "resolved" for m in moves)
    assert sum(row.closed for row in flow.values()) == sum(m.after == "closed" for m in moves)
    assert sum(row.reopened for row in flow.values()) == sum(
        m.before in {"resolved", "closed"} and m.after == "in_progress" for m in moves
    )


def test_no_personal_text_but_the_subject_is_kept(make_story: Any) -> None:
    story = make_story(2).live(tickets=5, events=60)
    memory = Memory().apply(story.events())
    assert all(story.canary in row.subject for row in memory.tickets.values())
    for row in memory.tickets.values():
        row.subject = ""
    assert story.canary not in repr(memory.state())


def test_an_event_without_its_opening_is_refused(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open()
    story.answer(ticket_id)
    with pytest.raises(TicketUnknownError, match=str(ticket_id)):
        project(story.events()[-1:])


def test_every_type_of_the_catalogue_is_projected() -> None:
    assert types() == set(CATALOG)


def test_quarters_begin_at_whole_quarters() -> None:
    moment = datetime(2026, 3, 1, 23, 44, 59, 999, tzinfo=UTC)
    assert quarter_of(moment) == datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
