"""States come from the log alone: history, caches of several replicas, snapshots, roles."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
import pytest

from deskline_chassis.event_log import SequenceTakenError
from deskline_chassis.migrate import table_kinds
from deskline_events.intake import MessageReceived
from deskline_tickets.adapters.event_store import FactMapper, JoinedRecorder
from deskline_tickets.domain.ticket import Recorded, replay

pytestmark = pytest.mark.component
Make = Callable[..., MessageReceived]


def worked(office: Any, door: Any, message_of: Make, rounds: int = 2) -> UUID:
    """A ticket with some history: replies, notes, moves, a customer's answers."""
    customer = office.customer()
    ticket_id: UUID = office.open_ticket(customer)
    path = f"/v1/tickets/{ticket_id}"
    token = office.ticket(ticket_id).reply_token
    for n in range(rounds):
        seen = office.ticket(ticket_id).version
        body = {"text": f"ответ {n}", "seen_version": seen}
        body |= {"then_stage": "resolved", "closing_reason": "solved"}
        assert door.post(f"{path}/replies", body).status_code == 201
        assert door.post(f"{path}/notes", {"text": "заметка"}).status_code == 201
        office.take(message_of(customer, reply_token=token))
    return ticket_id


def recorded(office: Any, ticket_id: UUID) -> list[Recorded]:
    mapper = FactMapper()
    with office.database.transaction() as connection:
        rows = JoinedRecorder(connection, office.log).select_events(ticket_id)
    events = [mapper.to_domain_event(row) for row in rows]
    return [Recorded(ticket_id, event.originator_version, event.time, event.fact) for event in events]


def test_history_at_every_version_and_moment_equals_a_replay(
    office: Any, door: Any, message_of: Make
) -> None:
    ticket_id = worked(office, door, message_of)
    log = recorded(office, ticket_id)
    assert len(log) > 10
    for version in range(1, len(log) + 1):
        ticket = replay(log[:version])
        assert ticket is not None
        told = door.get(f"/v1/tickets/{ticket_id}/history", params={"version": version}).json()
        state = told["state"]
        assert state["version"] == version == len(told["events"])
        for name in ("stage", "priority", "cycle", "level", "assignment_no", "closing_reason"):
            assert state[name] == getattr(ticket, name)
        for name in ("resolved_at", "closed_at", "opened_at", "first_human_reply_at"):
            told_at = None if state[name] is None else datetime.fromisoformat(state[name])
            assert told_at == getattr(ticket, name)
        moment = door.get(
            f"/v1/tickets/{ticket_id}/history", params={"at": log[version - 1].time.isoformat()}
        ).json()
        upto = [one for one in log if one.time <= log[version - 1].time]
        assert moment["state"]["version"] == len(upto)


def test_history_says_who_what_when_and_why_and_no_texts(office: Any, door: Any, message_of: Make) -> None:
    ticket_id = worked(office, door, message_of, rounds=1)
    answer = door.get(f"/v1/tickets/{ticket_id}/history")
    events = answer.json()["events"]
    assert [one["actor"]["kind"] for one in events][:2] == ["contact", "operator"]
    assert events[1]["actor"]["id"] == str(door.actor)
    assert events[1]["cause"]["causation_id"] == events[1]["cause"]["correlation_id"]
    assert events[0]["cause"]["causation_id"] != events[0]["cause"]["correlation_id"]
    for word in ("ответ", "заметка", "печатает", "Принтер", "reply_token"):
        assert word not in answer.text


def test_history_of_no_such_moment_is_not_found(office: Any, door: Any) -> None:
    path = f"/v1/tickets/{office.open_ticket()}/history"
    early = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    for then in ({"version": 2}, {"at": early}):
        answer = door.get(path, params=then)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_then")
    wrong: tuple[dict[str, Any], ...] = (
        {"version": 0},
        {"version": 1, "at": early},
        {"at": "2026-01-01T00:00:00"},
        {"v": 1},
    )
    for params in wrong:
        assert door.get(path, params=params).status_code == 422


def test_a_stale_cache_of_another_replica_heals(
    office: Any, other_office: Any, door: Any, other_door: Any
) -> None:
    ticket_id = office.open_ticket()
    path = f"/v1/tickets/{ticket_id}"
    assert other_office.ticket(ticket_id).version == 1
    assert door.post(f"{path}/priority", {"priority": "high"}, version=1).status_code == 200
    stale = other_door.post(f"{path}/stage", {"stage": "in_progress"}, version=1)
    assert stale.status_code == 412
    assert other_door.post(f"{path}/stage", {"stage": "in_progress"}, version=2).status_code == 200
    assert office.ticket(ticket_id) == other_office.ticket(ticket_id)


def test_replicas_that_write_one_ticket_at_once_lose_nothing(
    office: Any, other_office: Any, door: Any, other_door: Any, message_of: Make
) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    path, token = f"/v1/tickets/{ticket_id}", office.ticket(ticket_id).reply_token

    def reply(replica: Any) -> None:
        for _ in range(10):
            assert replica.take(message_of(customer, reply_token=token)) == [ticket_id]

    def note(at: Any) -> None:
        for _ in range(10):
            assert at.post(f"{path}/notes", {"text": "x"}).status_code == 201

    # FastAPI makes a route when it is first looked at, which two threads may not do at once: what is no
    # route's makes it look at them all.
    assert [at.get("/v1/none").status_code for at in (door, other_door)] == [404, 404]
    with ThreadPoolExecutor(8) as threads:
        replicas = [threads.submit(reply, one) for one in (office, other_office) * 2]
        doors = [threads.submit(note, one) for one in (door, other_door) * 2]
        for one in (*replicas, *doors):
            one.result()
    types = office.types(ticket_id)
    assert (types.count("CustomerReplied.v1"), types.count("NoteAdded.v1")) == (40, 40)
    assert office.ticket(ticket_id) == other_office.ticket(ticket_id) == replay(recorded(office, ticket_id))


def test_a_held_state_that_the_log_does_not_know_is_let_go(
    office: Any, other_office: Any, door: Any, other_door: Any
) -> None:
    ticket_id = office.open_ticket()
    path = f"/v1/tickets/{ticket_id}"
    assert door.post(f"{path}/notes", {"text": "x"}).status_code == 201
    # The database was restored to the moment before the note, and went on otherwise.
    office.as_owner("DELETE FROM events WHERE stream = %s AND sequence = 2", (ticket_id,))
    assert other_door.post(f"{path}/priority", {"priority": "low"}, version=1).status_code == 200
    assert office.ticket(ticket_id) == other_office.ticket(ticket_id)
    assert door.post(f"{path}/notes", {"text": "x"}).status_code == 201
    office.as_owner("DELETE FROM events WHERE stream = %s AND sequence = 3", (ticket_id,))
    assert office.ticket(ticket_id).version == 2
    assert office.types(ticket_id) == ["TicketOpened.v1", "PriorityChanged.v1"]


def test_a_sequence_taken_by_another_writer_is_tried_once_more(
    office: Any, door: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket_id = office.open_ticket()
    append, failures = office.log.append, [SequenceTakenError("taken")]

    def unlucky(*given: Any) -> Any:
        if failures:
            raise failures.pop()
        return append(*given)

    monkeypatch.setattr(office.log, "append", unlucky)
    assert door.post(f"/v1/tickets/{ticket_id}/notes", {"text": "x"}).status_code == 201
    failures += [SequenceTakenError("taken")] * 2
    answer = door.post(f"/v1/tickets/{ticket_id}/notes", {"text": "x"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")


def test_a_rolled_back_state_is_never_held(office: Any, message_of: Make) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token

    def fail(*_: Any) -> None:
        raise RuntimeError("after the append")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("deskline_tickets.adapters.desk.write_arrivals", fail)
        with pytest.raises(RuntimeError, match="after the append"):
            office.take(message_of(customer, reply_token=token))
    assert office.ticket(ticket_id).version == 1


def test_snapshots_come_every_fifty_events_and_dropping_them_changes_nothing(
    office: Any, other_office: Any, door: Any, message_of: Make
) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token
    for _ in range(3):
        office.take(*[message_of(customer, reply_token=token) for _ in range(40)])
    ((version, state),) = office.rows(
        "SELECT version, state::text FROM snapshots WHERE ticket_id = %s", ticket_id
    )
    assert version == 121
    assert "печатает" not in state
    assert other_office.ticket(ticket_id) == office.ticket(ticket_id) == replay(recorded(office, ticket_id))
    other_office.store.forget([ticket_id])
    # That the snapshot is used, a false one shows; that it can be dropped, the truth after it.
    office.rows(
        "UPDATE snapshots SET state = jsonb_set(state::jsonb, '{priority}', to_jsonb('critical'::text))::json"
        " WHERE ticket_id = %s RETURNING 1",
        ticket_id,
    )
    assert other_office.ticket(ticket_id).priority == "critical"
    office.as_owner("TRUNCATE snapshots")
    other_office.store.forget([ticket_id])
    assert other_office.ticket(ticket_id) == office.ticket(ticket_id) == replay(recorded(office, ticket_id))


def test_a_snapshot_of_another_format_or_of_an_event_that_is_gone_is_passed_over(
    office: Any, other_office: Any, message_of: Make
) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token
    office.take(*[message_of(customer, reply_token=token) for _ in range(60)])
    right = office.ticket(ticket_id)
    for spoil in ("format = 0", "format = 1", "format = 2, time = time - interval '1 s'", "version = 1000"):
        office.rows(
            f"UPDATE snapshots SET {spoil},"
            " state = jsonb_set(state::jsonb, '{priority}', to_jsonb('critical'::text))::json"
            " WHERE ticket_id = %s RETURNING 1",
            ticket_id,
        )
        other_office.store.forget([ticket_id])
        assert other_office.ticket(ticket_id) == right


def test_many_tickets_are_loaded_by_one_query(office: Any, other_office: Any, message_of: Make) -> None:
    ids = office.take(*[message_of(office.customer()) for _ in range(20)])
    with other_office.database.transaction() as connection:
        counting, asked = connection.execute, 0

        def execute(*given: Any, **named: Any) -> Any:
            nonlocal asked
            asked += 1
            return counting(*given, **named)

        connection.execute = execute
        held = other_office.store.load_many(connection, ids)
        assert asked == 1
        del connection.execute
    assert {one.ticket.version for one in held.values()} == {1}
    assert set(held) == set(ids)


def test_the_list_of_set_aside_messages_can_be_made_anew(office: Any, message_of: Make) -> None:
    from deskline_tickets.projections import rebuild_set_aside

    office.take(message_of(office.customer(), kind="list"), message_of(office.customer(), kind="bounce"))
    before = office.rows("SELECT * FROM set_aside ORDER BY stream")
    office.as_owner("TRUNCATE set_aside")
    with office.database.transaction() as connection:
        office.log.lock(connection)
        assert rebuild_set_aside(connection) == len(before)
    assert office.rows("SELECT * FROM set_aside ORDER BY stream") == before


def test_the_running_service_cannot_change_what_is_append_only(office: Any) -> None:
    with psycopg.connect(office.base.owner_url) as connection:
        kinds = {table: kind for (_, table), kind in table_kinds(connection).items()}
    ours = {"sources", "message_ids", "tickets_index", "events"}
    assert {kinds[table] for table in ours} == {"truth, append-only"}
    assert kinds["snapshots"] == kinds["set_aside"] == "read model"
    for table in ours:
        for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                office.rows(statement)
