"""Facts become intents, and intents mails: to whom, once, in order, and to no machine."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

pytestmark = pytest.mark.component


@pytest.fixture
def sending(desk: Any, post: Any, senders: Any) -> Any:
    senders.start(desk, post)
    return post


def test_an_acknowledgement_comes_in_the_customers_language_and_thread(
    desk: Any, facts: Any, sending: Any, until: Any
) -> None:
    customer = desk.customer("ivan@client.example")
    ticket_id = desk.ticket(customer, message_id="first@client.example")
    until(lambda: desk.states(ticket_id) == [("acknowledgement", "sent", None)], "sent")
    (mail,) = sending.accepted
    assert (mail.sender, mail.recipient) == ("", "ivan@client.example")
    message = mail.message
    assert message["Subject"] == "Re: Принтер [#1042]"
    assert message["From"] == "Поддержка <help@brand.example>"
    assert message["Reply-To"] == "Поддержка <help+t0ken@brand.example>"
    assert message["In-Reply-To"] == message["References"] == "<first@client.example>"
    assert message["Auto-Submitted"] == "auto-replied"
    assert message["X-Auto-Response-Suppress"] == "All"
    assert re.fullmatch(r"<[a-z2-7]{26}\.t0ken@desk\.example>", message["Message-ID"])
    assert "Мы получили ваше сообщение" in message.get_body(("plain",)).get_content()
    assert "<p>Здравствуйте!</p>" in message.get_body(("html",)).get_content()
    ((kind, data),) = desk.events(ticket_id)
    assert (kind, data["kind"], data["message_id"]) == (
        "NotificationSent",
        "acknowledgement",
        mail.message_id.strip("<>"),
    )


def test_an_operators_reply_is_threaded_and_says_nothing_of_a_machine(
    desk: Any, facts: Any, sending: Any, until: Any
) -> None:
    customer, operator = desk.customer("en@client.example"), desk.operator()
    ticket_id = desk.ticket(customer, locale="en", message_id="first@client.example")
    desk.tell(ticket_id, facts.wrote(customer, message_id="second@client.example"))
    reply = facts.replied(customer, operator, "Please try again.\n\nAnn")
    desk.tell(ticket_id, reply)
    until(lambda: len(sending.to("en@client.example")) == 2, "both")
    first, second = sending.to("en@client.example")
    assert second.sender == "help@brand.example"
    assert second.message["In-Reply-To"] == "<second@client.example>"
    assert second.message["References"].split() == [
        "<first@client.example>",
        first.message_id,
        "<second@client.example>",
    ]
    assert "Auto-Submitted" not in second.message
    assert "X-Auto-Response-Suppress" not in second.message
    text = second.message.get_body(("plain",)).get_content().replace("\r\n", "\n")
    assert text.startswith("Please try again.\n\nAnn\n")
    assert text.rstrip().endswith("Анна\nПоддержка")
    until(lambda: len(desk.events(ticket_id)) == 2, "the events")
    assert desk.events(ticket_id)[1][1]["reply_id"] == str(reply.reply_id)
    # What a reply said is kept no longer than it takes to send it.
    assert desk.rows("SELECT count(*) FROM notifications WHERE reply_text IS NOT NULL") == [(0,)]


def test_operators_are_told_of_offers_assignments_warnings_and_breaches(
    desk: Any, facts: Any, sending: Any, until: Any
) -> None:
    customer, operator, lead = (
        desk.customer(),
        desk.operator("ann@brand.example"),
        desk.operator("lead@brand.example", language="ru"),
    )
    team = uuid4()
    desk.take(desk.envelope("routing", team, facts.team(team, lead)))
    ticket_id = desk.ticket(customer, message_id="first@client.example")
    desk.tell(ticket_id, facts.routed(team), facts.offered(operator))
    desk.tell(ticket_id, facts.accepted(operator, by=lead))
    desk.tell(ticket_id, facts.warned("assignee", "team_lead", "customer"))
    forecast = datetime(2026, 11, 24, 17, 0, tzinfo=UTC)
    desk.tell(ticket_id, facts.breached("assignee", "team_lead", "customer", forecast_at=forecast))
    until(lambda: len(desk.events(ticket_id)) == 8, "all told")
    to = {
        address: [one.message["Subject"] for one in sending.to(address)]
        for address in ("ann@brand.example", "lead@brand.example", "ivan@client.example")
    }
    assert to == {
        "ann@brand.example": [
            "[#1042] Offered to you: Принтер",
            "[#1042] Assigned to you: Принтер",
            "[#1042] Due soon (first response): Принтер",
            "[#1042] Overdue (first response): Принтер",
        ],
        "lead@brand.example": [
            "[#1042] Скоро срок (первый ответ): Принтер",
            "[#1042] Срок нарушен (первый ответ): Принтер",
        ],
        "ivan@client.example": ["Re: Принтер [#1042]"] * 2,
    }
    apology = sending.to("ivan@client.example")[1]
    assert (
        "Ожидаем, что ответ будет до 24.11.2026 17:00 (UTC)."
        in apology.message.get_body(("plain",)).get_content()
    )
    assert apology.message["Auto-Submitted"] == "auto-replied"
    for one in sending.to("ann@brand.example"):
        assert one.message["Auto-Submitted"] == "auto-generated"
        assert one.message["Reply-To"] is None
        assert one.sender == ""


def test_the_actor_is_not_told_of_what_they_did(desk: Any, facts: Any) -> None:
    ticket_id, operator = desk.ticket(desk.customer()), desk.operator()
    desk.tell(ticket_id, facts.accepted(operator))
    assert [kind for kind, _, _ in desk.states(ticket_id)] == ["acknowledgement"]


@pytest.mark.parametrize("kind", ["auto_reply", "list", "bounce", "own_loop"])
def test_mail_loops_automatic_mail_gets_no_automatic_answer(desk: Any, facts: Any, kind: str) -> None:
    customer = desk.customer()
    ticket_id = desk.ticket(customer, kind=kind)
    desk.tell(ticket_id, facts.breached("customer"))
    assert desk.states(ticket_id) == [
        ("acknowledgement", "suppressed", "automatic"),
        ("apology", "suppressed", "automatic"),
    ]


def test_who_asks_for_silence_gets_no_automatic_answer_but_an_operators(desk: Any, facts: Any) -> None:
    customer, operator = desk.customer(), desk.operator()
    ticket_id = desk.ticket(customer, suppress_auto_reply=True)
    desk.tell(ticket_id, facts.replied(customer, operator))
    assert desk.states(ticket_id) == [
        ("acknowledgement", "suppressed", "asked_for_silence"),
        ("reply", "pending", None),
    ]


def test_mail_loops_end_at_ten_automatic_mails_an_hour(desk: Any, facts: Any) -> None:
    customer, operator = desk.customer(), desk.operator()
    ticket_id = desk.ticket(customer)
    desk.tell(ticket_id, *(facts.breached("customer") for _ in range(7)))
    desk.tell(ticket_id, *(facts.breached("customer") for _ in range(7)), facts.replied(customer, operator))
    states = desk.states(ticket_id)
    assert [state for kind, state, _ in states if kind != "reply"] == ["pending"] * 10 + ["capped"] * 5
    assert ("reply", "pending", None) in states
    desk.as_owner("UPDATE notifications SET created_at = created_at - interval '61 minutes'")
    desk.tell(ticket_id, facts.breached("customer"))
    assert desk.states(ticket_id)[-1] == ("apology", "pending", None)


def test_forms_used_to_spam_third_parties_say_nothing_and_at_most_once_an_hour(
    desk: Any, facts: Any, sending: Any, until: Any
) -> None:
    tickets = [
        desk.ticket(desk.customer("victim@elsewhere.example"), verified=False, subject="Купите виагру")
        for _ in range(3)
    ]
    until(lambda: all(desk.states(one)[0][1] in {"sent", "capped"} for one in tickets), "all decided")
    (mail,) = sending.to("victim@elsewhere.example")
    assert "виагру".encode() not in mail.content
    assert "виагру" not in str(mail.message["Subject"])
    assert "виагру" not in mail.message.get_body(("plain",)).get_content()
    assert mail.message["Subject"] == "Re: Поддержка [#1042]"
    assert sorted(desk.states(one)[0][1:] for one in tickets) == [
        ("capped", "unverified_address"),
        ("capped", "unverified_address"),
        ("sent", None),
    ]
    assert "victim" not in desk.dump()
    desk.as_owner("UPDATE unverified_answers SET answered_at = answered_at - interval '61 minutes'")
    later = desk.ticket(desk.customer("victim@elsewhere.example"), verified=False)
    until(lambda: desk.states(later)[0][1] == "sent", "an hour later")


def test_facts_of_one_moment_are_told_in_the_order_of_their_stream(desk: Any, facts: Any) -> None:
    team, lead = uuid4(), desk.operator("lead-of-moments@brand.example")
    desk.take(desk.envelope("routing", team, facts.team(team, lead)))
    tickets = [desk.ticket(desk.customer(f"moment{number}@client.example")) for number in range(8)]
    at = datetime.now(UTC)
    for ticket_id in tickets:
        steps = (facts.warned("team_lead"), facts.breached("team_lead"))
        told = [desk.envelope("sla", ticket_id, step) for step in steps]
        # Late after an outage, both are committed at once; whose team it is comes later.
        desk.take(*((replace(envelope, time=at), fact) for envelope, fact in told))
        desk.tell(ticket_id, facts.routed(team))
    for ticket_id in tickets:
        assert [kind for kind, _, _ in desk.states(ticket_id)] == ["acknowledgement", "warning", "breach"]


def test_a_question_waits_for_the_one_before_it_that_another_process_looks_at(desk: Any, facts: Any) -> None:
    team, lead = uuid4(), desk.operator("lead-of-two@brand.example")
    ticket_id = desk.ticket(desk.customer("two@client.example"))
    desk.tell(ticket_id, facts.warned("team_lead"))
    with psycopg.connect(desk.base.owner_url) as sweeping:
        sweeping.execute("SELECT FROM questions WHERE ticket_id = %s FOR UPDATE", (ticket_id,))
        desk.take(desk.envelope("routing", team, facts.team(team, lead)))
        desk.tell(ticket_id, facts.routed(team))
        desk.tell(ticket_id, facts.breached("team_lead"))
        assert [kind for kind, _, _ in desk.states(ticket_id)] == ["acknowledgement"]
    desk.sweep()
    assert [kind for kind, _, _ in desk.states(ticket_id)] == ["acknowledgement", "warning", "breach"]


def test_a_repeated_event_tells_nobody_twice(desk: Any, facts: Any) -> None:
    customer, ticket_id = desk.customer(), uuid4()
    opened = desk.envelope("tickets", ticket_id, facts.opened(customer))
    desk.take(opened)
    desk.take(opened, opened)
    assert len(desk.states(ticket_id)) == 1


def test_the_past_stays_quiet_facts_before_the_subscription_only_build_state(
    new_desk: Any, facts: Any, post: Any, senders: Any, until: Any
) -> None:
    desk = new_desk(since=datetime.now(UTC) - timedelta(minutes=5))
    customer, operator = desk.customer(), desk.operator()
    ticket_id = uuid4()
    desk.tell(ticket_id, facts.opened(customer, message_id="old@client.example"), age=timedelta(minutes=6))
    assert desk.states(ticket_id) == []
    # A later start, or a second replica, changes nothing of the moment.
    other = new_desk(desk.base, since=datetime.now(UTC))
    other._sequences = desk._sequences
    other.tell(ticket_id, facts.replied(customer, operator), age=timedelta(minutes=4))
    assert desk.states(ticket_id) == [("reply", "pending", None)]
    senders.start(desk, post)
    until(lambda: len(post.accepted) == 1, "the reply")
    assert post.accepted[0].message["In-Reply-To"] == "<old@client.example>"


def test_an_intent_of_a_fact_of_yesterday_is_shown_and_not_sent(desk: Any, facts: Any) -> None:
    customer, operator, ticket_id = desk.customer(), desk.operator(), uuid4()
    reply = facts.replied(customer, operator)
    desk.tell(ticket_id, facts.opened(customer), reply, facts.breached("customer"), age=timedelta(hours=25))
    assert desk.states(ticket_id) == [
        ("acknowledgement", "stale", "older_than_a_day"),
        ("reply", "stale", "older_than_a_day"),
        ("apology", "stale", "older_than_a_day"),
    ]
    # The operator who wrote the reply sees that it did not go out.
    desk.sweep()
    desk.sweep()
    ((kind, data),) = desk.events(ticket_id)
    assert (kind, data["reply_id"], data["reason"]) == ("NotificationFailed", str(reply.reply_id), "stale")


def test_whoever_is_not_known_yet_is_waited_for(desk: Any, facts: Any, sending: Any, until: Any) -> None:
    customer, operator, lead, team = desk.person(), desk.person(), desk.person(), uuid4()
    ticket_id = uuid4()
    # sla's fact comes first, then the ticket's, and the people last.
    desk.tell(ticket_id, facts.breached("team_lead", "customer"))
    assert desk.states(ticket_id) == []
    desk.tell(ticket_id, facts.opened(customer), facts.routed(team), facts.offered(operator))
    assert desk.states(ticket_id) == [
        ("acknowledgement", "waiting", None),
        ("offer", "waiting", None),
        ("apology", "waiting", None),
    ]
    desk.take(desk.envelope("routing", team, facts.team(team, lead)))
    desk.take(desk.envelope("intake", customer, facts.registered(customer, "late@client.example")))
    for one, address in ((operator, "op@brand.example"), (lead, "chief@brand.example")):
        desk.take(desk.envelope("routing", one, facts.operator(one, address)))
    desk.sweep()
    until(lambda: [s for _, s, _ in desk.states(ticket_id)] == ["sent"] * 4, "all told")
    assert len(sending.to("late@client.example")) == 2
    assert len(sending.to("chief@brand.example")) == 1


def test_whoever_stays_unknown_for_a_day_is_a_failure_that_is_seen(desk: Any, facts: Any) -> None:
    ticket_id, nobody = desk.ticket(desk.person()), uuid4()
    desk.tell(nobody, facts.warned("team_lead"))
    desk.as_owner("UPDATE notifications SET created_at = created_at - interval '25 hours'")
    desk.as_owner("UPDATE questions SET asked_at = asked_at - interval '25 hours'")
    desk.sweep()
    assert desk.states(ticket_id) == [("acknowledgement", "failed", "no_address")]
    assert [(kind, data["reason"]) for kind, data in desk.events(ticket_id)] == [
        ("NotificationFailed", "no_address")
    ]
    assert desk.rows("SELECT count(*) FROM questions WHERE ticket_id = %s", nobody) == [(0,)]


def test_an_offer_that_ended_meanwhile_is_not_told(desk: Any, facts: Any, sending: Any, until: Any) -> None:
    ticket_id, operator = desk.ticket(desk.customer()), desk.operator()
    desk.tell(ticket_id, facts.offered(operator, minutes=-1))
    until(lambda: desk.states(ticket_id)[1] == ("offer", "failed", "expired"), "decided")


def test_whoever_left_the_company_is_told_nothing(desk: Any, facts: Any, sending: Any, until: Any) -> None:
    ticket_id, operator = desk.ticket(desk.customer()), desk.operator("left@brand.example", employed=False)
    desk.tell(ticket_id, facts.offered(operator))
    until(lambda: desk.states(ticket_id)[1] == ("offer", "failed", "left"), "decided")
    assert sending.to("left@brand.example") == []


def test_a_contact_without_a_usable_address_is_a_failure(
    desk: Any, facts: Any, sending: Any, until: Any
) -> None:
    without = desk.ticket(desk.customer(None))
    hostile = desk.ticket(desk.customer("a@b.example>\r\nRCPT TO:<c@d.example"))
    until(lambda: desk.states(hostile)[0][1] == desk.states(without)[0][1] == "failed", "decided")
    assert desk.states(without)[0][2] == "no_address"
    assert desk.states(hostile)[0][2] == "bad_address"
    assert sending.taken == []
