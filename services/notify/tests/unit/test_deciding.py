"""What is decided without a database: who is told, in which thread, when again, and who may see it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskline_events.notify import Recipient
from deskline_notify.domain.ids import message_id_of, notification_id_of, plus_address
from deskline_notify.domain.retrying import MOST_DELAY, delay_after, is_our_fault, is_permanent
from deskline_notify.domain.rights import may_see
from deskline_notify.domain.telling import NOBODY_AFTER, Intent, Question, first_state, recipients_of
from deskline_notify.domain.threads import MOST_REFERENCES, Link, Thread, thread_of
from deskline_notify.domain.tickets import Ticket, evolve, opened

pytestmark = pytest.mark.unit

NOW = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
FIRST = timedelta(seconds=5)


@pytest.fixture
def ticket(facts: Any) -> Ticket:
    return opened(uuid4(), facts.opened(uuid4()))


def question(role: Any, ticket_id: UUID) -> Question:
    return Question(uuid4(), ticket_id, "breach", role, NOW, NOW)


def test_an_id_of_a_notification_is_the_same_for_ever() -> None:
    recipient = Recipient(kind="contact", id=UUID(int=2))
    identity = notification_id_of(UUID(int=1), recipient, "email")
    assert identity == UUID("bf149c80-e178-5fb7-97fe-d0f27219ab2f")
    assert message_id_of(identity, "t0ken", "desk.example").endswith(".t0ken@desk.example")
    others = {
        notification_id_of(UUID(int=3), recipient, "email"),
        notification_id_of(UUID(int=1), Recipient(kind="operator", id=UUID(int=2)), "email"),
        notification_id_of(UUID(int=1), recipient, "chat"),
    }
    assert identity not in others
    assert len(others) == 3


def test_the_plus_address_fits_or_is_left_out() -> None:
    token = "t" * 42
    assert plus_address("help@brand.example", token) == f"help+{token}@brand.example"
    assert plus_address(f"{'h' * 30}@brand.example", token) == f"{'h' * 30}@brand.example"


def test_a_thread_answers_the_customers_last_mail_and_names_those_before() -> None:
    links = [
        Link(NOW, "first@c", from_customer=True),
        Link(NOW, "ack@d", from_customer=False),
        Link(NOW + timedelta(minutes=1), "second@c", from_customer=True),
        Link(NOW + timedelta(minutes=2), "reply@d", from_customer=False),
        Link(NOW + timedelta(minutes=9), "later@c", from_customer=True),
    ]
    found = thread_of(links, NOW + timedelta(minutes=3))
    assert found == Thread("second@c", ("first@c", "ack@d", "reply@d", "second@c"))
    assert thread_of(list(reversed(links)), NOW + timedelta(minutes=3)) == found
    assert thread_of([], NOW) == Thread()
    assert thread_of(links[1:2], NOW) == Thread("ack@d", ("ack@d",))


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=40))
def test_a_thread_is_bounded_and_names_its_parent_last(given_links: list[tuple[int, bool]]) -> None:
    links = [
        Link(NOW + timedelta(minutes=at), f"{number}@x", from_customer=theirs)
        for number, (at, theirs) in enumerate(given_links)
    ]
    found = thread_of(links, NOW + timedelta(minutes=40))
    assert len(found.references) <= MOST_REFERENCES
    assert len(set(found.references)) == len(found.references)
    assert (found.references[-1] if found.references else None) == found.in_reply_to


@given(st.integers(1, 200), st.floats(0, 1))
def test_tries_grow_apart_up_to_half_an_hour(attempts: int, chance: float) -> None:
    delay = delay_after(attempts, FIRST, chance)
    assert FIRST / 2 <= delay <= MOST_DELAY * 1.5
    assert delay <= delay_after(attempts + 1, FIRST, chance)


def test_a_wrong_password_of_ours_is_no_mails_fault() -> None:
    assert [is_permanent(code) for code in (421, 451, 535, 550, 554)] == [False, False, False, True, True]
    assert is_our_fault(535)


def test_a_ticket_is_brought_forward_by_its_facts(facts: Any, ticket: Ticket) -> None:
    operator, team = uuid4(), uuid4()
    for fact in (facts.routed(team), facts.accepted(operator), facts.wrote(ticket.contact_id, kind="list")):
        evolve(ticket, fact, NOW)
    assert (ticket.team_id, ticket.assignee_id, ticket.last_kind) == (team, operator, "list")
    assert not ticket.takes_automatic_mail
    evolve(ticket, facts.wrote(ticket.contact_id), NOW)
    assert ticket.takes_automatic_mail


def test_who_is_meant_is_said_when_it_is_known(facts: Any, ticket: Ticket) -> None:
    ask = question("assignee", ticket.ticket_id)
    assert recipients_of(ask, None, {}, NOW + timedelta(hours=5)) is None
    assert recipients_of(ask, ticket, {}, NOW) is None
    assert recipients_of(ask, ticket, {}, NOW + NOBODY_AFTER) == ()
    before, after = uuid4(), uuid4()
    evolve(ticket, facts.accepted(before), NOW - timedelta(minutes=5))
    assert recipients_of(ask, ticket, {}, NOW) == (Recipient(kind="operator", id=before),)
    # What the breach itself brought about comes first, or not: the same one is told.
    evolve(ticket, facts.unassigned(before), NOW + timedelta(seconds=1))
    evolve(ticket, facts.accepted(after), NOW + timedelta(seconds=2))
    assert recipients_of(ask, ticket, {}, NOW) == (Recipient(kind="operator", id=before),)
    late = replace(ask, fact_at=NOW + timedelta(seconds=1))
    assert recipients_of(late, ticket, {}, NOW) == (Recipient(kind="operator", id=after),)


def test_leads_are_those_of_the_tickets_team(facts: Any, ticket: Ticket) -> None:
    ask, leads = question("team_lead", ticket.ticket_id), (uuid4(), uuid4())
    team = uuid4()
    evolve(ticket, facts.routed(team), NOW - timedelta(minutes=5))
    evolve(ticket, facts.routed(uuid4()), NOW + timedelta(seconds=1))
    assert recipients_of(ask, ticket, {}, NOW + timedelta(hours=5)) is None
    assert recipients_of(ask, ticket, {team: ()}, NOW) == ()
    found = recipients_of(ask, ticket, {team: leads}, NOW)
    assert found == tuple(Recipient(kind="operator", id=lead) for lead in leads)


def test_an_operators_reply_is_neither_capped_nor_suppressed(facts: Any, ticket: Ticket) -> None:
    ticket.last_kind = "auto_reply"
    to = Recipient(kind="contact", id=ticket.contact_id)
    reply = Intent(uuid4(), ticket.ticket_id, "reply", to, NOW, reply_id=uuid4(), text="x")
    assert first_state(reply, ticket, now=NOW, recent=99, known=True) == ("pending", None)
    assert first_state(reply, ticket, now=NOW + timedelta(hours=25), recent=0, known=True)[0] == "stale"


@pytest.mark.parametrize(
    ("scope", "assignee", "team", "seen"),
    [
        ("all", False, False, True),
        ("own", True, False, True),
        ("own", False, True, False),
        ("team", False, True, True),
        ("team", False, False, False),
        ("queue", False, True, True),
        ("queue", True, False, True),
        ("none", True, True, False),
    ],
)
def test_another_teams_ticket_is_not_there(
    ticket: Ticket, scope: str, assignee: bool, team: bool, seen: bool
) -> None:
    me, ticket.team_id = uuid4(), uuid4()
    ticket.assignee_id = me if assignee else uuid4()
    assert may_see(ticket, me, scope, {ticket.team_id} if team else {uuid4()}) is seen
