"""The directory that routing's events make, and who may see and do what by it, over HTTP."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.tickets.tests.routing_facts import (
    offer_made,
    operator_changed,
    queue_changed,
    team_changed,
    ticket_queued,
)

from deskline_events.intake import MessageReceived

pytestmark = pytest.mark.component
Make = Callable[..., MessageReceived]


@dataclass
class House:
    """A queue of a team, a lead of it, two operators in it and a stranger of another team."""

    team: UUID
    queue: UUID
    lead: UUID
    one: UUID
    two: UUID
    stranger: UUID
    other_queue: UUID


@pytest.fixture
def house(office: Any) -> House:
    made = House(*(uuid4() for _ in range(7)))
    other_team = uuid4()
    office.hear(made.team, team_changed(made.team, made.lead))
    office.hear(other_team, team_changed(other_team))
    office.hear(made.queue, queue_changed(made.queue, made.team))
    office.hear(made.other_queue, queue_changed(made.other_queue, other_team))
    for operator in (made.one, made.two):
        office.hear(operator, operator_changed(operator, made.team))
    office.hear(made.stranger, operator_changed(made.stranger, other_team))
    office.hear(made.lead, operator_changed(made.lead))
    return made


@pytest.fixture
def ticket_id(office: Any, house: House) -> UUID:
    """Offered to operator one."""
    opened: UUID = office.open_ticket()
    office.hear(opened, ticket_queued(house.queue, house.team), offer_made(house.queue, house.one))
    return opened


def offer_of(office: Any, ticket_id: UUID) -> dict[str, str]:
    return {"offer_id": str(office.ticket(ticket_id).offer.offer_id)}


def who_sees(door: Any, house: House, path: str, scope: str) -> set[str]:
    names = ("lead", "one", "two", "stranger")
    return {
        name for name in names if door.get(path, actor=getattr(house, name), scope=scope).status_code == 200
    }


def test_the_directory_is_what_was_announced_last_and_holds_no_words(office: Any, house: House) -> None:
    rows = office.rows("SELECT * FROM directory_operators WHERE operator_id = %s", house.one)
    assert rows == [(house.one, True, [house.team])]
    office.hear(
        house.one, operator_changed(house.one, house.team), operator_changed(house.one, employed=False)
    )
    office.hear(house.queue, queue_changed(house.queue, active=False))
    office.hear(house.team, team_changed(house.team, active=False))
    rows = office.rows("SELECT * FROM directory_operators WHERE operator_id = %s", house.one)
    assert rows == [(house.one, False, [])]
    assert office.rows("SELECT * FROM directory_queues WHERE queue_id = %s", house.queue) == [
        (house.queue, None, False)
    ]
    assert office.rows("SELECT * FROM directory_teams WHERE team_id = %s", house.team) == [
        (house.team, [], False)
    ]


def test_each_scope_sees_its_own_in_each_stage(office: Any, door: Any, house: House, ticket_id: UUID) -> None:
    path = f"/v1/tickets/{ticket_id}"
    team = {"lead", "one", "two"}
    for given in (path, f"{path}/history"):
        assert who_sees(door, house, given, "all") == team | {"stranger"}
        assert who_sees(door, house, given, "queue") == who_sees(door, house, given, "team") == team
        assert who_sees(door, house, given, "own") == {"one"}
        assert who_sees(door, house, given, "galaxy") == set()
    body = offer_of(office, ticket_id)
    assert door.post(f"{path}/accept", body, actor=house.one, scope="own").status_code == 200
    assert who_sees(door, house, path, "queue") == {"lead", "one"}
    given_back = door.post(f"{path}/unassign", {}, version=5, actor=house.one, scope="own")
    assert given_back.json() == {"version": 6, "stage": "in_progress"}
    # Nobody's now: the queue looks after it, and who gave it back sees it as one of them only.
    assert who_sees(door, house, path, "queue") == team
    assert who_sees(door, house, path, "own") == set()


def test_what_somebody_may_not_see_is_not_there_for_any_command(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    body = offer_of(office, ticket_id)
    asked: list[tuple[str, Any, dict[str, Any]]] = [
        ("accept", body, {}),
        ("decline", body, {}),
        ("unassign", {}, {"version": 3}),
        ("queue", {"queue_id": str(house.other_queue)}, {"version": 3}),
        ("escalate", {"level": 2}, {"version": 3}),
        ("replies", {"text": "x", "seen_version": 1}, {}),
        ("notes", {"text": "x"}, {}),
        ("stage", {"stage": "in_progress"}, {"version": 3}),
        ("priority", {"priority": "high"}, {"version": 3}),
    ]
    unknown = door.post(f"/v1/tickets/{uuid4()}/notes", {"text": "x"}).json()
    for route, given, more in asked:
        for actor, scope in ((house.stranger, "queue"), (house.two, "own")):
            answer = door.post(f"/v1/tickets/{ticket_id}/{route}", given, actor=actor, scope=scope, **more)
            assert (answer.status_code, answer.json()) == (404, unknown), route
    assert office.ticket(ticket_id).version == 3


def test_what_somebody_sees_and_may_not_do_says_why(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    path, body = f"/v1/tickets/{ticket_id}", offer_of(office, ticket_id)
    for route in ("accept", "decline"):
        answer = door.post(f"{path}/{route}", body, actor=house.two, scope="queue")
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
        assert answer.json()["allowed"] == ["the operator to whom it was made"]
    assert door.post(f"{path}/accept", body, actor=house.one, scope="own").is_success
    answer = door.post(f"{path}/unassign", {}, version=5, actor=house.two)
    assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")
    taken = door.post(f"{path}/unassign", {}, version=5, actor=house.lead, scope="team")
    assert taken.json() == {"version": 6, "stage": "in_progress"}


def test_a_lead_over_all_takes_a_ticket_away(office: Any, door: Any, house: House, ticket_id: UUID) -> None:
    path = f"/v1/tickets/{ticket_id}"
    door.post(f"{path}/accept", offer_of(office, ticket_id), actor=house.one)
    assert door.post(f"{path}/unassign", {}, "lead", version=5, actor=house.stranger).is_success
    assert office.types(ticket_id)[-1] == "TicketUnassigned.v1"


def test_an_answer_that_was_given_is_given_again_to_whoever_sees_the_ticket_no_longer(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    path, body = f"/v1/tickets/{ticket_id}/decline", offer_of(office, ticket_id) | {"reason": "busy"}
    once = door.command(path, body, actor=house.one, scope="own", key="declined")
    first, again = door.all(once)[0], door.all(once)[0]
    assert (first.status_code, first.json()) == (again.status_code, again.json()) == (200, {"version": 4})
    assert door.get(f"/v1/tickets/{ticket_id}", actor=house.one, scope="own").status_code == 404
    other = door.command(path, body | {"reason": "ill"}, actor=house.one, scope="own", key="declined")
    assert door.all(other)[0].json()["code"] == "key_reused"


def test_who_left_sees_nothing_more(office: Any, door: Any, house: House, ticket_id: UUID) -> None:
    path = f"/v1/tickets/{ticket_id}"
    assert door.get(path, actor=house.one, scope="own").status_code == 200
    office.hear(house.one, operator_changed(house.one, house.team, employed=False))
    for scope in ("own", "team", "queue"):
        assert door.get(path, actor=house.one, scope=scope).status_code == 404


def test_a_person_puts_a_ticket_into_another_queue(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    path = f"/v1/tickets/{ticket_id}/queue"
    body = {"queue_id": str(house.other_queue)}
    assert door.post(path, body).status_code == 428
    assert door.post(path, body, version=1).status_code == 412
    nowhere = door.post(path, {"queue_id": str(uuid4())}, version=3, headers={"Accept-Language": "ru"})
    assert (nowhere.status_code, nowhere.json()["title"]) == (422, "Такой очереди нет")
    done = door.post(path, body, version=3)
    assert done.json() == {"version": 5, "queue_id": str(house.other_queue)}
    assert office.types(ticket_id)[3:] == ["OfferEnded.v1", "TicketRouted.v1"]
    assert who_sees(door, house, f"/v1/tickets/{ticket_id}", "queue") == {"stranger"}


def test_a_person_escalates_and_what_they_hand_over_stays_here(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    path = f"/v1/tickets/{ticket_id}"
    body = {"level": 2, "note": "Сложно", "tried": "Перезагрузку", "affected": "Бухгалтерию"}
    assert door.post(f"{path}/escalate", body | {"level": 4}, version=3).status_code == 422
    done = door.post(f"{path}/escalate", body, version=3)
    assert done.json() == {"version": 6, "level": 2, "priority": "high"}
    shown = door.get(path).json()["messages"][-1]
    assert (shown["kind"], shown["text"]) == ("escalation", "Сложно")
    assert shown["hand_over"] == {
        "before": 1,
        "after": 2,
        "tried": "Перезагрузку",
        "reproduce": None,
        "affected": "Бухгалтерию",
    }
    history = door.get(f"{path}/history").text
    stored = office.rows("SELECT data::text FROM events WHERE stream = %s", ticket_id)
    for word in ("Сложно", "Перезагрузку", "Бухгалтерию"):
        assert word not in history
        assert not any(word in text for (text,) in stored)


def test_an_offer_that_is_gone_is_told_in_the_callers_language(
    office: Any, door: Any, house: House, ticket_id: UUID
) -> None:
    path = f"/v1/tickets/{ticket_id}/accept"
    gone = door.post(path, {"offer_id": str(uuid4())}, headers={"Accept-Language": "ru"})
    assert (gone.status_code, gone.json()["code"]) == (409, "offer_gone")
    assert gone.json()["title"] == "Предложение уже не действует"
    assert gone.json()["stage"] == "new"


@pytest.mark.parametrize("serves", [True, False])
def test_a_reopened_ticket_goes_back_to_its_queue_where_its_assignee_left(
    office: Any, door: Any, message_of: Make, house: House, serves: bool
) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    office.hear(ticket_id, ticket_queued(house.queue, house.team), offer_made(house.queue, house.one))
    path = f"/v1/tickets/{ticket_id}"
    door.post(f"{path}/accept", offer_of(office, ticket_id), actor=house.one)
    body = {"stage": "resolved", "closing_reason": "solved"}
    assert door.post(f"{path}/stage", body, version=5, actor=house.one).is_success
    if not serves:
        office.hear(house.one, operator_changed(house.one))
    office.take(message_of(customer, reply_token=office.ticket(ticket_id).reply_token))
    ticket = office.ticket(ticket_id)
    assert (ticket.stage, ticket.cycle) == ("in_progress", 2)
    assert ticket.assignee_id == (house.one if serves else None)
    assert office.types(ticket_id)[6:] == ["CustomerReplied.v1", "StageChanged.v1"] + (
        [] if serves else ["TicketUnassigned.v1"]
    )


def test_what_was_set_aside_is_in_the_reach_of_all_only(door: Any, house: House) -> None:
    path = f"/v1/lines/{uuid4()}/set-aside"
    assert door.get(path).status_code == 200
    for scope in ("own", "team", "queue"):
        answer = door.get(path, "lead", actor=house.lead, scope=scope)
        assert (answer.status_code, answer.json()["code"]) == (403, "not_permitted")


def test_what_is_typed_into_a_form_opens_a_ticket_and_stays_unverified(
    office: Any, door: Any, message_of: Make
) -> None:
    from deskline_events.facts import Customer, Line

    customer = office.customer()
    first = office.open_ticket(customer)
    number = office.ticket(first).number
    typed = message_of(
        customer,
        line=Line(line_id=uuid4(), name="Форма", channel="form", language="ru"),
        customer=Customer(contact_id=customer, verified=False),
        subject=f"[#{number}] Принтер",
        reply_token=office.ticket(first).reply_token,
    )
    (opened,) = office.take(typed)
    assert opened != first
    card = door.get(f"/v1/tickets/{opened}").json()
    assert (card["customer"]["verified"], card["line"]["channel"]) == (False, "form")
    assert card["link"] is None
