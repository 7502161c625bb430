"""Decisions of routing, sla and notify on a real database: answered once, in any order of owners."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from services.tickets.tests.conftest import received
from services.tickets.tests.routing_facts import (
    assignment_withdrawn,
    notification,
    offer_made,
    offer_withdrawn,
    operator_changed,
    queue_changed,
    sla_breached,
    team_changed,
    ticket_queued,
)

from deskline_events.intake import MessageReceived
from deskline_tickets.domain.refusals import TicketUnknown

pytestmark = pytest.mark.component
Make = Callable[..., MessageReceived]
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


def data_of(office: Any, ticket_id: UUID, kind: str) -> list[dict[str, Any]]:
    rows = office.rows(
        "SELECT data FROM events WHERE stream = %s AND type = %s ORDER BY sequence", ticket_id, kind
    )
    return [data for (data,) in rows]


@pytest.fixture
def queue(office: Any) -> UUID:
    team, queue = uuid4(), uuid4()
    office.hear(team, team_changed(team))
    office.hear(queue, queue_changed(queue, team))
    return queue


def test_a_ticket_goes_from_its_queue_to_who_accepts_it(office: Any, door: Any, queue: UUID) -> None:
    ticket_id, operator = office.open_ticket(), uuid4()
    office.hear(ticket_id, ticket_queued(queue))
    made = offer_made(queue, operator)
    office.hear(ticket_id, made)
    card = door.get(f"/v1/tickets/{ticket_id}").json()
    assert card["queue_id"] == str(queue)
    assert card["offer"]["offer_id"] == str(made.offer_id)
    assert card["offer"]["operator_id"] == str(operator)
    answer = door.post(f"/v1/tickets/{ticket_id}/accept", {"offer_id": str(made.offer_id)}, actor=operator)
    assert answer.json() == {"version": 5, "stage": "in_progress", "assignee_id": str(operator)}
    assert office.types(ticket_id) == [
        "TicketOpened.v1",
        "TicketRouted.v1",
        "TicketOffered.v1",
        "TicketAccepted.v1",
        "StageChanged.v1",
    ]
    card = door.get(f"/v1/tickets/{ticket_id}").json()
    assert (card["offer"], card["assignee_id"], card["assignment_no"]) == (None, str(operator), 2)


def test_an_answer_follows_from_its_decision(office: Any, queue: UUID) -> None:
    ticket_id = office.open_ticket()
    (queued,) = office.hear(ticket_id, ticket_queued(queue))
    ((cause, story),) = office.rows(
        "SELECT causation_id, correlation_id FROM events WHERE stream = %s AND sequence = 2", ticket_id
    )
    assert (cause, story) == (queued.envelope.id, queued.cause.correlation_id)


def test_decisions_delivered_twice_are_answered_once(office: Any, door: Any, queue: UUID) -> None:
    ticket_id, operator = office.open_ticket(), uuid4()
    made = offer_made(queue, operator)
    first = office.hear(ticket_id, ticket_queued(queue), made)
    office.apply(*first, *first)
    declined = door.post(f"/v1/tickets/{ticket_id}/decline", {"offer_id": str(made.offer_id)}, actor=operator)
    assert declined.json() == {"version": 4}
    late = office.hear(ticket_id, offer_withdrawn(made), sla_breached(LONG_AGO), notification(uuid4()))
    office.apply(*late)
    office.apply(*first, *late)
    assert office.types(ticket_id) == [
        "TicketOpened.v1",
        "TicketRouted.v1",
        "TicketOffered.v1",
        "OfferDeclined.v1",
        "DecisionRefused.v1",
        "PriorityRaised.v1",
        "Escalated.v1",
    ]


def test_a_refusal_tells_what_holds_instead(office: Any, door: Any, queue: UUID) -> None:
    ticket_id, operator = office.open_ticket(), uuid4()
    made = offer_made(queue, operator)
    office.hear(ticket_id, ticket_queued(queue), made)
    door.post(f"/v1/tickets/{ticket_id}/accept", {"offer_id": str(made.offer_id)}, actor=operator)
    (withdrawn,) = office.hear(ticket_id, offer_withdrawn(made))
    (refused,) = data_of(office, ticket_id, "DecisionRefused.v1")
    assert refused == {
        "decision": "withdrawal",
        "decision_id": str(withdrawn.envelope.id),
        "offer_id": str(made.offer_id),
        "reason": "accepted",
        "stage": "in_progress",
        "assignee_id": str(operator),
        "assignment_no": 2,
        "step_key": None,
    }


def test_a_lost_assignee_has_the_ticket_no_longer(office: Any, door: Any, queue: UUID) -> None:
    ticket_id, operator = office.open_ticket(), uuid4()
    assert door.post(
        f"/v1/tickets/{ticket_id}/stage", {"stage": "in_progress"}, version=1, actor=operator
    ).is_success
    office.hear(ticket_id, assignment_withdrawn(operator, 1), assignment_withdrawn(operator, 2))
    assert office.types(ticket_id)[3:] == ["DecisionRefused.v1", "TicketUnassigned.v1"]
    assert office.ticket(ticket_id).assignee_id is None


def test_fifty_quick_lines_during_an_offer_leave_it_open(
    office: Any, door: Any, message_of: Make, queue: UUID
) -> None:
    customer, operator = office.customer(), uuid4()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token
    lines = [received(message_of(customer, reply_token=token)) for _ in range(50)]
    made = offer_made(queue, operator)
    # Some lines come before the offer in the same batch, some with it, most alone.
    (queued,) = office.hear(ticket_id, ticket_queued(queue))
    office.apply(*lines[:5], received(made, ticket_id, 2), *lines[5:10])
    for n in range(10, 50, 4):
        office.apply(*lines[n : n + 4])
    ticket = office.ticket(ticket_id)
    assert (ticket.version, ticket.assignment_no) == (53, 0)
    assert ticket.offer.offer_id == made.offer_id
    answer = door.post(f"/v1/tickets/{ticket_id}/accept", {"offer_id": str(made.offer_id)}, actor=operator)
    assert (answer.status_code, answer.json()["assignee_id"]) == (200, str(operator))
    assert "DecisionRefused.v1" not in office.types(ticket_id)
    assert queued.envelope.sequence == 1


def test_a_breach_escalates_unless_the_answer_was_in_time(office: Any, door: Any) -> None:
    late, answered = office.open_ticket(), office.open_ticket()
    reply = {"text": "Проверьте кабель", "seen_version": 1}
    assert door.post(f"/v1/tickets/{answered}/replies", reply).is_success
    due_at = office.ticket(answered).first_human_reply_at
    for ticket_id in (late, answered):
        office.hear(ticket_id, sla_breached(due_at))
    assert office.types(late) == ["TicketOpened.v1", "PriorityRaised.v1", "Escalated.v1"]
    ticket = office.ticket(late)
    assert (ticket.level, ticket.priority, ticket.assignment_no) == (2, "high", 1)
    (refused,) = data_of(office, answered, "DecisionRefused.v1")
    assert (refused["decision"], refused["reason"]) == ("step", "clock_met")
    office.hear(answered, sla_breached(due_at - timedelta(microseconds=1), generation=2))
    assert office.types(answered)[-1] == "Escalated.v1"


def test_the_card_shows_what_became_of_each_reply(office: Any, door: Any) -> None:
    path = f"/v1/tickets/{office.open_ticket()}"
    replies = [
        door.post(f"{path}/replies", {"text": f"ответ {n}", "seen_version": 1}).json()["reply_id"]
        for n in range(3)
    ]
    ticket_id = UUID(path.rpartition("/")[2])
    office.hear(ticket_id, notification(UUID(replies[0])), notification(None), notification(uuid4()))
    office.hear(ticket_id, notification(UUID(replies[1]), "smtp_550"))
    shown = [one for one in door.get(path).json()["messages"] if one["kind"] == "reply"]
    assert [one["reply_id"] for one in shown] == replies
    assert [one["delivery"] for one in shown] == [
        {"state": "sent", "reason": None},
        {"state": "failed", "reason": "smtp_550"},
        None,
    ]
    assert office.types(ticket_id).count("DeliveryChanged.v1") == 2


def test_a_decision_about_a_ticket_that_is_not_there_is_an_error_for_the_harness_to_park(
    office: Any, queue: UUID
) -> None:
    with pytest.raises(TicketUnknown):
        office.hear(uuid4(), ticket_queued(queue))


@pytest.mark.parametrize("seed", range(6))
def test_whatever_the_order_of_owners_and_the_cuts_every_decision_is_answered_once(
    office: Any, message_of: Make, queue: UUID, seed: int
) -> None:
    order = random.Random(seed)
    customer, operator = office.customer(), uuid4()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token
    first, second = offer_made(queue, operator), offer_made(queue, operator, attempt=2)
    owners = [
        [
            received(fact, ticket_id, n)
            for n, fact in enumerate(
                (
                    ticket_queued(queue),
                    first,
                    offer_withdrawn(first),
                    second,
                    ticket_queued(queue, no=1),
                    offer_made(queue, operator, no=1),
                ),
                1,
            )
        ],
        [
            received(sla_breached(LONG_AGO), ticket_id),
            received(sla_breached(LONG_AGO, step="b"), ticket_id, 2),
        ],
        [received(message_of(customer, reply_token=token)) for _ in range(4)],
        [received(operator_changed(operator), operator)],
    ]
    decisions = [one.envelope.id for one in owners[0] + owners[1]]
    while any(owners):
        batch = []
        for _ in range(order.randint(1, 5)):
            left = [owner for owner in owners if owner]
            if left:
                batch.append(order.choice(left).pop(0))
        office.apply(*batch)
        office.apply(*batch)
    rows = office.rows(
        "SELECT data->>'decision_id', type FROM events WHERE stream = %s"
        " AND data->>'decision_id' IS NOT NULL ORDER BY sequence",
        ticket_id,
    )
    # An escalation names its decision twice: with the priority that it raises.
    answers = Counter(UUID(decision) for decision, kind in rows if kind != "PriorityRaised.v1")
    assert answers == Counter(decisions)
    types = Counter(office.types(ticket_id))
    assert types["CustomerReplied.v1"] == 4
    assert (types["Escalated.v1"], office.ticket(ticket_id).level) == (2, 3)
