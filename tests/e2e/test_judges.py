"""Judges are judged: each finds nothing in a sound history, and what was broken in a broken one."""

import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from tests.e2e import histories
from tests.e2e.histories import (
    CONTACT,
    OPERATOR,
    SECOND,
    START,
    TICKET,
    History,
    ends,
    tables,
    whole,
    wrong_in,
)
from tests.judging import applying, commands, erasure, offers, poison, read_models, recounting
from tests.judging.applying import Applied
from tests.judging.commands import Given
from tests.judging.erasure import KnownKey, Sealed
from tests.judging.poison import FOLLOWS, NO_ENVELOPE, UNREADABLE, Parked, Poison

pytestmark = pytest.mark.unit


# I5

READ = ("intake", "routing", "sla", "notify")


def applied_of(history: History) -> Applied:
    streams = {(owner, event.stream): event.sequence for owner in READ for event in history.topics[owner]}
    return Applied(ends(history), streams, 0)


def positions(history: History, applied: Applied) -> set[str]:
    topics = {owner: history.topics[owner] for owner in READ}
    places = {place: end for place, end in ends(history).items() if "tickets" not in place[0]}
    return wrong_in(applying.check_positions, "tickets", applied, topics, places)


def test_a_position_before_the_end_and_a_stream_left_behind_are_found() -> None:
    history = whole()
    sound = applied_of(history)
    assert positions(history, sound) == set()
    behind = dict(sound.positions) | {("deskline.sla.events", 0): 1}
    assert positions(history, replace(sound, positions=behind)) == {"I5 position"}
    skipped = {place: sequence for place, sequence in sound.streams.items() if place[0] != "routing"}
    assert positions(history, replace(sound, streams=skipped)) == {"I5 streams"}
    ahead = dict(sound.streams) | {("notify", TICKET): 99}
    assert positions(history, replace(sound, streams=ahead)) == {"I5 streams"}
    assert positions(history, replace(sound, undone=1)) == {"I5 waiting"}


def test_a_record_that_was_applied_twice_is_found() -> None:
    history = whole()
    assert wrong_in(applying.check_effects_once, history.topics) == set()
    # Announced again it is the same event; applied again it would be another.
    history.again("tickets", "TicketRouted")
    assert wrong_in(applying.check_effects_once, history.topics) == set()
    assert applying.repeats(history.topics) == 1
    history.again("tickets", "TicketRouted", ce_id="another", ce_sequence="99")
    assert wrong_in(applying.check_effects_once, history.topics) == {"I5 once", "I5 answered"}


@pytest.mark.parametrize(
    ("owner", "name"),
    [("tickets", "TicketOpened"), ("tickets", "TicketOffered"), ("routing", "TicketQueued")],
)
def test_a_position_that_was_kept_without_its_effect_is_found(owner: str, name: str) -> None:
    history = whole()
    history.topics[owner].remove(history.named(owner, name))
    assert "I5 answered" in wrong_in(applying.check_effects_once, history.topics)


def test_records_of_a_stream_that_were_applied_in_another_order_are_found() -> None:
    history = whole()
    assert wrong_in(applying.check_effects_in_order, history.topics) == set()
    late = history.named("routing", "TicketQueued")
    history.again("tickets", "TicketRouted", ce_id="another", ce_sequence="99", ce_causationid=late.id)
    assert wrong_in(applying.check_effects_in_order, history.topics) == {"I5 order"}


# I8


def judge_tables(
    monkeypatch: pytest.MonkeyPatch, history: History, broken: Callable[[dict[str, Any]], None]
) -> set[str]:
    kept = tables(history)
    broken(kept)

    def table(_url: str, statement: str, *_key: str) -> Any:
        return kept[statement.partition(" FROM ")[2].split()[0]]

    monkeypatch.setattr(read_models, "table", table)
    found: set[str] = set()
    load = {OPERATOR: 0.0} | kept.get("load", {})
    found |= wrong_in(read_models.check_routing, history.topics["tickets"], "", load)
    found |= wrong_in(read_models.check_clocks, history.topics, "")
    return found | wrong_in(read_models.check_told, history.topics, "")


def _stage(kept: dict[str, Any]) -> None:
    kept["tickets"][TICKET]["stage"] = "in_progress"


def _row(kept: dict[str, Any]) -> None:
    kept["tickets"]["t-2"] = kept["tickets"][TICKET]


def _load(kept: dict[str, Any]) -> None:
    kept["load"] = {OPERATOR: 1.0}


def _clock(kept: dict[str, Any]) -> None:
    kept["clocks"][TICKET, "first_response", 1]["state"] = "running"


def _due(kept: dict[str, Any]) -> None:
    kept["clocks"][TICKET, "first_response", 1]["due_at"] += SECOND


def _intent(kept: dict[str, Any]) -> None:
    del kept["notifications"]["n-1"]


def _twice(kept: dict[str, Any]) -> None:
    kept["notifications"]["n-9"] = kept["notifications"]["n-1"] | {"state": "stale"}


@pytest.mark.parametrize(
    ("broken", "promises"),
    [
        (lambda _: None, set()),
        (_stage, {"I8 routing"}),
        (_row, {"I8 routing"}),
        (_load, {"I8 load"}),
        (_clock, {"I8 sla", "I8 sla met"}),
        (_due, {"I8 sla", "I8 sla due"}),
        (_intent, {"I8 notify", "I8 intents"}),
        (_twice, {"I8 intents"}),
    ],
    ids=["sound", "stage", "row", "load", "clock", "due", "intent", "twice"],
)
def test_a_table_that_is_not_what_the_topics_say_is_found(
    monkeypatch: pytest.MonkeyPatch, broken: Callable[[dict[str, Any]], None], promises: set[str]
) -> None:
    assert judge_tables(monkeypatch, whole(), broken) == promises


def test_a_card_at_the_door_that_differs_is_found() -> None:
    history = whole()
    tickets = history.topics["tickets"]
    card = vars(recounting.cards(tickets)[TICKET]) | {"offer": None}
    assert wrong_in(read_models.check_shown, tickets, {TICKET: card}) == set()
    for change in ({"stage": "new"}, {"version": 3}, {"assignee_id": None}, {"offer": {"offer_id": "o"}}):
        assert wrong_in(read_models.check_shown, tickets, {TICKET: card | change}) == {"I8 tickets"}


def test_the_recount_knows_the_ticket() -> None:
    history = whole()
    (card,) = recounting.cards(history.topics["tickets"]).values()
    assert (card.stage, card.assignee_id, card.offer_id) == ("resolved", OPERATOR, None)
    assert (card.customer_messages, card.operator_messages, card.assignment_no) == (1, 1, 1)
    assert recounting.loads({TICKET: replace(card, open=True)}) == {OPERATOR: 1}
    row = recounting.analysts_rows(history.topics)[TICKET]
    assert (row["offers_made"], row["notifications_sent"], row["first_response_breached"]) == (1, 3, True)


@pytest.mark.parametrize(
    ("actor", "kept", "resolved"),
    [
        ({"kind": "operator", "id": OPERATOR}, True, {OPERATOR: 1}),
        ({"kind": "operator", "id": "o-2"}, True, {OPERATOR: 0, "o-2": 1}),
        ({"kind": "system", "id": None}, True, {OPERATOR: 1}),
        ({"kind": "system", "id": None}, False, {OPERATOR: 0}),
    ],
)
def test_the_recount_credits_resolutions(actor: dict[str, Any], kept: bool, resolved: dict[str, int]) -> None:
    history = whole()
    tickets = history.topics["tickets"]
    moved = tickets.pop()
    if not kept:
        history.tell("tickets", "TicketUnassigned")
    tickets.append(
        replace(
            moved,
            headers=moved.headers | {"ce_sequence": "99"},
            value=json.dumps(moved.data | {"actor": actor}).encode(),
        )
    )
    counted = recounting.work(tickets)
    assert {operator: row["resolved"] for operator, row in counted.items()} == resolved
    assert (counted[OPERATOR]["offered"], counted[OPERATOR]["replies"]) == (1, 1)


# Rules


def test_offers_are_judged_in_the_order_of_their_sequences() -> None:
    history = whole()
    accepted = history.named("tickets", "TicketAccepted")
    others = [one for one in history.topics["tickets"] if one is not accepted]
    # A relay sent it to a wiped topic before it announced again what went before.
    assert wrong_in(offers.check_offers, [accepted, *others]) == set()
    another = replace(accepted, value=json.dumps(accepted.data | {"offer_id": "o-9"}).encode())
    assert wrong_in(offers.check_offers, [*others, another]) == {"one offer"}


# I9

POISON = Poison("deskline.intake.events", 0, 0, START, UNREADABLE, NO_ENVELOPE)
SECONDLY = Poison("deskline.tickets.events", 0, 5, START, b"{}", FOLLOWS)


def parked(one: Poison, **given: Any) -> Parked:
    kept: dict[str, Any] = {"since": one.at + SECOND, "value": one.value, "cause": one.cause} | given
    return Parked(one.topic, one.partition, one.offset, **kept)


@pytest.mark.parametrize(
    ("given", "deaths", "promises"),
    [
        ({}, [], set()),
        ({"since": START + 11 * SECOND}, [], {"I9 in 10 s"}),
        ({"since": START + 11 * SECOND}, [START + 2 * SECOND], set()),
        ({"since": START + 11 * SECOND}, [START - 40 * SECOND], {"I9 in 10 s"}),
        ({"since": START + 40 * SECOND}, [START + 2 * SECOND], {"I9 in 30 s"}),
        ({"cause": "UnreadableError"}, [], {"I9 cause"}),
        ({"value": b""}, [], {"I9 kept"}),
    ],
)
def test_poison_that_was_parked_late_or_with_another_cause_is_found(
    given: dict[str, Any], deaths: list[datetime], promises: set[str]
) -> None:
    assert wrong_in(poison.check_parked, "r", [POISON], [parked(POISON, **given)], deaths) == promises


def test_poison_that_was_not_parked_and_what_was_parked_beside_it_are_found() -> None:
    found = [parked(POISON)]
    assert wrong_in(poison.check_parked, "r", [POISON, SECONDLY], found, []) == {"I9 parked"}
    assert wrong_in(poison.check_parked, "r", [], [*found, parked(SECONDLY)], []) == {"I9 it alone"}
    assert wrong_in(poison.check_parked, "r", [POISON], [*found, *found], []) == {"I9 once"}


def test_a_stream_that_waited_behind_poison_is_found() -> None:
    history = whole()
    before = replace(POISON, offset=-1)
    received = history.topics["intake"]

    def judged(after: timedelta, deaths: list[datetime]) -> set[str]:
        opened = history.named("tickets", "TicketOpened")
        at = (received[0].time + after).isoformat()
        made = [replace(opened, headers=opened.headers | {"ce_time": at})]
        return wrong_in(poison.check_flow, "r", [before], read=received, made=made, deaths=deaths)

    assert judged(SECOND, []) == set()
    assert judged(11 * SECOND, []) == {"I9 flow"}
    assert judged(11 * SECOND, [received[0].time]) == set()
    assert judged(40 * SECOND, [received[0].time]) == {"I9 flow"}


# I14


@dataclass
class Record:
    """A record of a keys topic."""

    key: bytes
    value: bytes


ERASED_RECORD = Record(CONTACT.encode(), b'{"subject": "c-1", "erased_at": "2026-11-22T03:00:00Z"}')
KEYED_RECORD = Record(CONTACT.encode(), b'{"subject": "c-1", "keys": {"1": "a2V5"}}')
KNOWN = [KnownKey(name, "known_keys", CONTACT, None, True) for name in ("intake", "notify", "routing")]


@pytest.mark.parametrize(
    ("announced", "known"),
    [
        ([KEYED_RECORD], KNOWN),
        ([ERASED_RECORD, KEYED_RECORD], KNOWN),
        ([], KNOWN),
        ([KEYED_RECORD, ERASED_RECORD], [*KNOWN[1:], replace(KNOWN[0], wrapped=b"key", is_erased=False)]),
        ([KEYED_RECORD, ERASED_RECORD], KNOWN[1:]),
    ],
    ids=["announced", "announced again", "never announced", "kept", "never heard of"],
)
def test_a_key_that_is_not_gone_everywhere_is_found(announced: list[Record], known: list[KnownKey]) -> None:
    readers = ("intake", "notify", "routing")
    sound = wrong_in(erasure.check_key_gone, CONTACT, [KEYED_RECORD, ERASED_RECORD], KNOWN, readers)
    assert sound == set()
    assert wrong_in(erasure.check_key_gone, CONTACT, announced, known, readers) != set()
    assert erasure.wrapped_before([KEYED_RECORD, ERASED_RECORD], CONTACT) == [b"key"]


def sealed_under(key: bytes, person: str, text: str) -> Sealed:
    nonce = os.urandom(12)
    box = base64.b64encode(nonce + AESGCM(key).encrypt(nonce, text.encode(), b"event/field")).decode()
    (found,) = erasure.sealed_in("tickets", {"message": [{"text": {"k": person, "v": 1, "c": box}}]})
    return found


def test_a_sealed_word_that_a_key_left_somewhere_opens_is_found() -> None:
    kek, key, others = os.urandom(32), os.urandom(32), os.urandom(32)
    sealed = [sealed_under(key, "c-1", "canary7."), sealed_under(others, "c-2", "canary8.")]
    known = [KnownKey("intake", "person_keys", "c-2", aes_key_wrap(kek, others), False)]
    people = {"c-1": "canary7.", "c-2": "canary8."}
    assert wrong_in(erasure.check_nothing_opens, kek, known, sealed, people) == set()
    # Under whatever name the key was kept.
    left = [*known, KnownKey("notify", "known_keys", "c-3", aes_key_wrap(kek, key), False)]
    assert wrong_in(erasure.check_nothing_opens, kek, left, sealed, people) == {"I14 sealed"}
    assert wrong_in(erasure.check_nothing_opens, kek, known, sealed[1:], people) == {"I14 sealed"}
    assert wrong_in(erasure.check_nothing_opens, kek, [], sealed, people) == {"I14 control"}


def test_a_keys_topic_that_keeps_what_was_is_found() -> None:
    sound = {"cleanup.policy": "compact", "max.compaction.lag.ms": "3600000", "segment.ms": "3600000"}
    assert wrong_in(erasure.check_compacted, sound) == set()
    for change in ({"cleanup.policy": "delete"}, {"max.compaction.lag.ms": "9223372036854775807"}):
        assert wrong_in(erasure.check_compacted, sound | change) == {"I14 compaction"}


# I2


def given(what: str, status: int, **answer: Any) -> Given:
    return Given(TICKET, what, "key", {}, status, answer, actor=OPERATOR)


def test_a_refused_command_that_left_a_fact_and_a_fact_that_nobody_asked_for_are_found() -> None:
    done = given("replies", 201, version=9, reply_id="r-1")

    def judged(*commands_given: Given, causes: dict[str, str]) -> set[str]:
        history = whole()
        tickets = [
            replace(one, headers=one.headers | {"ce_causationid": causes[one.name]})
            for one in history.topics["tickets"]
            if one.name in causes
        ]
        return wrong_in(commands.check_commands, list(commands_given), tickets)

    caused = {"OperatorReplied": done.id}
    assert judged(done, causes=caused) == set()
    assert judged(replace(done, status=409), causes=caused) == {"I2 refused", "I2 no other"}
    assert judged(done, causes=caused | {"TicketAccepted": "nobody"}) == {"I2 no other"}
    assert judged(done, causes={}) == {"I2 kept", "I2 no other"}


def test_a_command_that_was_done_twice_is_found() -> None:
    done = given("accept", 200, version=9)
    history = whole()
    accepted = history.named("tickets", "TicketAccepted")
    twice = [
        replace(accepted, headers=accepted.headers | {"ce_causationid": done.id, "ce_id": f"{number}"})
        for number in range(2)
    ]
    assert wrong_in(commands.check_commands, [done], twice[:1]) == set()
    assert wrong_in(commands.check_commands, [done], twice) == {"I2 once"}


def test_the_history_is_of_one_ticket() -> None:
    assert {one.stream for one in whole().topics["tickets"]} == {histories.TICKET}
