"""Several replicas, repeats, batches cut anywhere: capacity holds, and nothing is decided twice or lost."""

import contextlib
import random
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from deskline_chassis.applying import SurroundingsError
from deskline_routing.adapters.desk import PostgresDesk

pytestmark = pytest.mark.component
Play = Callable[[], None]


def loads(bureau: Any) -> dict[Any, int]:
    """What each operator carries at this moment, offers included."""
    return dict(
        bureau.rows(
            "SELECT holder, count(*) FROM (SELECT assignee_id AS holder FROM tickets"
            " WHERE assignee_id IS NOT NULL AND stage IN ('new', 'in_progress')"
            " UNION ALL SELECT offer_operator_id FROM tickets WHERE offer_id IS NOT NULL) AS held"
            " GROUP BY holder"
        )
    )


def test_two_replicas_at_once_never_exceed_a_capacity_and_share_the_work(
    bureau: Any, other_bureau: Any, tickets: Any
) -> None:
    operators = [bureau.operator(capacity=7) for _ in range(5)]
    opened = [tickets.open() for _ in range(60)]
    worked: Counter[str] = Counter()
    exceeded: list[Any] = []
    done = threading.Event()

    def work(name: str, replica: Any, partitions: tuple[int, ...]) -> None:
        while not done.is_set():
            worked[name] += replica.drain(partitions, most=5)
            if any(load > 7 for load in loads(replica).values()):
                exceeded.append(loads(replica))

    threads = [
        threading.Thread(target=work, args=("one", bureau, (0, 1))),
        threading.Thread(target=work, args=("two", other_bureau, (2, 3))),
    ]
    for thread in threads:
        thread.start()
    quiet = 0
    while quiet < 20:
        quiet = 0 if tickets.answer() else quiet + 1
        for ticket in opened:
            if tickets.holder(ticket) is not None and ticket.int % 3:
                tickets.decline(ticket) if ticket.int % 5 == 0 else tickets.accept(ticket)
                quiet = 0
        threading.Event().wait(0.02)
    done.set()
    for thread in threads:
        thread.join(30)
    assert not exceeded
    carried = loads(bureau)
    assert set(carried) == set(operators)
    assert set(carried.values()) == {7}
    assert min(worked["one"], worked["two"]) > 20
    assert bureau.rows("SELECT count(*) FROM tickets WHERE waiting") == [(25,)]


def test_two_replicas_that_look_at_the_same_moment_offer_the_last_place_once(
    bureau: Any, other_bureau: Any, tickets: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    olga = bureau.operator(capacity=1)
    opened = [tickets.open() for _ in range(8)]
    while len({ticket.int % 2 for ticket in opened}) == 1:
        opened.append(tickets.open())
    bureau.drain()
    tickets.answer()
    both_looked = threading.Barrier(2)
    look = PostgresDesk.office

    def look_together(desk: PostgresDesk) -> Any:
        seen = look(desk)
        # Who holds the lock waits here in vain for the other one, which waits for the lock.
        with contextlib.suppress(threading.BrokenBarrierError):
            both_looked.wait(1)
        return seen

    monkeypatch.setattr(PostgresDesk, "office", look_together)
    threads = [
        threading.Thread(target=replica.drain, args=(partitions,))
        for replica, partitions in ((bureau, (0, 2)), (other_bureau, (1, 3)))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert both_looked.broken
    assert loads(bureau) == {olga: 1}
    said = Counter(bureau.said(ticket)[-1] for ticket in opened)
    assert said == {"OfferMade": 1, "NobodyAvailable": len(opened) - 1}


def test_repeats_and_any_cut_of_batches_end_in_the_same_state(
    bureau: Any, other_bureau: Any, tickets: Any
) -> None:
    dice = random.Random(4)
    for _ in range(3):
        bureau.operator(capacity=4)
    opened = [tickets.open() for _ in range(12)]
    for step in range(300):
        replica, partitions = dice.choice([(bureau, (0, 2)), (other_bureau, (1, 3))])
        replica.drain(partitions, most=dice.choice([1, 2, 7]))
        if step % 3 == 0:
            tickets.answer()
        ticket = dice.choice(opened)
        known = tickets.known[ticket]
        if known.offer is not None:
            dice.choice([tickets.accept, tickets.decline, tickets.accept])(ticket)
        elif known.assignee_id is not None and dice.random() < 0.2:
            dice.choice([tickets.unassign, lambda one: tickets.stage(one, "resolved")])(ticket)
        if step % 40 == 0:
            tickets.topic.repeat(ticket)
    while bureau.drain() + tickets.answer():
        assert all(load <= 4 for load in loads(bureau).values())
    for ticket in opened:
        known = tickets.known[ticket]
        rows = bureau.rows(
            "SELECT stage, assignment_no, assignee_id, queue_id, offer_id FROM tickets WHERE ticket_id = %s",
            ticket,
        )
        offer = None if known.offer is None else known.offer["offer_id"]
        stage, number, assignee, queue, offered = rows[0]
        assert (stage, number, assignee, queue) == (
            known.stage,
            known.assignment_no,
            known.assignee_id,
            known.queue_id,
        )
        assert str(offered) == str(offer)
    decided = bureau.rows("SELECT count(*), count(DISTINCT event_id) FROM decisions")
    assert decided[0][0] == decided[0][1] > 24


def test_a_replica_that_dies_in_the_middle_loses_no_decision(
    bureau: Any, other_bureau: Any, tickets: Any, play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    bureau.operator(capacity=9)
    opened = [tickets.open() for _ in range(5)]
    whole = bureau.database.transaction

    class Dying:
        """The connection is cut after everything was written and before the commit."""

        def __enter__(self) -> Any:
            self.inner = whole()
            self.connection = self.inner.__enter__()
            return self.connection

        def __exit__(self, *error: object) -> Any:
            with psycopg.connect(bureau.base.runtime_url) as connection:
                pid = self.connection.info.backend_pid
                connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
            return self.inner.__exit__(*error)

    offsets = bureau.applier.assigned([("deskline.tickets.events", number) for number in range(4)])
    batch = {place: list(bureau.topic.partitions[place[1]]) for place in offsets}
    monkeypatch.setattr(bureau.database, "transaction", Dying)
    with pytest.raises(SurroundingsError):
        bureau.applier.apply({place: records for place, records in batch.items() if records})
    monkeypatch.undo()
    assert bureau.rows("SELECT count(*) FROM tickets") == [(0,)]
    while other_bureau.drain() + tickets.answer():
        pass
    assert [bureau.said(ticket) for ticket in opened] == [["TicketQueued", "OfferMade"]] * 5


def test_a_second_decision_of_the_same_attempt_is_refused_by_its_key(
    bureau: Any, tickets: Any, play: Play
) -> None:
    bureau.operator()
    ticket = tickets.open()
    play()
    number, kind, attempt = bureau.rows(
        "SELECT assignment_no, kind, attempt FROM decisions WHERE kind = 'operator'"
    )[0]
    with (
        bureau.database.transaction() as connection,
        pytest.raises(psycopg.errors.UniqueViolation),
    ):
        connection.execute(
            "INSERT INTO decisions VALUES (%s, %s, %s, %s, %s)", (ticket, number, kind, attempt, ticket)
        )
