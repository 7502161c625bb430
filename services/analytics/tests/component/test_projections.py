"""Events over the real relay and reader become rows, the same whatever the order between streams."""

import random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskline_analytics.domain.models import MODELS
from deskline_analytics.domain.projecting import project
from deskline_analytics.projections import apply_events, write
from deskline_chassis.applying import Transaction
from deskline_chassis.decoding import Received
from deskline_chassis.event_log import Cause

pytestmark = pytest.mark.component


def test_rows_equal_a_recount_by_the_pure_part(rig: Any, make_story: Any) -> None:
    story = make_story(3).live(tickets=6, events=60)
    rig.tell(story)
    rig.read_all()
    stored: dict[str, list[Any]] = {}
    for owner in rig.owners.values():
        with owner.database.transaction() as connection:
            stored[owner.name] = connection.execute("SELECT stream, sequence, type FROM events").fetchall()
    assert rig.ask("SELECT count(*) FROM open_tickets") == [(len(story.tickets),)]
    on_tickets = {(s, n, t.split(".")[2]) for s, n, t in stored["tickets"] if s in story.tickets}
    assert set(rig.ask("SELECT ticket_id, sequence, type FROM ticket_timeline")) == on_tickets
    subjects = dict(rig.ask("SELECT ticket_id, subject FROM open_tickets"))
    assert subjects == {ticket_id: opened.subject for ticket_id, opened in story.tickets.items()}
    (received,) = rig.ask("SELECT sum(received) FROM daily_flow")
    assert received[0] == sum(kind.endswith("MessageReceived.v1") for _, _, kind in stored["intake"])
    fresh = dict(rig.ask("SELECT owner, as_of FROM freshness"))
    for owner in rig.owners.values():
        with owner.database.transaction() as connection:
            assert connection.execute("SELECT max(time) FROM events").fetchone() == (fresh[owner.name],)


def test_redelivery_changes_nothing(rig: Any, make_story: Any, until: Any) -> None:
    rig.tell(make_story(5).live(tickets=4, events=30))
    rig.read_all()
    before = rig.state()
    rig.as_owner("UPDATE positions SET next_offset = 0")
    with rig.reading():
        rig.wait_applied()
        ends = sum(owner.count() for owner in rig.owners.values())
        query = "SELECT sum(next_offset) FROM positions WHERE topic LIKE '%.events'"
        until(lambda: rig.ask(query) == [(ends,)], "all topics read again")
    assert rig.state() == before


@settings(
    deadline=None,
    max_examples=12,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 5), shuffle=st.integers(0, 10_000), size=st.integers(1, 40))
def test_any_interleaving_gives_the_same_tables(
    shared_rig: Any, make_story: Any, seed: int, shuffle: int, size: int
) -> None:
    events = make_story(seed).live(tickets=4, events=25).events()

    def play(order: list[Any], size: int) -> Any:
        for model in MODELS:
            shared_rig.as_owner(f"DELETE FROM {model}")
        for at in range(0, len(order), size):
            received = [Received(e, f, Cause(UUID(int=1))) for e, f in order[at : at + size]]
            with shared_rig.database.transaction() as connection:
                apply_events(Transaction(connection), received)
        return shared_rig.state()

    queues: dict[Any, list[Any]] = {}
    for one in events:
        queues.setdefault((one[0].owner, one[0].subject), []).append(one)
    chooser, mixed = random.Random(shuffle), []
    while queues:
        key = chooser.choice(sorted(queues, key=str))
        mixed.append(queues[key].pop(0))
        if not queues[key]:
            del queues[key]
    assert play(mixed, size) == play(events, len(events))


def test_a_batch_takes_few_statements(shared_rig: Any, make_story: Any) -> None:
    events = make_story(8).live(tickets=30, events=400).events()

    class Counting:
        def __init__(self, connection: Any) -> None:
            self.connection, self.statements = connection, 0

        def execute(self, *arguments: Any) -> Any:
            self.statements += 1
            return self.connection.execute(*arguments)

    for model in MODELS:
        shared_rig.as_owner(f"DELETE FROM {model}")
    with shared_rig.database.transaction() as connection:
        counting = Counting(connection)
        write(counting, project(events))  # type: ignore[arg-type]
    # Decisions are told by two owners.
    assert counting.statements == len(MODELS) + 1
