"""Event → row changes, without a database."""

import copy
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskline_analytics.domain.projecting import (
    Known,
    TicketUnknownError,
    clocks_in,
    project,
    tickets_in,
    types,
)
from deskline_analytics.domain.rows import Card, Changes, quarter_of
from deskline_events.catalog import CATALOG
from deskline_events.envelope import Envelope
from deskline_events.facts import Fact

pytestmark = pytest.mark.unit

Events = list[tuple[Envelope, Fact]]


class Memory:
    """The tables as the SQL keeps them, each event applied once and in its stream's order."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Any, Any]] = {field.name: {} for field in fields(Changes)}
        self.seen: dict[tuple[str, UUID], int] = {}

    def apply(self, events: Events) -> "Memory":
        batch = [one for one in events if self._is_next(one[0])]
        tickets, clocks = self.tables["tickets"], self.tables["clocks"]
        known = Known(
            {key: copy.deepcopy(tickets[key]) for key in tickets_in(batch) if key in tickets},
            {key: copy.deepcopy(clocks[key]) for key in clocks_in(batch) if key in clocks},
        )
        changes = project(batch, known)
        for name in ("tickets", "clocks", "decisions", "outcomes", "notifications"):
            self.tables[name] |= getattr(changes, name)
        for name in ("operators", "teams", "queues"):
            self.tables[name] |= getattr(changes, name)
        for name in ("timeline", "documents"):
            for row in getattr(changes, name):
                assert (row.ticket_id, row.sequence) not in self.tables[name]
                self.tables[name][row.ticket_id, row.sequence] = row
        for name in ("flow", "load"):
            for key, added in getattr(changes, name).items():
                kept = self.tables[name].setdefault(key, type(added)())
                for one in fields(added):
                    setattr(kept, one.name, getattr(kept, one.name) + getattr(added, one.name))
        for line_id, told in changes.lines.items():
            before = self.tables["lines"].get(line_id)
            if before is None or (before.told_at, before.told_by) < (told.told_at, told.told_by):
                self.tables["lines"][line_id] = told
        for owner, time in changes.fresh.items():
            self.tables["fresh"][owner] = max(self.tables["fresh"].get(owner, time), time)
        return self

    def _is_next(self, envelope: Envelope) -> bool:
        stream = envelope.owner, envelope.subject
        fresh = envelope.sequence == self.seen.get(stream, 0) + 1
        if fresh:
            self.seen[stream] = envelope.sequence
        return fresh

    def card(self, ticket_id: UUID) -> Card:
        card = self.tables["tickets"][ticket_id].card
        assert isinstance(card, Card)
        return card

    def state(self) -> Any:
        return copy.deepcopy(self.tables)


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
    repeats = data.draw(st.lists(st.integers(0, len(mixed) - 1), max_size=10))
    mixed += [mixed[place] for place in repeats]
    for place in repeats:
        mixed.insert(data.draw(st.integers(place + 1, len(mixed))), mixed[place])
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
    row = memory.card(ticket_id)
    mine = [envelope for envelope, _ in events if envelope.subject == ticket_id]
    assert (row.stage, row.open, row.cycle, row.reopened) == ("closed", False, 2, 1)
    assert (row.resolved_at, row.closed_at) == (mine[4].time, mine[5].time)
    assert (row.first_operator_at, row.last_operator_at) == (mine[6].time, mine[6].time)
    assert (row.version, row.changed_at) == (mine[-1].sequence, mine[-1].time)
    assert (row.customer_messages, row.operator_messages, row.automatic_messages, row.notes) == (1, 1, 1, 1)
    assert (row.priority, row.last_message_kind, row.closing_reason) == ("critical", "automatic", "solved")
    assert row.first_customer_at == story.tickets[ticket_id].message.received_at
    assert [row.type for _, row in sorted(memory.tables["timeline"].items())][:2] == [
        "TicketOpened",
        "StageChanged",
    ]


def test_reopening_clears_what_the_resolution_set(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open()
    story.move(ticket_id, "resolved")
    assert Memory().apply(story.events()).card(ticket_id).resolved_at is not None
    story.move(ticket_id, "in_progress")
    row = Memory().apply(story.events()).card(ticket_id)
    assert (row.resolved_at, row.closing_reason, row.open, row.reopened) == (None, None, True, 1)


def test_a_machine_never_counts_as_the_customer(make_story: Any) -> None:
    story = make_story()
    ticket_id = story.open(kind="auto_reply")
    row = Memory().apply(story.events()).card(ticket_id)
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
    row = Memory().apply(story.events()).card(ticket_id)
    assert (row.first_customer_at, row.last_customer_at) == (early.received_at, last)


def test_flow_equals_a_naive_recount(make_story: Any) -> None:
    story = make_story(4).live(tickets=6, events=80)
    events = story.events()
    flow = Memory().apply(events).tables["flow"]
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


def test_no_personal_text_is_kept_but_what_is_blanked(make_story: Any) -> None:
    story = make_story(2).live(tickets=5, events=60)
    memory = Memory().apply(story.events())
    for row in memory.tables["tickets"].values():
        assert story.canary in row.card.subject
        row.card.subject = ""
    # The words of documents are kept as lexemes under the person's key, names of operators are blanked.
    assert story.canary in repr(memory.tables.pop("documents"))
    assert story.canary in repr(memory.tables.pop("operators"))
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
