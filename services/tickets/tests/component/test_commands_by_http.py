"""Operators' commands over HTTP on a real database: answers, refusals, repeats, races, lost answers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import psycopg
import pytest

pytestmark = pytest.mark.component


@pytest.fixture
def ticket(office: Any) -> str:
    return f"/v1/tickets/{office.open_ticket()}"


def id_of(path: str) -> str:
    return path.split("/")[3]


def test_an_operator_works_a_ticket_to_its_end(office: Any, door: Any, ticket: str) -> None:
    replied = door.post(
        f"{ticket}/replies", {"text": "Проверьте кабель", "seen_version": 1, "then_stage": "waiting_customer"}
    )
    assert replied.status_code == 201, replied.text
    assert replied.json()["version"] == 5
    assert replied.json()["stage"] == "waiting_customer"
    assert replied.json()["arrived_since"] == []
    assert replied.headers["ETag"] == '"5"'
    noted = door.post(f"{ticket}/notes", {"text": "Звонил сам", "mentions": [str(uuid4())]})
    assert (noted.status_code, noted.json()["version"]) == (201, 6)
    urgent = door.post(f"{ticket}/priority", {"priority": "high"}, version=6)
    assert urgent.json() == {"version": 7, "priority": "high"}
    done = door.post(f"{ticket}/stage", {"stage": "resolved", "closing_reason": "solved"}, version=7)
    assert (done.status_code, done.json()) == (200, {"version": 8, "stage": "resolved"})
    card = door.get(ticket).json()
    assert [one["kind"] for one in card["messages"]] == ["customer", "reply", "note"]
    assert [one["text"] for one in card["messages"]] == ["Не печатает", "Проверьте кабель", "Звонил сам"]
    assert (card["version"], card["stage"], card["closing_reason"]) == (8, "resolved", "solved")
    assert (card["priority"], card["level"], card["cycle"]) == ("high", 1, 1)
    assert "closed" in card["moves"]


def test_the_card_shows_what_came_and_an_etag(office: Any, door: Any, message_of: Any) -> None:
    customer = office.customer()
    thing = {"key": "k", "sha256": "a" * 64, "size": 7}
    file = {
        "attachment_id": uuid4(),
        "content": thing,
        "filename": "счёт.pdf",
        "media_type": "application/pdf",
    }
    (ticket_id,) = office.take(message_of(customer, reply="Без цитат", attachments=(file,)))
    answer = door.get(f"/v1/tickets/{ticket_id}", "lead")
    assert answer.headers["ETag"] == '"1"'
    assert answer.headers["Cache-Control"] == "no-store"
    card = answer.json()
    assert card["subject"] == "Принтер"
    assert card["participants"] == [str(customer)]
    (message,) = card["messages"]
    assert message["reply"] == "Без цитат"
    assert message["author"] == {"kind": "contact", "id": str(customer)}
    (shown,) = message["attachments"]
    assert (shown["filename"], shown["size"], shown["sha256"]) == ("счёт.pdf", 7, "a" * 64)


def test_a_reply_tells_what_arrived_and_leaves_the_move_undone(
    office: Any, door: Any, message_of: Any
) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    office.take(message_of(customer, reply_token=office.ticket(ticket_id).reply_token))
    body = {"text": "Готово", "seen_version": 1, "then_stage": "resolved", "closing_reason": "solved"}
    answer = door.post(f"/v1/tickets/{ticket_id}/replies", body).json()
    assert [one["type"] for one in answer["arrived_since"]] == ["CustomerReplied.v1"]
    assert answer["stage"] == "in_progress"


@pytest.mark.parametrize("roles", [("analyst",), ("system",), ("nobody",)])
def test_others_than_staff_are_refused_everywhere(door: Any, ticket: str, roles: tuple[str, ...]) -> None:
    line = f"/v1/lines/{uuid4()}/set-aside"
    asked = [door.get(path, *roles) for path in (ticket, f"{ticket}/history", line)]
    asked.append(door.post(f"{ticket}/notes", {"text": "x"}, *roles))
    asked.append(door.post(f"{ticket}/priority", {"priority": "high"}, *roles, version=1))
    assert [one.status_code for one in asked] == [403] * 5
    assert {one.json()["code"] for one in asked} == {"not_permitted"}


def test_nobody_is_let_in_without_an_identity(door: Any, ticket: str) -> None:
    (answer,) = door.all({"method": "GET", "url": ticket})
    assert (answer.status_code, answer.json()["code"]) == (401, "identity_refused")


def test_an_admin_reads_and_does_not_write(door: Any, ticket: str) -> None:
    assert door.get(ticket, "admin").status_code == 200
    assert door.post(f"{ticket}/notes", {"text": "x"}, "admin").status_code == 403


REFUSED: list[tuple[str, Any, dict[str, Any], int, str]] = [
    ("stage", {"stage": "closed"}, {"version": 1}, 409, "illegal_move"),
    ("stage", {"stage": "resolved"}, {"version": 1}, 422, "missing_requirement"),
    ("stage", {"stage": "in_progress"}, {"version": 7}, 412, "stale_version"),
    ("stage", {"stage": "in_progress"}, {}, 428, "if_match_required"),
    ("stage", {"stage": "in_progress"}, {"headers": {"If-Match": "*"}}, 400, "if_match_malformed"),
    ("stage", {"stage": "in_progress"}, {"headers": {"If-Match": 'W/"1"'}}, 400, "if_match_malformed"),
    ("stage", {"stage": "nowhere"}, {"version": 1}, 422, "invalid_request"),
    ("stage", {"stage": "in_progress", "x": 1}, {"version": 1}, 422, "invalid_request"),
    ("stage", {"stage": "in_progress"}, {"version": 1, "params": {"x": 1}}, 422, "invalid_request"),
    ("priority", {"priority": "high"}, {}, 428, "if_match_required"),
    ("priority", {"priority": 1}, {"version": 1}, 422, "invalid_request"),
    ("replies", {"text": "x", "seen_version": 0}, {}, 422, "invalid_request"),
    ("replies", {"text": "я" * 32_769, "seen_version": 1}, {}, 413, "text_too_long"),
    ("replies", {"text": "x" * 1_100_000, "seen_version": 1}, {}, 413, "body_too_large"),
    ("notes", {"text": " "}, {}, 422, "missing_requirement"),
    ("notes", {"text": "x"}, {"headers": {"Idempotency-Key": "a b"}}, 400, "idempotency_key_required"),
    ("notes", {"text": "x"}, {"headers": {"Idempotency-Key": ""}}, 400, "idempotency_key_required"),
    ("notes", {"text": "x", "mentions": ["z"]}, {}, 422, "invalid_request"),
    ("notes", ["x"], {}, 422, "invalid_request"),
]


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: f"{case[0]}-{case[4]}")
def test_what_is_refused_says_why_and_changes_nothing(
    office: Any, door: Any, ticket: str, case: tuple[str, Any, dict[str, Any], int, str]
) -> None:
    route, body, given, status, code = case
    answer = door.post(f"{ticket}/{route}", body, **given)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert office.types(id_of(ticket)) == ["TicketOpened.v1"]


RAW = [
    (b'{"text": "\\ud800"}', 422),
    (b'{"text": ', 422),
    (b"[" * 100_000, 400),
    (b'{"text": 1e9999}', 422),
    (b"\xff", 400),
    (b"", 422),
]


@pytest.mark.parametrize(("body", "status"), RAW)
def test_a_body_that_cannot_be_read_is_a_problem_and_changes_nothing(
    office: Any, door: Any, ticket: str, body: bytes, status: int
) -> None:
    request = door.command(f"{ticket}/notes", None) | {"json": None, "content": body}
    request["headers"]["Content-Type"] = "application/json"
    (answer,) = door.all(request)
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert office.types(id_of(ticket)) == ["TicketOpened.v1"]


def test_an_illegal_move_names_the_legal_ones_in_the_callers_language(door: Any, ticket: str) -> None:
    headers = {"Accept-Language": "ru-RU,ru;q=0.9,en;q=0.5"}
    answer = door.post(f"{ticket}/stage", {"stage": "closed"}, version=1, headers=headers)
    assert answer.headers["Content-Language"] == "ru"
    assert answer.json()["legal"] == ["in_progress", "resolved", "spam"]
    assert answer.json()["title"] == "Такого перехода нет"


def test_a_stale_command_is_told_the_current_state(door: Any, ticket: str) -> None:
    door.post(f"{ticket}/priority", {"priority": "high"}, version=1)
    answer = door.post(f"{ticket}/stage", {"stage": "in_progress"}, version=1)
    assert (answer.status_code, answer.headers["ETag"]) == (412, '"2"')
    current = {"version": 2, "stage": "new", "priority": "high", "level": 1, "cycle": 1}
    current |= {"queue_id": None, "assignee_id": None}
    assert answer.json()["current"] == current


def test_there_is_no_other_ticket(door: Any) -> None:
    path = f"/v1/tickets/{uuid4()}"
    asked = [door.get(path), door.get(f"{path}/history"), door.post(f"{path}/notes", {"text": "x"})]
    assert [one.status_code for one in asked] == [404] * 3
    assert door.get("/v1/tickets/7").status_code == 422


def test_a_set_aside_stream_is_no_ticket(office: Any, door: Any, message_of: Any) -> None:
    (stream,) = office.take(message_of(office.customer(), kind="list"))
    assert door.get(f"/v1/tickets/{stream}").status_code == 404
    assert door.post(f"/v1/tickets/{stream}/notes", {"text": "x"}).status_code == 404


def test_a_repeated_key_gives_the_same_answer_and_another_body_is_refused(
    office: Any, door: Any, ticket: str
) -> None:
    body = {"text": "Проверьте", "seen_version": 1}
    first = door.post(f"{ticket}/replies", body, key="k1")
    again = door.post(f"{ticket}/replies", body, key="k1")
    assert (again.status_code, again.json(), again.headers["ETag"]) == (
        201,
        first.json(),
        first.headers["ETag"],
    )
    other = door.post(f"{ticket}/replies", {"text": "Другое", "seen_version": 1}, key="k1")
    elsewhere = door.post(f"{ticket}/notes", {"text": "Проверьте"}, key="k1")
    assert [(one.status_code, one.json()["code"]) for one in (other, elsewhere)] == [(422, "key_reused")] * 2
    assert office.types(id_of(ticket)).count("OperatorReplied.v1") == 1
    stranger = door.command(f"{ticket}/notes", {"text": "y"}, key="k1", headers=door.headers(actor=uuid4()))
    assert door.all(stranger)[0].status_code == 201


def test_the_same_key_sent_eight_times_at_once_has_one_effect(office: Any, door: Any, ticket: str) -> None:
    request = door.command(f"{ticket}/notes", {"text": "раз"}, key=uuid4().hex)
    answers = door.all(*[request] * 8)
    assert {one.status_code for one in answers} == {201}
    assert len({one.text for one in answers}) == 1
    assert office.types(id_of(ticket)) == ["TicketOpened.v1", "NoteAdded.v1"]


def test_commands_from_many_threads_lose_nobody_and_the_stale_are_told(
    office: Any, door: Any, ticket: str
) -> None:
    notes = [door.command(f"{ticket}/notes", {"text": f"заметка {n}"}) for n in range(32)]
    moves = [door.command(f"{ticket}/priority", {"priority": "high"}, version=1, key=f"p{ticket}")]
    moves += [door.command(f"{ticket}/stage", {"stage": "in_progress"}, version=1) for _ in range(7)]
    answers = door.all(*notes, *moves)
    assert [one.status_code for one in answers[:32]] == [201] * 32
    assert {one.status_code for one in answers[32:]} <= {200, 412}
    types = office.types(id_of(ticket))
    assert types.count("NoteAdded.v1") == 32
    versions = [one.json()["version"] for one in answers[:32]]
    assert len(set(versions)) == 32
    texts = {one["text"] for one in door.get(ticket).json()["messages"]}
    assert {f"заметка {n}" for n in range(32)} <= texts


def test_an_answer_lost_after_the_commit_is_given_to_whoever_asks_again(
    office: Any, door: Any, ticket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    body, key = {"text": "Принято?", "seen_version": 1}, uuid4().hex
    whole = office.database.transaction
    lost = 0

    @contextmanager
    def torn() -> Iterator[Any]:
        nonlocal lost
        with whole() as connection:
            yield connection
            connection.execute("COMMIT")
            pid = connection.info.backend_pid
            with psycopg.connect(office.base.runtime_url, autocommit=True) as killer:
                killer.execute("SELECT pg_terminate_backend(%s)", (pid,))
            lost += 1
            connection.execute("SELECT 'the answer to the commit never comes'")

    monkeypatch.setattr(office.database, "transaction", torn)
    answer = door.post(f"{ticket}/replies", body, key=key)
    monkeypatch.undo()
    assert lost == 1
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "2")
    again = door.post(f"{ticket}/replies", body, key=key)
    assert again.status_code == 201
    assert office.types(id_of(ticket)) == [
        "TicketOpened.v1",
        "OperatorReplied.v1",
        "TicketAccepted.v1",
        "StageChanged.v1",
    ]
    stored = office.rows(
        "SELECT data->>'reply_id' FROM events WHERE type = 'OperatorReplied.v1' AND stream = %s",
        id_of(ticket),
    )
    assert stored == [(again.json()["reply_id"],)]


def test_an_erased_person_reads_erased_and_their_ticket_takes_no_more_text(office: Any, door: Any) -> None:
    customer = office.customer()
    ticket = f"/v1/tickets/{office.open_ticket(customer)}"
    office.erase(customer)
    card = door.get(ticket).json()
    assert (card["subject"], card["messages"][0]["text"]) == ("erased", "erased")
    reply = door.post(f"{ticket}/replies", {"text": "x", "seen_version": 1})
    note = door.post(f"{ticket}/notes", {"text": "x"})
    assert [(one.status_code, one.json()["code"]) for one in (reply, note)] == [(409, "person_erased")] * 2
    moved = door.post(f"{ticket}/stage", {"stage": "spam"}, version=1)
    assert moved.status_code == 200


def test_set_aside_messages_are_listed_in_pages(office: Any, door: Any, message_of: Any) -> None:
    line = uuid4()
    kinds = ("list", "bounce", "own_loop", "list", "list")
    office.take(*[message_of(office.customer(), kind=kind, line_id=line) for kind in kinds])
    path, seen, cursor = f"/v1/lines/{line}/set-aside", [], None
    for _ in range(3):
        page = door.get(path, params={"limit": 2} | ({"cursor": cursor} if cursor else {})).json()
        seen += page["items"]
        cursor = page["next_cursor"]
    assert cursor is None
    assert len({one["source_key"] for one in seen}) == 5
    assert [one["received_at"] for one in seen] == sorted((one["received_at"] for one in seen), reverse=True)
    for bad in ("x", "e30", "AAAA", "WyJ4IiwieSJd"):
        answer = door.get(path, params={"cursor": bad})
        assert (answer.status_code, answer.json()["code"]) == (400, "bad_cursor")
    assert door.get(path, params={"limit": 101}).status_code == 422
    assert door.get(path, params={"colour": 1}).status_code == 422


def test_old_keys_are_swept_by_later_commands(office: Any, door: Any, ticket: str) -> None:
    door.post(f"{ticket}/notes", {"text": "x"}, key="old")
    office.as_owner(
        "UPDATE idempotency_keys SET created_at = created_at - interval '25 hours' WHERE key = 'old'"
    )
    door.post(f"{ticket}/notes", {"text": "y"}, key="new")
    assert office.rows("SELECT key FROM idempotency_keys WHERE key IN ('old', 'new')") == [("new",)]
