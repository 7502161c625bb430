"""Given a ticket, when something happens to it, then who is told what of it, in whole."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from deskline_events.envelope import Envelope
from deskline_events.facts import Customer, Fact, Line
from deskline_events.notify import Recipient
from deskline_events.tickets import Actor, CustomerMessage, Escalated, PriorityChanged, TicketOpened
from deskline_notify.domain.rights import may_see
from deskline_notify.domain.telling import (
    CAP_WINDOW,
    MOST_AUTOMATIC,
    NOBODY_AFTER,
    STALE_AFTER,
    Intent,
    Question,
    asks,
    first_state,
    recipients_of,
    tells,
)
from deskline_notify.domain.threads import MOST_REFERENCES, Link, Thread, thread_of
from deskline_notify.domain.tickets import MOST_REMEMBERED, Ticket, evolve, opened, who_at

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
TICK = timedelta(microseconds=1)
TICKET, CONTACT, ANNA, BORIS, TEAM, LINE_ID = (UUID(int=number) for number in range(1, 7))
SYSTEM = Actor(kind="system")


@pytest.fixture
def ticket(facts: Any) -> Ticket:
    return opened(TICKET, facts.opened(CONTACT))


def enveloped(fact: Fact, subject: UUID = TICKET) -> Envelope:
    return Envelope(UUID(int=99), "/deskline/tickets", fact.TYPE, NOW, subject, 3, UUID(int=98), None, 1, 1)


def told(ticket: Ticket, fact: Fact) -> tuple[Intent, ...]:
    return tells(ticket, enveloped(fact), fact)


def operator(one: UUID) -> Recipient:
    return Recipient(kind="operator", id=one)


def customer() -> Recipient:
    return Recipient(kind="contact", id=CONTACT)


# What a ticket's own facts tell


def test_a_customer_is_told_that_the_ticket_is_there(facts: Any, ticket: Ticket) -> None:
    assert told(ticket, facts.opened(CONTACT)) == (
        Intent(UUID(int=99), TICKET, "acknowledgement", customer(), NOW),
    )


def test_a_customer_is_told_what_an_operator_answered(facts: Any, ticket: Ticket) -> None:
    reply = facts.replied(CONTACT, ANNA, "Done")
    assert told(ticket, reply) == (
        Intent(
            UUID(int=99),
            TICKET,
            "reply",
            customer(),
            NOW,
            {"operator_id": str(ANNA)},
            reply_id=reply.reply_id,
            text="Done",
            expires_at=None,
        ),
    )


def test_an_operator_is_told_of_an_offer_until_it_ends(facts: Any, ticket: Ticket) -> None:
    offer = facts.offered(ANNA)
    assert told(ticket, offer) == (
        Intent(
            UUID(int=99),
            TICKET,
            "offer",
            operator(ANNA),
            NOW,
            {"until": offer.until.isoformat()},
            reply_id=None,
            text=None,
            expires_at=offer.until,
        ),
    )


def test_an_operator_is_told_what_others_gave_them_and_not_what_they_took(facts: Any, ticket: Ticket) -> None:
    intent = Intent(UUID(int=99), TICKET, "assignment", operator(ANNA), NOW)
    assert told(ticket, facts.accepted(ANNA)) == ()
    assert told(ticket, facts.accepted(ANNA, by=BORIS)) == (intent,)
    by_system = facts.accepted(ANNA).model_copy(update={"actor": SYSTEM})
    assert told(ticket, by_system) == (intent,)
    odd = facts.accepted(ANNA).model_copy(update={"actor": Actor(kind="contact", id=ANNA)})
    assert told(ticket, odd) == (intent,)


def test_other_facts_tell_nobody(facts: Any, ticket: Ticket) -> None:
    for fact in (facts.wrote(CONTACT), facts.routed(TEAM), facts.unassigned(ANNA)):
        assert told(ticket, fact) == ()


def test_what_leaves_the_company_and_what_no_person_wrote(ticket: Ticket) -> None:
    intent = Intent(UUID(int=99), TICKET, "reply", customer(), NOW)
    assert (intent.to_customer, intent.is_automatic) == (True, False)
    offer = replace(intent, kind="offer", recipient=operator(ANNA))
    assert (offer.to_customer, offer.is_automatic) == (False, True)
    assert (offer.details, offer.reply_id, offer.text, offer.expires_at) == ({}, None, None, None)


# What a step of a clock asks


def test_a_warning_asks_for_colleagues_and_never_for_the_customer(facts: Any) -> None:
    fact = facts.warned("customer", "assignee", "team_lead", "assignee")
    details = {"clock": "first_response", "due_at": "2026-11-24T13:00:00+00:00"}
    assert asks(enveloped(fact), fact, NOW + TICK) == (
        Question(UUID(int=99), TICKET, "warning", "assignee", NOW, NOW + TICK, details),
        Question(UUID(int=99), TICKET, "warning", "team_lead", NOW, NOW + TICK, details),
    )


def test_a_breach_asks_for_all_and_the_customer_gets_an_apology(facts: Any) -> None:
    forecast = NOW + timedelta(hours=1)
    fact = facts.breached("team_lead", "customer", forecast_at=forecast)
    details = {
        "clock": "first_response",
        "due_at": "2026-11-24T13:00:00+00:00",
        "forecast_at": forecast.isoformat(),
    }
    assert asks(enveloped(fact), fact, NOW) == (
        Question(UUID(int=99), TICKET, "breach", "team_lead", NOW, NOW, details),
        Question(UUID(int=99), TICKET, "apology", "customer", NOW, NOW, details),
    )
    unknown = facts.breached("team_lead")
    (question,) = asks(enveloped(unknown), unknown, NOW)
    assert Question(UUID(int=99), TICKET, "breach", "customer", NOW, NOW).details == {}
    assert set(question.details) == {"clock", "due_at"}


def asked(role: Any, **more: Any) -> Question:
    return replace(Question(UUID(int=99), TICKET, "breach", role, NOW, NOW), **more)


def test_the_customer_is_the_tickets(ticket: Ticket) -> None:
    assert recipients_of(asked("customer"), ticket, {}, NOW) == (customer(),)
    assert recipients_of(asked("customer"), None, {}, NOW + timedelta(days=9)) is None


@pytest.mark.parametrize("role", ["assignee", "team_lead"])
def test_that_nobody_is_meant_is_said_after_a_while(ticket: Ticket, role: Any) -> None:
    later = asked(role, asked_at=NOW + timedelta(hours=1))
    assert recipients_of(later, ticket, {}, later.asked_at + NOBODY_AFTER - TICK) is None
    assert recipients_of(later, ticket, {}, later.asked_at + NOBODY_AFTER) == ()
    assert timedelta(seconds=30) == NOBODY_AFTER


@pytest.mark.parametrize(("role", "found"), [("assignee", ANNA), ("team_lead", BORIS)])
def test_who_comes_within_the_time_of_patience_is_meant(
    facts: Any, ticket: Ticket, role: Any, found: UUID
) -> None:
    came = NOW + NOBODY_AFTER
    evolve(ticket, facts.accepted(ANNA), came)
    evolve(ticket, facts.routed(TEAM), came)
    leads = {TEAM: (BORIS,)}
    assert recipients_of(asked(role), ticket, leads, came) == (operator(found),)
    too_early = asked(role, fact_at=NOW - TICK)
    assert recipients_of(too_early, ticket, leads, NOW) is None


# How an intent begins


def intent(**more: Any) -> Intent:
    return replace(Intent(UUID(int=99), TICKET, "acknowledgement", customer(), NOW), **more)


def test_what_is_older_than_a_day_is_stale(ticket: Ticket) -> None:
    def state(age: timedelta) -> Any:
        return first_state(intent(), ticket, now=NOW + age, recent=0, known=True)

    assert state(STALE_AFTER) == ("pending", None)
    assert state(STALE_AFTER + TICK) == ("stale", "older_than_a_day")
    assert (timedelta(hours=24), timedelta(hours=1)) == (STALE_AFTER, CAP_WINDOW)


@pytest.mark.parametrize(
    ("kind", "silent", "to", "state"),
    [
        ("human", False, customer(), ("pending", None)),
        ("human", True, customer(), ("suppressed", "asked_for_silence")),
        ("auto_reply", False, customer(), ("suppressed", "automatic")),
        ("list", True, customer(), ("suppressed", "automatic")),
        ("list", True, operator(ANNA), ("pending", None)),
    ],
)
def test_a_machine_and_who_asked_for_silence_get_no_automatic_mail(
    ticket: Ticket, kind: Any, silent: bool, to: Recipient, state: Any
) -> None:
    ticket.last_kind, ticket.last_suppresses = kind, silent
    assert first_state(intent(recipient=to), ticket, now=NOW, recent=0, known=True) == state


def test_automatic_mails_are_capped_for_everybody(ticket: Ticket) -> None:
    for to in (customer(), operator(ANNA)):
        made = intent(recipient=to)
        last = first_state(made, ticket, now=NOW, recent=MOST_AUTOMATIC - 1, known=False)
        assert last == ("waiting", None)
        for recent in (MOST_AUTOMATIC, MOST_AUTOMATIC + 1):
            assert first_state(made, ticket, now=NOW, recent=recent, known=True) == ("capped", "too_many")
    reply = intent(kind="reply")
    assert first_state(reply, ticket, now=NOW, recent=99, known=False) == ("waiting", None)
    assert MOST_AUTOMATIC == 10


# The ticket as notify knows it


def test_an_opened_ticket_in_whole() -> None:
    fact = TicketOpened(
        number=7,
        line=Line(line_id=LINE_ID, name="Support", channel="email", language="ru", address="a@b.example"),
        contact_id=CONTACT,
        customer=Customer(contact_id=CONTACT, locale="en", verified=True),
        subject="Printer",
        message=CustomerMessage(
            source_key="0" * 64, received_at=NOW, kind="auto_reply", text="x", suppress_auto_reply=True
        ),
        priority="high",
        level=2,
        reply_token="t0ken",
    )
    assert opened(TICKET, fact) == Ticket(
        ticket_id=TICKET,
        number=7,
        line_id=LINE_ID,
        line_name="Support",
        line_address="a@b.example",
        contact_id=CONTACT,
        locale="en",
        verified=True,
        reply_token="t0ken",
        priority="high",
        level=2,
        last_kind="auto_reply",
        last_suppresses=True,
        team_id=None,
        assignee_id=None,
        teams=[],
        assignees=[],
    )


Changed = Callable[[Any], tuple[Fact, dict[str, Any]]]
HISTORY: list[Changed] = [
    lambda facts: (facts.wrote(CONTACT, kind="list"), {"last_kind": "list"}),
    lambda facts: (facts.wrote(CONTACT, suppress_auto_reply=True), {"last_suppresses": True}),
    lambda _: (PriorityChanged(before="low", after="critical", actor=SYSTEM), {"priority": "critical"}),
    lambda _: (
        Escalated(before=1, after=3, reason="manual", actor=SYSTEM, assignment_no=1),
        {"level": 3},
    ),
    lambda facts: (facts.routed(TEAM), {"team_id": TEAM, "teams": [(NOW.isoformat(), str(TEAM))]}),
    lambda facts: (facts.routed(None), {"team_id": None, "teams": [(NOW.isoformat(), None)]}),
    lambda facts: (
        facts.accepted(ANNA),
        {"assignee_id": ANNA, "assignees": [(NOW.isoformat(), str(ANNA))]},
    ),
    lambda facts: (
        facts.unassigned(ANNA),
        {"assignee_id": None, "assignees": [(NOW.isoformat(), None)]},
    ),
    lambda facts: (facts.replied(CONTACT, ANNA), {}),
]


@pytest.mark.parametrize("number", range(len(HISTORY)))
def test_each_fact_changes_this_and_nothing_else(facts: Any, number: int) -> None:
    opening = facts.opened(CONTACT)
    ticket, expected = opened(TICKET, opening), opened(TICKET, opening)
    fact, changes = HISTORY[number](facts)
    for one in (ticket, expected):
        one.team_id, one.assignee_id = UUID(int=70), UUID(int=71)
    assert evolve(ticket, fact, NOW) is bool(changes)
    assert ticket == replace(expected, **changes)


def test_the_last_eight_are_remembered(facts: Any, ticket: Ticket) -> None:
    for number in range(MOST_REMEMBERED + 3):
        evolve(ticket, facts.accepted(UUID(int=100 + number)), NOW + timedelta(seconds=number))
        evolve(ticket, facts.routed(UUID(int=200 + number)), NOW + timedelta(seconds=number))
    assert [named for _, named in ticket.assignees] == [str(UUID(int=103 + number)) for number in range(8)]
    assert [named for _, named in ticket.teams] == [str(UUID(int=203 + number)) for number in range(8)]


def test_who_it_was_at_a_moment_and_who_it_became() -> None:
    history = [
        (NOW.isoformat(), str(ANNA)),
        ((NOW + timedelta(seconds=10)).isoformat(), None),
        ((NOW + timedelta(seconds=20)).isoformat(), str(BORIS)),
        ((NOW + timedelta(seconds=25)).isoformat(), str(TEAM)),
    ]
    patience = timedelta(seconds=10)

    def at(seconds: float) -> UUID | None:
        return who_at(history, NOW + timedelta(seconds=seconds), patience)

    assert [at(-11), at(-10), at(-1), at(0), at(9.9)] == [None, ANNA, ANNA, ANNA, ANNA]
    assert [at(10), at(19), at(20), at(99)] == [BORIS, BORIS, BORIS, TEAM]
    assert who_at(history[:2], NOW + timedelta(seconds=12), patience) is None
    left_at_once = [(NOW.isoformat(), str(ANNA)), (NOW.isoformat(), None)]
    assert who_at(left_at_once, NOW, patience) is None


def test_who_may_see_what_was_told(ticket: Ticket) -> None:
    ticket.assignee_id, ticket.team_id = ANNA, TEAM
    for scope in ("own", "team", "queue", "all"):
        assert may_see(ticket, ANNA, scope, ())
        assert may_see(ticket, BORIS, scope, {TEAM}) == (scope != "own")
        assert may_see(ticket, BORIS, scope, {uuid4()}) == (scope == "all")
    assert not may_see(ticket, ANNA, "none", {TEAM})
    nobodys = replace(ticket, assignee_id=None, team_id=None)
    assert not may_see(nobodys, BORIS, "team", {TEAM})


# Threads


def test_of_a_long_chain_the_first_and_the_last_are_kept() -> None:
    links = [
        Link(NOW + timedelta(minutes=n), f"{n}@x", from_customer=n == 0) for n in range(MOST_REFERENCES + 2)
    ]
    found = thread_of(links, NOW + timedelta(hours=9))
    assert found == Thread("0@x", ("1@x", *(f"{n}@x" for n in range(4, 12)), "0@x"))
    whole = thread_of(links[:MOST_REFERENCES], NOW + timedelta(hours=9))
    assert whole == Thread("0@x", (*(f"{n}@x" for n in range(1, 10)), "0@x"))


def test_a_thread_is_as_it_was_then_and_ours_comes_after_theirs_of_the_same_moment() -> None:
    ours, theirs = Link(NOW, "ours@x", from_customer=False), Link(NOW, "theirs@x", from_customer=True)
    earlier = Link(NOW - TICK, "earlier@x", from_customer=False)
    assert thread_of([ours, theirs, earlier], NOW - TICK) == Thread("earlier@x", ("earlier@x",))
    assert thread_of([ours, earlier], NOW) == Thread("ours@x", ("earlier@x", "ours@x"))
    assert thread_of([ours, theirs], NOW) == Thread("theirs@x", ("ours@x", "theirs@x"))
    other = Link(NOW + TICK, "ours@x", from_customer=False)
    assert thread_of([theirs, ours, other], NOW + TICK).references == ("ours@x", "theirs@x")
