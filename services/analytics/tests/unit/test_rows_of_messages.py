"""Given rows, when tickets tells of a message, a stage or a priority, then all rows that change, in whole."""

import json
from dataclasses import replace
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

import pytest
from services.analytics.tests.full_rows import (
    ABOUT,
    ANNA,
    AT,
    BEFORE,
    BORIS,
    BY_ANNA,
    BY_CONTACT,
    BY_SYSTEM,
    CAME,
    COMPANY,
    CONTACT,
    LINE,
    NOW,
    TICKET,
    card,
    document,
    envelope,
    expected,
    known,
    message,
    opening,
    shown,
    timeline,
    told,
)

from deskline_analytics.domain.projecting import (
    project,
)
from deskline_analytics.domain.rows import (
    OVER,
    Card,
    FlowRow,
    LoadRow,
    NotifyPart,
    RoutingPart,
    SlaPart,
    TicketRow,
    TimelineRow,
)
from deskline_events.personal import ERASED
from deskline_events.tickets import (
    Actor,
    AutomaticMessageAdded,
    CustomerReplied,
    DeliveryChanged,
    MessageSetAside,
    NoteAdded,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
)

pytestmark = pytest.mark.unit


# tickets: messages, stages, priorities


def test_an_opened_ticket() -> None:
    fact = opening()
    came = CAME.astimezone(UTC)
    made = Card(
        version=5,
        number=8,
        stage="new",
        priority="high",
        level=2,
        cycle=1,
        line_id=LINE,
        line_name="Sup\ufffdport",
        channel="form",
        contact_id=CONTACT,
        company_id=COMPANY,
        tier="gold",
        locale="en",
        subject="Ёлка\ufffd",
        open=True,
        opened_at=AT,
        changed_at=AT,
        first_customer_at=came,
        last_customer_at=came,
        first_operator_at=None,
        last_operator_at=None,
        last_message_kind="customer",
        customer_messages=1,
        operator_messages=0,
        automatic_messages=0,
        notes=0,
        reopened=0,
        resolved_at=None,
        closed_at=None,
        closing_reason=None,
        waiting_until=None,
        assignment_no=0,
        queue_id=None,
        team_id=None,
        routed_at=None,
        assignee_id=None,
        assigned_at=None,
        offer_id=None,
        offer_operator_id=None,
        offer_until=None,
        escalations=0,
    )
    changes = project([(envelope(fact), fact)])
    assert json.loads(json.dumps(changes.timeline[0].details)) == changes.timeline[0].details
    assert shown(replace(changes, fresh={})) == expected(
        tickets=TicketRow(TICKET, made, RoutingPart(None, None, 0), SlaPart(), NotifyPart(None, None, 0, 0)),
        flow=FlowRow(opened=1),
        documents=document("customer", "Short", subject="Елка "),
        timeline=timeline(
            "TicketOpened",
            BY_CONTACT,
            number=8,
            line_id=str(LINE),
            channel="form",
            priority="high",
            level=2,
            link={"kind": "follow_up_of", "ticket_id": str(UUID(int=77))},
            kind="human",
            **ABOUT,
        ),
    )


def test_a_ticket_that_a_machine_opened_and_one_of_an_erased_person() -> None:
    by_machine = opening(message=message("list"), link=None)
    changes = project([(envelope(by_machine), by_machine)])
    made = changes.tickets[TICKET].card
    assert made is not None
    assert (made.automatic_messages, made.customer_messages) == (1, 0)
    assert (made.first_customer_at, made.last_message_kind) == (None, "automatic")
    assert (changes.documents[0].kind, changes.timeline[0].details["link"]) == ("automatic", None)
    erased = opening(message=message(text=ERASED), subject=ERASED)
    assert project([(envelope(erased), erased)]).documents[0].erased
    half = opening(message=message(text=ERASED))
    assert not project([(envelope(half), half)]).documents[0].erased


def test_what_a_customer_wrote() -> None:
    came = CAME.astimezone(UTC)
    assert told(CustomerReplied(contact_id=CONTACT, message=message())) == expected(
        tickets=card(customer_messages=11, last_customer_at=came, last_message_kind="customer"),
        flow=FlowRow(customer_replies=1),
        documents=document("customer", "Whole"),
        timeline=timeline("CustomerReplied", BY_CONTACT, kind="human", **ABOUT),
    )


def test_what_came_before_all_others() -> None:
    early = message().model_copy(update={"received_at": BEFORE - timedelta(days=1)})
    fact = CustomerReplied(contact_id=CONTACT, message=early)
    made = project([(envelope(fact), fact)], known()).tickets[TICKET].card
    assert made is not None
    assert (made.first_customer_at, made.last_customer_at) == (BEFORE - timedelta(days=1), BEFORE)


def test_what_a_machine_wrote() -> None:
    assert told(AutomaticMessageAdded(contact_id=CONTACT, message=message("bounce"))) == expected(
        tickets=card(automatic_messages=31, last_message_kind="automatic"),
        flow=FlowRow(automatic=1),
        documents=document("automatic", "Whole"),
        timeline=timeline("AutomaticMessageAdded", BY_CONTACT, kind="bounce", **ABOUT),
    )


def test_a_message_that_was_set_aside() -> None:
    fact = MessageSetAside(
        source_key="0" * 64, line_id=LINE, contact_id=CONTACT, received_at=CAME, reason="list"
    )
    assert told(fact) == expected(flow=FlowRow(set_aside=1))


def test_what_an_operator_answered() -> None:
    fact = OperatorReplied(
        reply_id=UUID(int=61), operator_id=ANNA, contact_id=CONTACT, text="Done", seen_version=4
    )
    assert told(fact) == expected(
        tickets=card(operator_messages=21, last_operator_at=AT, last_message_kind="operator"),
        flow=FlowRow(operator_replies=1),
        load=(ANNA, LoadRow(replies=1)),
        documents=document("operator", "Done"),
        timeline=timeline("OperatorReplied", BY_ANNA, reply_id=str(UUID(int=61)), seen_version=4),
    )
    opened = opening()
    first = project([(envelope(opened, sequence=4), opened), (envelope(fact), fact)]).tickets[TICKET].card
    assert first is not None
    assert first.first_operator_at == AT


def test_a_note() -> None:
    fact = NoteAdded(note_id=UUID(int=62), operator_id=ANNA, contact_id=CONTACT, mentions=(BORIS,))
    assert told(fact) == expected(
        tickets=card(notes=41),
        timeline=timeline("NoteAdded", BY_ANNA, note_id=str(UUID(int=62)), mentions=[str(BORIS)]),
    )


def stage(after: Any, actor: Actor = BY_ANNA, **more: Any) -> StageChanged:
    given: dict[str, Any] = {"before": "new", "cycle": 1, "assignment_no": 9} | more
    return StageChanged(after=after, actor=actor, **given)


def moved(fact: StageChanged, until: str | None = None) -> TimelineRow:
    return timeline(
        "StageChanged",
        fact.actor,
        before="new",
        after=fact.after,
        cycle=fact.cycle,
        assignment_no=9,
        closing_reason=fact.closing_reason,
        until=until,
    )


OPENED: dict[str, Any] = {
    "resolved_at": None,
    "closed_at": None,
    "closing_reason": None,
    "waiting_until": None,
}


def test_a_ticket_goes_on() -> None:
    fact = stage("waiting_until", until=NOW)
    assert told(fact) == expected(
        tickets=card(stage="waiting_until", assignment_no=9, **(OPENED | {"waiting_until": AT})),
        flow=FlowRow(),
        timeline=moved(fact, AT.isoformat()),
    )


def test_a_ticket_is_reopened() -> None:
    fact = stage("in_progress", cycle=2)
    assert told(fact) == expected(
        tickets=card(stage="in_progress", cycle=2, reopened=51, assignment_no=9, **OPENED),
        flow=FlowRow(reopened=1),
        timeline=moved(fact),
    )


@pytest.mark.parametrize(("actor", "credited"), [(BY_ANNA, ANNA), (BY_SYSTEM, BORIS), (BY_CONTACT, BORIS)])
def test_a_ticket_is_resolved_to_the_credit_of_who_did_it(actor: Actor, credited: UUID) -> None:
    fact = stage("resolved", actor, closing_reason="no_reply")
    changed = OPENED | {"resolved_at": AT, "closing_reason": "no_reply"}
    assert told(fact) == expected(
        tickets=card(stage="resolved", open=False, assignment_no=9, **changed),
        flow=FlowRow(resolved=1),
        load=(credited, LoadRow(resolved=1)),
        timeline=moved(fact),
    )


def test_what_nobody_had_is_to_nobodys_credit() -> None:
    opened, fact = opening(), stage("resolved", BY_SYSTEM)
    assert project([(envelope(opened, sequence=4), opened), (envelope(fact), fact)]).load == {}


def test_a_ticket_is_closed_and_keeps_why() -> None:
    fact = stage("closed", BY_SYSTEM)
    assert told(fact) == expected(
        tickets=card(stage="closed", open=False, closed_at=AT, assignment_no=9, waiting_until=None),
        flow=FlowRow(closed=1),
        timeline=moved(fact),
    )


@pytest.mark.parametrize("end", ["merged", "spam", "abandoned"])
def test_a_ticket_that_ended_is_open_no_more(end: Any) -> None:
    assert told(stage(end)) == expected(
        tickets=card(stage=end, open=False, closed_at=None, assignment_no=9, waiting_until=None),
        flow=FlowRow(),
        timeline=moved(stage(end)),
    )
    assert {"resolved", "closed", "merged", "spam", "abandoned"} == OVER


def test_a_priority_and_a_delivery() -> None:
    fact = PriorityChanged(before="low", after="critical", actor=BY_ANNA)
    assert told(fact) == expected(
        tickets=card(priority="critical"),
        timeline=timeline("PriorityChanged", BY_ANNA, before="low", after="critical"),
    )
    delivery = DeliveryChanged(
        reply_id=UUID(int=61), notification_id=UUID(int=63), state="failed", reason="smtp_550"
    )
    assert told(delivery) == expected(
        tickets=card(),
        timeline=timeline(
            "DeliveryChanged",
            BY_SYSTEM,
            reply_id=str(UUID(int=61)),
            notification_id=str(UUID(int=63)),
            state="failed",
            reason="smtp_550",
        ),
    )
