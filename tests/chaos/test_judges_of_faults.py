"""What judges say of calls of unknown fate, epochs, calms, losses and copies: nothing of sound ones."""

import base64
from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from tests.e2e.histories import OPERATOR, START, TARGET, TICKET, History, whole
from tests.judging import commands, deadlines, erasure, messages, poison, records
from tests.judging.commands import Given
from tests.judging.deadlines import Calm
from tests.judging.poison import NO_ENVELOPE, UNREADABLE, Parked, Poison
from tests.judging.records import Findings, Json, Published, Topic

pytestmark = pytest.mark.unit

SECOND = timedelta(seconds=1)


def wrong(findings: Findings) -> set[str]:
    assert findings.checked, "nothing was looked at"
    return {promise for promise, ids in findings.wrong.items() if ids}


# I1


@pytest.mark.parametrize(
    ("fate", "effects", "promises"),
    [
        ("ok", 1, set()),
        ("ok", 0, {"I1 accepted"}),
        ("ok", 2, {"I1 accepted", "I1 source"}),
        ("info", 0, set()),
        ("info", 1, set()),
        ("info", 2, {"I1 unknown", "I1 source"}),
        ("fail", 0, set()),
        ("fail", 1, {"I1 refused"}),
    ],
)
def test_effects_are_held_against_what_the_sender_knows(fate: str, effects: int, promises: set[str]) -> None:
    opened = whole().named("tickets", "TicketOpened")
    event = replace(opened, value=opened.value.replace(b'"kind"', b'"source_key": "s", "kind"'))
    known: dict[str, list[str]] = {"ok": [], "info": [], "fail": []}
    known[fate].append("<1@client>")
    findings = Findings()
    found = {"<1@client>": [event] * effects}
    messages.check_effects(findings, known["ok"], known["info"], found, known["fail"])
    assert wrong(findings) == promises


def test_the_source_of_a_form_is_told_by_line_and_key() -> None:
    first = messages.source_of_form("line-1", "key-1")
    assert first == messages.source_of_form("line-1", "key-1")
    assert (
        len({first, messages.source_of_form("line-2", "key-1"), messages.source_of_form("line-1", "k")}) == 3
    )


# I2


def given(status: int) -> Given:
    answer = {"reply_id": "r-1", "version": 9} if status == 201 else {}
    return Given(TICKET, "replies", str(uuid4()), {"text": "?"}, status, answer, actor=OPERATOR)


def answered(one: Given, times: int) -> list[Published]:
    history = whole()
    replied = history.named("tickets", "OperatorReplied")
    history.topics["tickets"].remove(replied)
    for number in range(times):
        data = replied.value.replace(b"{", b'{"actor": {"id": "%s"}, ' % OPERATOR.encode(), 1)
        made = {"ce_id": f"reply-{number}", "ce_sequence": str(6 + number), "ce_causationid": one.id}
        again = replace(replied, headers=replied.headers | made, value=data)
        history.topics["tickets"].append(again)
    return [one for one in history.topics["tickets"] if one.name in {"TicketOpened", "OperatorReplied"}]


@pytest.mark.parametrize(
    ("times", "promises"), [(0, set()), (1, set()), (2, {"I2 once", "I2 no other"})], ids=str
)
def test_a_command_of_unknown_fate_is_done_once_or_not_at_all(times: int, promises: set[str]) -> None:
    one, findings = given(0), Findings()
    assert one.outcome == "info"
    commands.check_commands(findings, [one], answered(one, times))
    assert wrong(findings) == promises


def test_a_refused_command_that_was_done_is_found() -> None:
    one, findings = given(409), Findings()
    commands.check_commands(findings, [one], answered(one, 1))
    assert "I2 refused" in wrong(findings)


# I3


def announced(history: History, epoch: int) -> list[Published]:
    """All of it in this epoch, after what was announced before."""
    before = len(history.topics["tickets"])
    return [
        replace(one, offset=before + number, headers=one.headers | {"deskline-epoch": str(epoch)})
        for number, one in enumerate(history.topics["tickets"])
    ]


def test_what_was_announced_anew_is_judged_by_its_newest_epoch() -> None:
    history = whole()
    last = history.topics["tickets"][-1:]
    anew = announced(history, 2)

    def judged(found: list[Published]) -> set[str]:
        findings = Findings()
        records.check_order(findings, Topic(found))
        return wrong(findings)

    # Of the older epoch only the end is left, as where a leader wrote once more before it noticed.
    assert judged([*last, *anew]) == set()
    assert judged([*last, *anew[1:]]) == {"I3 order"}
    assert judged([*last, *anew[::-1]]) == {"I3 order"}


# I6


def fired(after: timedelta) -> list[Published]:
    history = History()
    due = START + TARGET
    data: Json = {"clock": "first_response", "cycle": 1, "generation": 1, "step": "breach"}
    history.tell("sla", "SlaBreached", step_due_at=due.isoformat(), due_at=due.isoformat(), **data)
    (event,) = history.topics["sla"]
    return [replace(event, headers=event.headers | {"ce_time": (due + after).isoformat()})]


DUE = START + TARGET
QUIET = Calm(DUE - 9 * SECOND, DUE + 60 * SECOND)
LATER = Calm(DUE + 20 * SECOND, DUE + 60 * SECOND)
SHORT = Calm(DUE - 9 * SECOND, DUE + SECOND)


@pytest.mark.parametrize(
    ("after", "calms", "promises"),
    [
        (1, [QUIET], set()),
        (3, [QUIET], {"I6 in 2 s"}),
        (24, [LATER], set()),
        (26, [LATER], {"I6 in 5 s"}),
        (24, [SHORT, LATER], set()),
        (26, [SHORT, LATER], {"I6 in 5 s"}),
    ],
)
def test_a_firing_is_held_against_the_calm_in_which_it_was_due(
    after: int, calms: list[Calm], promises: set[str]
) -> None:
    findings = Findings()
    latest = deadlines.check_punctual(findings, fired(after * SECOND), calms)
    assert wrong(findings) == promises
    assert max(latest.values()) > 0


def test_a_death_ends_a_calm_until_it_may_be_recovered_from() -> None:
    died = QUIET.begin + 20 * SECOND
    first, second = deadlines.undisturbed([QUIET], [died])
    assert (first.begin, first.end) == (QUIET.begin, died)
    assert (second.begin, second.end) == (died + 5 * SECOND, QUIET.end)
    # One shortly before it, two in a row, and one that lasts to its end.
    assert deadlines.undisturbed([QUIET], [QUIET.begin - 2 * SECOND])[0].begin == QUIET.begin + 3 * SECOND
    twice = deadlines.undisturbed([QUIET], [died, died + 4 * SECOND])
    assert [one.begin for one in twice] == [QUIET.begin, died + 9 * SECOND]
    assert deadlines.undisturbed([QUIET], [QUIET.begin, QUIET.end - SECOND])[-1].end == QUIET.end - SECOND
    assert deadlines.undisturbed([QUIET], [QUIET.begin - 9 * SECOND, QUIET.end]) == [QUIET]


# I9

HERE = Poison("deskline.intake.events", 0, 7, START, UNREADABLE + b"1", NO_ENVELOPE)


def parked(one: Poison, offset: int, since: timedelta = SECOND) -> Parked:
    return Parked(one.topic, one.partition, offset, one.at + since, one.value, one.cause, one.id)


def judged_parked(planted: list[Poison], found: list[Parked], losses: int | None = None) -> set[str]:
    findings = Findings()
    lost = [] if losses is None else [START + losses * SECOND]
    poison.check_parked(findings, "r", planted, found, [], losses=lost)
    return wrong(findings) if findings.checked else set()


def test_poison_is_known_by_what_it_says_wherever_it_lies() -> None:
    # A broker that repeats it has it at two places, of which one was parked first.
    assert judged_parked([HERE], [parked(HERE, 99, 40 * SECOND), parked(HERE, 7)]) == set()
    # Where another lay in an earlier life of the broker, this one has to be parked as well.
    other = replace(HERE, value=UNREADABLE + b"2")
    assert judged_parked([HERE, other], [parked(HERE, 7)]) == {"I9 kept"}


def test_a_record_is_parked_once_and_another_one_may_lie_where_it_lay() -> None:
    event = replace(HERE, value=b"{}", id="event-1")
    later = replace(event, id="event-2")
    assert judged_parked([event, later], [parked(event, 7), parked(later, 7)]) == set()
    assert judged_parked([event], [parked(event, 7), parked(event, 7)]) == {"I9 once"}


def test_poison_that_the_broker_lost_at_once_need_not_be_parked() -> None:
    assert judged_parked([HERE], [], losses=5) == set()
    assert judged_parked([HERE], [], losses=50) == {"I9 parked"}
    assert judged_parked([HERE], []) == {"I9 parked"}


def test_copies_of_poison_are_no_records_of_their_owner() -> None:
    event = replace(HERE, value=b"{}", id="event-1")
    copies = [
        Published(HERE.topic, 3, 50, {}, HERE.value),
        Published(HERE.topic, 3, 51, {"ce_id": "event-1"}, b"{}"),
    ]
    own = Published(HERE.topic, 0, 7, {"ce_id": "event-2"}, b"{}")
    assert poison.without([*copies, own], [HERE, event]) == [own]


# I14


@pytest.mark.parametrize("before", ["", "x", "xy", "xyz"])
def test_a_word_is_found_in_base64_wherever_it_stands(before: str) -> None:
    said = base64.b64encode(f"{before}canary7. and more".encode())
    assert any(form in said for form in erasure.forms_of(b"canary7."))
    assert not any(form in base64.b64encode(b"canary8.") for form in erasure.forms_of(b"canary7."))
