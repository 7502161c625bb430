"""What clients know of their messages, and whom a fault was in the way of, is noted as it was."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from tests.chaos.done import MOMENTS_APART, Trouble
from tests.chaos.plan import Step
from tests.chaos.workload import Crowd, Doors, Ledger, Message, Outcome, canary, form_of, mail_of

pytestmark = pytest.mark.unit

START = datetime(2026, 11, 22, 3, 0, tzinfo=UTC)
DOORS = Doors([("127.0.0.1", 1)], ["http://127.0.0.1:1"], "support@desk.example", "line-1")


def message(number: int = 1, thread: str | None = None) -> Message:
    return Message(number, "mail", f"<{number}@client1.example>", number, thread)


@pytest.mark.parametrize(
    ("calls", "fate"),
    [
        (["ok"], "ok"),
        (["fail", "info", "ok"], "ok"),
        (["ok", "info"], "ok"),
        (["fail", "info", "fail"], "info"),
        (["fail", "fail"], "fail"),
    ],
    ids=" ".join,
)
def test_a_message_is_known_by_the_best_of_its_calls(calls: list[Outcome], fate: Outcome) -> None:
    ledger = Ledger()
    for outcome in calls:
        ledger.note(message(), outcome)
    others: list[Outcome] = [one for one in ("ok", "info", "fail") if one != fate]
    assert ledger.of("mail", fate) == [message().id]
    assert [ledger.of("mail", one) for one in others] == [[], []]
    assert ledger.of("form", fate) == []
    assert sum(ledger.calls.values()) == len(calls)
    assert ledger.accepted == (fate == "ok")


def test_only_accepted_mails_open_threads_that_are_answered_in() -> None:
    ledger = Ledger()
    ledger.note(message(1), "ok")
    ledger.note(message(1), "ok")
    ledger.note(message(2), "info")
    ledger.note(message(3, thread=message(1).id), "ok")
    assert ledger.threads == [message(1)]


def test_the_same_seed_makes_the_same_crowd() -> None:
    def made(seed: int) -> list[Message]:
        crowd = Crowd(DOORS, seed, 40.0)
        return [crowd._make(number) for number in range(200)]

    assert made(3) == made(3)
    assert made(3) != made(4)
    assert {one.kind for one in made(3)} == {"mail", "form"}


def test_what_a_person_writes_holds_their_word() -> None:
    assert canary(7).encode() in mail_of(message(7, thread="<1@client1.example>"), "support@desk.example")
    assert b"References: <1@client1.example>" in mail_of(message(7, thread="<1@client1.example>"), "s@x")
    assert canary(7) in form_of(message(7))["text"]


@pytest.mark.parametrize(
    ("step", "service", "servers", "is_in_the_way"),
    [
        (Step("link cut", ("sla", "kafka")), "sla", ("kafka",), True),
        (Step("link cut", ("sla", "kafka")), "sla", ("postgres",), False),
        (Step("link cut", ("sla", "kafka")), "notify", ("kafka",), False),
        (Step("postgres killed"), "notify", ("postgres", "mailbox"), True),
        (Step("kafka wiped"), "notify", ("postgres", "mailbox"), False),
        (Step("everything killed"), "notify", ("mailbox",), True),
        (Step("service stopped", ("notify-1",)), "notify", (), True),
        (Step("leader stopped", ("tickets",)), "tickets", (), True),
        (Step("leader stopped", ("tickets",)), "sla", ("kafka", "postgres"), False),
    ],
    ids=str,
)
def test_a_fault_is_in_the_way_of_those_who_use_what_it_took(
    step: Step, service: str, servers: tuple[str, ...], is_in_the_way: bool
) -> None:
    assert Trouble(step, START, START).is_in_the_way_of(service, servers) == is_in_the_way


def test_a_long_fault_leaves_no_long_gap() -> None:
    end = START + timedelta(seconds=12)
    moments = Trouble(Step("kafka stopped"), START, end).moments
    assert (moments[0], moments[-1]) == (START, end)
    assert all(later - earlier <= MOMENTS_APART for earlier, later in pairwise(moments))
