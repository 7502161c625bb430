"""Mails go out once over a provider that refuses, hangs, drops connections and goes away."""

import asyncio
import re
import threading
import time
from collections import Counter
from typing import Any
from uuid import uuid4

import pytest

from deskline_notify.adapters import claims
from deskline_notify.adapters.claims import Verdict
from deskline_notify.handlers.sending import claim_errands, commit_verdicts

pytestmark = pytest.mark.component

SENT = [("acknowledgement", "sent", None)]


def at_most_once(post: Any) -> bool:
    return all(count == 1 for count in Counter(post.ids()).values())


def test_each_intent_is_delivered_once_over_few_connections(
    new_desk: Any, post: Any, senders: Any, until: Any
) -> None:
    desk = new_desk()
    customers = [desk.customer(f"c{number}@client.example") for number in range(60)]
    for customer in customers:
        desk.ticket(customer)
    senders.start(desk, post, connections=4)
    until(lambda: len(post.accepted) == 60, "all mails")
    until(lambda: desk.rows("SELECT count(*) FROM events") == [(60,)], "all events")
    assert at_most_once(post)
    assert post.connections == 4


def test_while_commits_wait_no_connection_is_more_than_two_mails_ahead(
    new_desk: Any, post: Any, senders: Any, until: Any
) -> None:
    desk = new_desk()
    for number in range(30):
        desk.ticket(desk.customer(f"w{number}@client.example"))
    with desk.database.transaction() as connection:
        desk.log.lock(connection)
        senders.start(desk, post, connections=3)
        until(lambda: len(post.accepted) == 6, "two mails a connection")
        ended = time.monotonic() + 1.5
        while time.monotonic() < ended:
            assert len(post.taken) == 6
            time.sleep(0.05)
    until(lambda: desk.rows("SELECT count(*) FROM events") == [(30,)], "all events")
    assert at_most_once(post)


def test_what_became_of_many_mails_is_committed_together(
    new_desk: Any, post: Any, senders: Any, until: Any
) -> None:
    desk = new_desk()
    for number in range(96):
        desk.ticket(desk.customer(f"g{number}@client.example"))
    senders.start(desk, post, connections=8)
    until(lambda: desk.rows("SELECT count(*) FROM events") == [(96,)], "all events")
    # An append has one moment for all of its events.
    ((commits,),) = desk.rows("SELECT count(DISTINCT time) FROM events")
    assert commits <= 96 / 3
    assert at_most_once(post)


def test_the_next_of_a_ticket_is_looked_for_when_the_one_before_is_committed(desk: Any, facts: Any) -> None:
    customer, operator = desk.customer("next@client.example"), desk.operator()
    ticket_id = desk.ticket(customer)
    desk.tell(ticket_id, facts.replied(customer, operator), facts.offered(operator))
    waited: list[bool] = []
    for expected in ({"acknowledgement", "offer"}, {"reply"}):
        errands, _ = claim_errands(desk.database, desk.house, 60, 50)
        assert {one.claimed.kind for one in errands} == expected
        for errand in errands:
            later = Verdict(errand.claimed.place, errand.lease, "deferred")
            assert not commit_verdicts(desk.database, desk.log, [later])
        assert claim_errands(desk.database, desk.house, 0, 50)[0]  # nothing is done, it is due again
        for errand in claim_errands(desk.database, desk.house, 60, 50)[0]:
            done = Verdict(errand.claimed.place, errand.lease, "sent")
            waited.append(commit_verdicts(desk.database, desk.log, [done]))
    assert waited == [True, False, False]


def test_a_temporary_refusal_is_tried_again_and_a_permanent_one_is_a_failure(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    refusals = {
        "slow@client.example": ["451 later", "452 later still"],
        "gone@client.example": ["550 no"] * 9,
    }

    def answer_recipient(address: str) -> str:
        left = refusals.get(address)
        return left.pop(0) if left else "250 OK"

    post.answer_recipient = answer_recipient
    slow, gone, good = (
        desk.ticket(desk.customer(f"{name}@client.example")) for name in ("slow", "gone", "good")
    )
    senders.start(desk, post, connections=1)
    until(lambda: desk.states(slow) == SENT, "the slow one")
    until(lambda: desk.states(gone) == [("acknowledgement", "failed", "smtp_550")], "the failure")
    until(lambda: desk.states(good) == SENT, "another's mail")
    assert [(kind, data["reason"]) for kind, data in desk.events(gone)] == [
        ("NotificationFailed", "smtp_550")
    ]
    assert desk.rows("SELECT attempts FROM notifications WHERE ticket_id = %s", slow) == [(3,)]
    assert len(refusals["gone@client.example"]) == 8
    # A refused recipient costs no connection.
    assert post.connections == 1


def test_a_refusal_after_the_text_counts_like_one_before_it(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    answers = ["451 busy", "554 spam"]
    post.answer = lambda _: answers.pop(0) if answers else "250 OK"
    ticket_id = desk.ticket(desk.customer())
    senders.start(desk, post)
    until(lambda: desk.states(ticket_id) == [("acknowledgement", "failed", "smtp_554")], "the failure")


def test_what_the_provider_took_before_the_line_broke_comes_again_as_the_same_mail(
    desk: Any, facts: Any, post: Any, senders: Any, until: Any
) -> None:
    customer, operator = desk.customer(), desk.operator()
    ticket_id = desk.ticket(customer, message_id="first@client.example")
    desk.tell(ticket_id, facts.replied(customer, operator))
    broken = []

    def break_after_taking(taken: Any) -> str:
        if len(post.taken) in {1, 3}:
            broken.append(taken)
            taken.server.transport.abort()
        return "250 OK"

    post.answer = break_after_taking
    senders.start(desk, post)
    until(lambda: [state for _, state, _ in desk.states(ticket_id)] == ["sent", "sent"], "both")
    # A customer's later mail changes nothing of a repeated one.
    first, again, reply, reply_again = post.taken
    assert len(broken) == 2
    for one, other in ((first, again), (reply, reply_again)):
        without_date = [re.sub(rb"(?m)^Date: .*$", b"", mail.content) for mail in (one, other)]
        assert without_date[0] == without_date[1]
    assert first.message_id != reply.message_id
    assert len(desk.events(ticket_id)) == 2


def test_a_provider_that_hangs_is_left_and_tried_again(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    released = threading.Event()

    async def hang(_taken: Any) -> str:
        if not released.is_set():
            released.set()
            await asyncio.sleep(30)
        return "250 OK"

    post.answer = hang
    ticket_id = desk.ticket(desk.customer())
    senders.start(desk, post, timeout=1.0)
    until(lambda: desk.states(ticket_id) == SENT, "the second try")
    assert len(post.accepted) == 1


def test_a_provider_that_is_away_costs_no_mail_a_try(desk: Any, post: Any, senders: Any, until: Any) -> None:
    post.stop()
    tickets = [desk.ticket(desk.customer(f"away{number}@client.example")) for number in range(20)]
    beat = senders.start(desk, post)
    until(lambda: "provider" in (beat.reason or ""), "red")
    post.start()
    until(lambda: all(desk.states(one) == SENT for one in tickets), "all sent")
    assert at_most_once(post)
    assert desk.rows("SELECT max(attempts) FROM notifications WHERE ticket_id = ANY(%s)", tickets) == [(1,)]
    until(lambda: beat.reason is None, "green")


def test_a_connection_that_the_server_ended_while_idle_costs_no_try(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    senders.start(desk, post, connections=1)
    first = desk.ticket(desk.customer())
    until(lambda: desk.states(first) == SENT, "the first")
    post.stop()
    post.start()
    second = desk.ticket(desk.customer())
    until(lambda: desk.states(second) == SENT, "the second")
    assert desk.rows("SELECT attempts FROM notifications WHERE ticket_id = %s", second) == [(1,)]


def test_two_replicas_share_the_work_and_send_once(
    new_desk: Any, post: Any, senders: Any, until: Any
) -> None:
    desk = new_desk()
    other = new_desk(desk.base)
    for number in range(120):
        desk.ticket(desk.customer(f"r{number}@client.example"))
    handed: Counter[int] = Counter()

    async def slowly(taken: Any) -> str:
        handed[taken.server.transport.get_extra_info("peername")[1]] += 1
        await asyncio.sleep(0.01)
        return "250 OK"

    post.answer = slowly
    senders.start(desk, post, connections=2)
    senders.start(other, post, connections=2)
    until(lambda: desk.rows("SELECT count(*) FROM events") == [(120,)], "all")
    assert at_most_once(post)
    assert len(post.accepted) == 120
    assert len(handed) == 4


def test_a_dead_replicas_claims_are_sent_by_another_when_their_lease_ends(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    ticket_id = desk.ticket(desk.customer())
    errands, verdicts = claim_errands(desk.database, desk.house, 0.7, 50)
    assert ([one.claimed.ticket_id for one in errands], verdicts) == ([ticket_id], [])
    assert claim_errands(desk.database, desk.house, 0.7, 50) == ([], [])
    senders.start(desk, post)
    until(lambda: desk.states(ticket_id) == SENT, "sent by the other one")
    # The dead one comes back: what it says of its lease is too late, and announces nothing.
    late = [Verdict(one.claimed.place, one.lease, "sent") for one in errands]
    late += [Verdict(one.claimed.place, one.lease, "failed", "smtp_550") for one in errands]
    commit_verdicts(desk.database, desk.log, late)
    assert desk.states(ticket_id) == SENT
    assert [kind for kind, _ in desk.events(ticket_id)] == ["NotificationSent"]


def test_whose_lease_ended_decides_nothing_but_that_it_was_sent(desk: Any) -> None:
    ticket_id = desk.ticket(desk.customer("lease@client.example"))
    with desk.database.transaction() as connection:
        claimed = claims.claim(connection, old := uuid4(), 0, 50)
    (first,) = (one for one in claimed if one.ticket_id == ticket_id)
    with desk.database.transaction() as connection:
        claimed = claims.claim(connection, new := uuid4(), 60, 50)
    (again,) = (one for one in claimed if one.ticket_id == ticket_id)
    assert first.place == again.place
    commit_verdicts(desk.database, desk.log, [Verdict(first.place, old, "failed", "smtp_550")])
    commit_verdicts(desk.database, desk.log, [Verdict(first.place, old, "deferred", "smtp_451")])
    assert desk.states(ticket_id) == [("acknowledgement", "pending", None)]
    commit_verdicts(desk.database, desk.log, [Verdict(first.place, old, "sent")])
    commit_verdicts(desk.database, desk.log, [Verdict(first.place, new, "failed", "smtp_550")])
    assert desk.states(ticket_id) == SENT
    assert [kind for kind, _ in desk.events(ticket_id)] == ["NotificationSent"]


def test_a_slow_provider_does_not_outlast_a_lease(desk: Any, post: Any, senders: Any, until: Any) -> None:
    async def slowly(_taken: Any) -> str:
        await asyncio.sleep(2.5)
        return "250 OK"

    post.answer = slowly
    ticket_id = desk.ticket(desk.customer("slow-lease@client.example"))
    senders.start(desk, post, timeout=10, lease=1.0)
    until(lambda: len(post.taken) == 1, "under way")
    senders.start(desk, post, timeout=10, lease=1.0)
    until(lambda: desk.states(ticket_id) == SENT, "sent")
    assert len(post.taken) == 1


def test_a_reply_waits_for_the_acknowledgement_before_it(
    desk: Any, facts: Any, post: Any, senders: Any, until: Any
) -> None:
    answers = ["451 later"] * 3
    post.answer_recipient = lambda _: answers.pop(0) if answers else "250 OK"
    customer, operator = desk.customer("order@client.example"), desk.operator()
    ticket_id = desk.ticket(customer)
    desk.tell(ticket_id, facts.replied(customer, operator, "one"), facts.replied(customer, operator, "two"))
    senders.start(desk, post)
    until(lambda: [state for _, state, _ in desk.states(ticket_id)] == ["sent"] * 3, "all")
    bodies = [one.message.get_body(("plain",)).get_content() for one in post.to("order@client.example")]
    assert ["получили" in body for body in bodies] == [True, False, False]
    assert [body.split()[0] for body in bodies[1:]] == ["one", "two"]


def test_what_is_not_sent_within_a_day_is_given_up_and_told(desk: Any, facts: Any) -> None:
    customer, operator = desk.customer(), desk.operator()
    ticket_id = desk.ticket(customer)
    reply = facts.replied(customer, operator)
    desk.tell(ticket_id, reply)
    desk.as_owner("UPDATE notifications SET created_at = created_at - interval '25 hours'")
    desk.sweep()
    assert [reason for _, _, reason in desk.states(ticket_id)] == ["gave_up", "gave_up"]
    assert [(data["reply_id"], data["reason"]) for _, data in desk.events(ticket_id)] == [
        (None, "gave_up"),
        (str(reply.reply_id), "gave_up"),
    ]


def test_a_mail_under_way_is_not_given_up(desk: Any) -> None:
    ticket_id = desk.ticket(desk.customer())
    with desk.database.transaction() as connection:
        (claimed,) = claims.claim(connection, uuid4(), 60, 10)
    assert claimed.ticket_id == ticket_id
    desk.as_owner("UPDATE notifications SET created_at = created_at - interval '25 hours'")
    desk.sweep()
    assert desk.states(ticket_id) == [("acknowledgement", "pending", None)]


def test_a_stop_puts_back_what_was_not_begun(desk: Any, post: Any, senders: Any, until: Any) -> None:
    gate = threading.Event()

    async def slowly(_taken: Any) -> str:
        await asyncio.to_thread(gate.wait, 20)
        return "250 OK"

    post.answer = slowly
    tickets = [desk.ticket(desk.customer(f"s{number}@client.example")) for number in range(10)]
    senders.start(desk, post, connections=1)
    until(lambda: len(post.taken) == 1, "the first is under way")
    gate.set()
    senders.stop()
    states = Counter(desk.states(one)[0][1] for one in tickets)
    assert states["sent"] == len(post.accepted) >= 1
    held = "SELECT count(*) FROM notifications WHERE lease IS NOT NULL AND ticket_id = ANY(%s)"
    assert desk.rows(held, tickets) == [(0,)]


def test_a_lost_connection_before_the_text_is_no_delivery(
    desk: Any, post: Any, senders: Any, until: Any
) -> None:
    broken: list[int] = []

    def answer_recipient(_address: str) -> str:
        if len(broken) < 3:
            broken.append(1)
            for session in post._sessions:
                if session.transport is not None:
                    session.transport.abort()
        return "250 OK"

    post.answer_recipient = answer_recipient
    ticket_id = desk.ticket(desk.customer())
    senders.start(desk, post, connections=1)
    until(lambda: desk.states(ticket_id) == SENT, "sent")
    assert len(post.taken) == 1


def test_an_erased_customer_is_told_nothing_and_nothing_of_them_is_readable(
    desk: Any, facts: Any, post: Any, senders: Any, until: Any
) -> None:
    canary = "canary-3f9a"
    customer, operator = desk.customer(f"{canary}@client.example"), desk.operator(f"{canary}@brand.example")
    ticket_id = desk.ticket(customer, subject=f"{canary} subject", message_id=f"{canary}@client.example")
    desk.tell(ticket_id, facts.replied(customer, operator, f"{canary} text"), facts.offered(operator))
    # Sealed from the first moment on: nothing is left for a sweep to forget.
    assert canary not in desk.dump()
    desk.erase(customer)
    desk.erase(operator)
    senders.start(desk, post)
    failed = [(kind, "failed", "person_erased") for kind in ("acknowledgement", "reply", "offer")]
    until(lambda: desk.states(ticket_id) == failed, "all failed")
    assert post.taken == []
    later = desk.ticket(customer, subject="erased")
    until(lambda: desk.states(later) == failed[:1], "a later ticket")
    assert canary not in desk.dump()
