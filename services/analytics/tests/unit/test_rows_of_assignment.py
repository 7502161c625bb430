"""Given rows, when tickets or routing tell of queues, offers and people, then all rows that change."""

from dataclasses import replace
from datetime import UTC
from typing import Any
from uuid import UUID

import pytest
from services.analytics.tests.full_rows import (
    ANNA,
    AT,
    BORIS,
    BY_ANNA,
    BY_SYSTEM,
    CAME,
    CARD,
    CAUSE,
    EVENT,
    LINE,
    NOTIFY,
    NOW,
    OFFER,
    QUEUE,
    SLA,
    TEAM,
    TICKET,
    card,
    expected,
    timeline,
    told,
)

from deskline_analytics.domain.rows import (
    DecisionRow,
    LoadRow,
    OperatorRow,
    OutcomeRow,
    QueueRow,
    RoutingPart,
    TeamRow,
    TicketRow,
)
from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Fact
from deskline_events.routing import (
    AssignmentWithdrawn,
    Candidate,
    ConsideredQueue,
    NobodyAvailable,
    OfferMade,
    OfferWithdrawn,
    OperatorChanged,
    QueueChanged,
    TeamChanged,
    TicketQueued,
)
from deskline_events.tickets import (
    DecisionRefused,
    Escalated,
    OfferDeclined,
    OfferEnded,
    TicketAccepted,
    TicketOffered,
    TicketRouted,
    TicketUnassigned,
)

pytestmark = pytest.mark.unit


# tickets: queue, offer, assignee, level


def details(fact: Fact) -> dict[str, Any]:
    return fact.model_dump(mode="json", exclude={"actor"})


def outcome(decision_id: UUID, what: Any, reason: str | None = None) -> OutcomeRow:
    return OutcomeRow(decision_id, TICKET, what, reason, AT)


def test_a_routed_ticket_answers_routing_and_not_a_person() -> None:
    fact = TicketRouted(queue_id=BORIS, team_id=ANNA, actor=BY_SYSTEM, assignment_no=9)
    routed = card(queue_id=BORIS, team_id=ANNA, routed_at=AT, assignment_no=9)
    line = timeline("TicketRouted", BY_SYSTEM, **details(fact))
    assert told(fact) == expected(tickets=routed, outcomes=outcome(CAUSE, "routed"), timeline=line)
    assert told(fact, causation_id=None) == expected(
        tickets=routed, timeline=replace(line, causation_id=None)
    )
    by_anna = fact.model_copy(update={"actor": BY_ANNA})
    assert told(by_anna) == expected(
        tickets=routed, timeline=timeline("TicketRouted", BY_ANNA, **details(fact))
    )


def test_an_offer_is_open() -> None:
    fact = TicketOffered(offer_id=EVENT, operator_id=BORIS, queue_id=QUEUE, until=NOW, assignment_no=9)
    assert told(fact) == expected(
        tickets=card(offer_id=EVENT, offer_operator_id=BORIS, offer_until=AT, assignment_no=9),
        load=(BORIS, LoadRow(offered=1)),
        outcomes=outcome(EVENT, "offered"),
        timeline=timeline("TicketOffered", BY_SYSTEM, **details(fact)),
    )


NO_OFFER: dict[str, Any] = {"offer_id": None, "offer_operator_id": None, "offer_until": None}


def test_an_offer_is_declined() -> None:
    fact = OfferDeclined(offer_id=OFFER, operator_id=ANNA, reason="busy", assignment_no=9)
    assert told(fact) == expected(
        tickets=card(assignment_no=9, **NO_OFFER),
        load=(ANNA, LoadRow(declined=1)),
        outcomes=outcome(OFFER, "declined", "busy"),
        timeline=timeline("OfferDeclined", BY_ANNA, **details(fact)),
    )
    another = fact.model_copy(update={"offer_id": EVENT})
    assert told(another)["tickets"] == expected(tickets=card(assignment_no=9))["tickets"]


@pytest.mark.parametrize(
    ("reason", "answers", "timed_out"),
    [("timed_out", True, True), ("operator_left", True, False), ("ticket_moved", False, False)],
)
def test_an_offer_ended(reason: Any, answers: bool, timed_out: bool) -> None:
    fact = OfferEnded(offer_id=OFFER, operator_id=ANNA, reason=reason, assignment_no=9)
    outcomes = [outcome(OFFER, "ended", reason), *([outcome(CAUSE, "ended", reason)] if answers else [])]
    load = {"load": (ANNA, LoadRow(timed_out=1))} if timed_out else {}
    assert told(fact) == expected(
        tickets=card(assignment_no=9, **NO_OFFER),
        outcomes=outcomes,
        timeline=timeline("OfferEnded", BY_SYSTEM, **details(fact)),
        **load,
    )


def test_a_ticket_is_accepted_by_an_offer_or_without() -> None:
    fact = TicketAccepted(operator_id=ANNA, offer_id=OFFER, actor=BY_ANNA, assignment_no=9)
    taken: dict[str, Any] = {"assignee_id": ANNA, "assigned_at": AT, "assignment_no": 9}
    assert told(fact) == expected(
        tickets=card(**taken, **NO_OFFER),
        load=(ANNA, LoadRow(accepted=1)),
        outcomes=outcome(OFFER, "accepted"),
        timeline=timeline("TicketAccepted", BY_ANNA, **details(fact)),
    )
    without = fact.model_copy(update={"offer_id": None})
    assert told(without) == expected(
        tickets=card(**taken),
        load=(ANNA, LoadRow(accepted=1)),
        timeline=timeline("TicketAccepted", BY_ANNA, **details(without)),
    )


@pytest.mark.parametrize(
    ("reason", "answers"),
    [("operator_left", True), ("operator_lost", True), ("given_back", False), ("escalated", False)],
)
def test_a_ticket_is_nobodys(reason: Any, answers: bool) -> None:
    fact = TicketUnassigned(operator_id=BORIS, reason=reason, actor=BY_ANNA, assignment_no=9)
    outcomes = {"outcomes": outcome(CAUSE, "ended", reason)} if answers else {}
    assert told(fact) == expected(
        tickets=card(assignee_id=None, assigned_at=None, assignment_no=9),
        timeline=timeline("TicketUnassigned", BY_ANNA, **details(fact)),
        **outcomes,
    )


def test_a_ticket_goes_to_another_level() -> None:
    fact = Escalated(before=1, after=3, reason="manual", actor=BY_ANNA, assignment_no=9)
    assert told(fact) == expected(
        tickets=card(level=3, escalations=61, assignment_no=9),
        timeline=timeline("Escalated", BY_ANNA, **details(fact)),
    )


@pytest.mark.parametrize(
    ("decision", "offer_id", "answered"),
    [
        ("offer", OFFER, OFFER),
        ("offer", None, BORIS),
        ("queue", OFFER, BORIS),
        ("withdrawal", OFFER, BORIS),
        ("unassignment", None, BORIS),
        ("step", None, None),
    ],
)
def test_a_refused_decision(decision: Any, offer_id: UUID | None, answered: UUID | None) -> None:
    fact = DecisionRefused(
        decision=decision,
        decision_id=BORIS,
        offer_id=offer_id,
        reason="stale",
        stage="new",
        assignment_no=9,
    )
    outcomes = {"outcomes": outcome(answered, "refused", "stale")} if answered else {}
    assert told(fact) == expected(
        tickets=card(), timeline=timeline("DecisionRefused", BY_SYSTEM, **details(fact)), **outcomes
    )


# routing


def decided(kind: Any, offers: int = 5) -> TicketRow:
    return TicketRow(TICKET, CARD, RoutingPart(kind, AT, offers), SLA, NOTIFY)


def test_routings_decisions() -> None:
    found = Circumstances(line_id=LINE, channel="email", language="ru", level=1, priority="low")
    looked_at = (ConsideredQueue(queue_id=QUEUE, unmet=("levels",)),)
    queued = TicketQueued(
        queue_id=QUEUE, assignment_no=9, circumstances=found, considered=looked_at, fallback=True
    )
    basis: dict[str, Any] = {"circumstances": found.model_dump(mode="json"), "fallback": True}
    asked: list[Any] = [one.model_dump(mode="json") for one in looked_at]
    row = DecisionRow(EVENT, TICKET, "queued", AT, EVENT, 9, queue_id=QUEUE, candidates=asked, basis=basis)
    assert told(queued) == expected(tickets=decided("queued"), decisions=row)

    people = (Candidate(operator_id=ANNA, rejected="away", load=1.0, capacity=2.0),)
    named: list[Any] = [one.model_dump(mode="json") for one in people]
    nobody = NobodyAvailable(queue_id=QUEUE, assignment_no=9, attempt=2, candidates=people)
    row = DecisionRow(EVENT, TICKET, "nobody", AT, EVENT, 9, attempt=2, queue_id=QUEUE, candidates=named)
    assert told(nobody) == expected(tickets=decided("nobody"), decisions=row)

    made = OfferMade(
        offer_id=OFFER,
        queue_id=QUEUE,
        operator_id=ANNA,
        assignment_no=9,
        attempt=2,
        until=NOW,
        strategy="longest_idle",
        waiting_since=CAME,
        candidates=people,
    )
    row = DecisionRow(
        OFFER,
        TICKET,
        "offered",
        AT,
        EVENT,
        9,
        attempt=2,
        queue_id=QUEUE,
        operator_id=ANNA,
        offer_id=OFFER,
        candidates=named,
        basis={
            "strategy": "longest_idle",
            "until": AT.isoformat(),
            "waiting_since": CAME.astimezone(UTC).isoformat(),
        },
    )
    assert told(made) == expected(tickets=decided("offered", 6), decisions=row)

    withdrawn = OfferWithdrawn(offer_id=OFFER, operator_id=ANNA, assignment_no=9, reason="timed_out")
    row = DecisionRow(
        EVENT, TICKET, "withdrawn", AT, EVENT, 9, operator_id=ANNA, offer_id=OFFER, reason="timed_out"
    )
    assert told(withdrawn) == expected(tickets=decided("withdrawn"), decisions=row)

    lost = AssignmentWithdrawn(operator_id=ANNA, assignment_no=9, reason="operator_lost")
    row = DecisionRow(EVENT, TICKET, "unassigned", AT, EVENT, 9, operator_id=ANNA, reason="operator_lost")
    assert told(lost) == expected(tickets=decided("unassigned"), decisions=row)


def test_the_directory() -> None:
    somebody = OperatorChanged(
        operator_id=ANNA,
        name="An\0na",
        address="a@b.example",
        language="en",
        employed=False,
        team_ids=(TEAM,),
        skills=("sql",),
        capacity=2.5,
    )
    assert told(somebody, ANNA) == expected(
        operators=OperatorRow(ANNA, 5, AT, "An\ufffdna", "en", False, [TEAM], ["sql"], 2.5)
    )
    team = TeamChanged(team_id=TEAM, name="First\0", lead_ids=(ANNA,), active=False)
    assert told(team, TEAM) == expected(teams=TeamRow(TEAM, 5, AT, "First\ufffd", [ANNA], False))
    queue = QueueChanged(
        queue_id=QUEUE,
        name="Second\0",
        team_id=TEAM,
        order=4,
        conditions=Conditions(levels=(2,)),
        fallback=True,
        strategy="longest_idle",
        skills=("sql",),
        accept_seconds=90,
        active=False,
    )
    conditions = Conditions(levels=(2,)).model_dump(mode="json")
    assert told(queue, QUEUE) == expected(
        queues=QueueRow(
            QUEUE, 5, AT, "Second\ufffd", TEAM, 4, conditions, True, "longest_idle", ["sql"], 90, False
        )
    )
