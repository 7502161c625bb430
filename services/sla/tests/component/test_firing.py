"""A step fires once, never early, and no breach of what was committed in time."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from services.sla.tests.kit import answered, moved, opened, prioritised
from services.sla.tests.replica import Loops, Replica, Tickets, ago, until

from deskline_chassis.applying import Transaction
from deskline_chassis.deadlines import Deadline
from deskline_chassis.parking import redrive
from deskline_events.envelope import Envelope, event_id, source_of
from deskline_sla.figures import STEPS_ALARMED, STEPS_HELD

pytestmark = pytest.mark.component

# Of the default policy: a critical ticket is to be answered within 15 minutes and solved within 4 hours.
FIRST = timedelta(minutes=15)


def critical(tickets: Tickets, at: datetime, ticket: UUID | None = None) -> UUID:
    ticket = ticket or uuid4()
    tickets.say(ticket, (opened(at, priority="critical"), at))
    return ticket


def fired(replica: Replica, ticket: UUID) -> list[tuple[str, str, str]]:
    return [
        (name, data["clock"], data["step"])
        for name, data in replica.told(ticket)
        if name in {"SlaWarned", "SlaBreached"}
    ]


def test_what_is_due_fires_with_its_step_and_nothing_else(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    decided, held = sla.fire_due()
    assert (len(decided), held) == (2, [])
    assert fired(sla, ticket) == [
        ("SlaWarned", "first_response", "warn"),
        ("SlaBreached", "first_response", "breach"),
    ]
    breached = sla.told(ticket)[-1][1]
    assert datetime.fromisoformat(breached["due_at"]) == begin + FIRST
    assert breached["recipients"] == ["team_lead"]
    assert set(sla.pending(ticket)) == {"resolution/1/warn", "resolution/1/breach"}
    ((since, kept),) = sla.rows(
        "SELECT breached_since, fired FROM clocks WHERE ticket_id = %s AND name = 'first_response'", ticket
    )
    assert since == begin + FIRST
    assert [one["key"] for one in kept] == ["warn", "breach"]
    assert sla.mark.asked == [("deskline.sla", "tickets", 0)]


def test_the_apology_carries_a_forecast_that_is_still_to_come(sla: Replica, tickets: Tickets) -> None:
    ticket = critical(tickets, ago(hours=30))
    sla.take(tickets)
    sla.fire_due()
    (apology,) = (data for name, data in sla.told(ticket) if "customer" in data.get("recipients", ()))
    assert (apology["clock"], apology["step"]) == ("resolution", "breach")
    assert datetime.fromisoformat(apology["forecast_at"]) > ago() + timedelta(minutes=119)


def test_under_a_stalled_watermark_nothing_is_breached_until_it_moves(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    asked = STEPS_HELD.labels("incomplete")._value.get()
    for stands in (begin, begin + FIRST - timedelta(microseconds=1)):
        sla.mark.until = stands
        _, held = sla.fire_due()
        assert [one.key for one in held] == ["first_response/1/breach"]
        assert fired(sla, ticket) == [("SlaWarned", "first_response", "warn")]
    assert STEPS_HELD.labels("incomplete")._value.get() == asked + 2
    sla.mark.until = begin + FIRST
    assert sla.fire_due()[1] == []
    assert fired(sla, ticket)[1:] == [("SlaBreached", "first_response", "breach")]


def test_a_reply_committed_in_time_and_read_late_is_no_breach(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    # The relay stopped before the reply was announced; its watermark stands where it was.
    sla.mark.until = begin + timedelta(minutes=5)
    assert [one.key for one in sla.fire_due()[1]] == ["first_response/1/breach"]
    tickets.say(ticket, (answered(), begin + FIRST))
    sla.take(tickets)
    sla.mark.until = ago()
    assert sla.fire_due() == ([], [])
    met = sla.told(ticket)[-1]
    assert (met[0], met[1]["breached"]) == ("ClockMet", False)
    assert ("SlaBreached", "first_response", "breach") not in fired(sla, ticket)


def test_what_was_announced_and_not_read_yet_holds_a_warning_back(sla: Replica, tickets: Tickets) -> None:
    # After an outage of ours: tickets went on, the answer is on the topic and not applied yet.
    ticket = critical(tickets, ago(minutes=13))
    sla.take(tickets)
    sla.mark.until, sla.mark.announced = ago(minutes=12, seconds=59), ago()
    assert [one.key for one in sla.fire_due()[1]] == ["first_response/1/warn"]
    sla.mark.until = sla.mark.announced = None
    assert [one.key for one in sla.fire_due()[1]] == ["first_response/1/warn"]
    tickets.say(ticket, (answered(), ago(minutes=12)))
    sla.take(tickets)
    sla.mark.until = ago()
    assert sla.fire_due() == ([], [])
    assert fired(sla, ticket) == []


def test_warnings_wait_for_no_watermark_and_are_not_given_for_what_is_met(
    sla: Replica, tickets: Tickets
) -> None:
    sla.mark.until = ago(minutes=12, seconds=59)
    warned, met = critical(tickets, ago(minutes=13)), critical(tickets, ago(minutes=13))
    tickets.say(met, (answered(), ago(minutes=12, seconds=59)))
    sla.take(tickets)
    sla.fire_due()
    assert fired(sla, warned) == [("SlaWarned", "first_response", "warn")]
    assert fired(sla, met) == []


def test_a_ticket_whose_stream_is_parked_does_not_fire_and_alarms(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    parked, sound = critical(tickets, begin), critical(tickets, begin)
    envelope = Envelope(
        id=event_id(source_of("tickets"), parked, 2, 1),
        source=source_of("tickets"),
        type="deskline.tickets.FromTheFuture.v9",
        time=begin,
        subject=parked,
        sequence=2,
        correlation_id=parked,
        causation_id=None,
        epoch=1,
        generation=1,
    )
    tickets.record(parked, b"{}", envelope)
    tickets.sequences[parked] = 2
    tickets.say(parked, (answered(), begin + timedelta(minutes=1)))
    sla.take(tickets)
    alarms = STEPS_ALARMED.labels("parked")._value.get()
    for _ in range(2):
        _, held = sla.fire_due()
        assert [(one.subject, one.key) for one in held] == [(parked, "first_response/1/breach")]
    assert fired(sla, sound)[-1] == ("SlaBreached", "first_response", "breach")
    assert ("SlaBreached", "first_response", "breach") not in fired(sla, parked)
    assert STEPS_ALARMED.labels("parked")._value.get() == alarms + 1
    # Somebody put right what was wrong; the answer after it was in time.
    sla.as_owner(
        "UPDATE parked_records SET headers ="
        " convert_to(replace(convert_from(headers, 'UTF8'), %s, %s), 'UTF8')",
        "deskline.tickets.FromTheFuture.v9",
        "deskline.tickets.TicketOffered.v1",
    )
    assert redrive(sla.applier, sla.database) == (1, [])
    assert sla.fire_due() == ([], [])
    assert sla.told(parked)[-1][1]["breached"] is False


def test_a_ticket_of_which_something_waits_for_a_key_does_not_fire(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    # The reply is under a key that is not here yet: it was read, and is not applied.
    known = sla.rows("SELECT wrapped FROM known_keys")
    sla.as_owner("DELETE FROM known_keys")
    tickets.say(ticket, (answered(), begin + timedelta(minutes=1)))
    sla.take(tickets)
    assert [one.key for one in sla.fire_due()[1]] == ["first_response/1/breach"]
    assert known
    sla.know_customer(tickets)
    sla.applier.wake()
    assert sla.fire_due() == ([], [])
    assert fired(sla, ticket) == [("SlaWarned", "first_response", "warn")]


def test_a_recalculation_takes_the_place_of_what_was_armed(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=20)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    old = [
        Deadline("sla_step", ticket, key, generation, due_at)
        for key, (generation, due_at) in sla.pending(ticket).items()
    ]
    tickets.say(ticket, (prioritised("critical", "low"), begin + timedelta(minutes=1)))
    sla.take(tickets)
    assert {generation for generation, _ in sla.pending(ticket).values()} == {2}
    assert sla.pending(ticket)["first_response/1/breach"][1] == begin + timedelta(hours=8)
    assert sla.fire_due() == ([], [])
    # Even where it were asked about: the clock has another generation.
    with sla.database.transaction() as connection:
        sla.log.lock(connection)
        assert sla.fire(Transaction(connection), old, begin + timedelta(days=9)) == []
    assert fired(sla, ticket) == []


def test_a_breach_escalates_once_though_its_consequences_recalculate(sla: Replica, tickets: Tickets) -> None:
    begin = ago(minutes=70)
    ticket = uuid4()
    tickets.say(ticket, (opened(begin, priority="high"), begin))
    sla.take(tickets)
    sla.fire_due()
    tickets.say(ticket, (prioritised("high", "critical"), ago()))
    sla.take(tickets)
    sla.fire_due()
    assert fired(sla, ticket) == [
        ("SlaWarned", "first_response", "warn"),
        ("SlaBreached", "first_response", "breach"),
    ]
    assert "SlaRecalculated first_response" in sla.names(ticket)


def test_a_pause_disarms_and_a_resumption_arms_anew(sla: Replica, tickets: Tickets) -> None:
    begin = ago(hours=2)
    ticket = critical(tickets, begin)
    sla.take(tickets)
    assert len(sla.pending(ticket)) == 4
    tickets.say(ticket, (answered(), begin), (moved("in_progress", "waiting_customer"), begin))
    sla.take(tickets)
    assert sla.pending(ticket) == {}
    tickets.say(ticket, (moved("waiting_customer", "in_progress"), begin + timedelta(hours=1)))
    sla.take(tickets)
    assert sla.pending(ticket) == {
        "resolution/1/warn": (2, begin + timedelta(hours=1 + 3.2)),
        "resolution/1/breach": (2, begin + timedelta(hours=5)),
    }


def test_two_replicas_fire_each_step_once_and_in_time(sla: Replica, other: Replica, tickets: Tickets) -> None:
    # Due one after the other within the next seconds.
    ids = [critical(tickets, ago(minutes=15) + timedelta(milliseconds=1500 + 20 * n)) for n in range(60)]
    sla.take(tickets)
    loops = [Loops(), Loops()]
    for replica, loop in zip((sla, other), loops, strict=True):
        loop.start(replica.timers())
    try:
        until(
            lambda: len(sla.rows("SELECT FROM events WHERE type LIKE '%SlaBreached%'")) >= len(ids),
            "breaches",
        )
    finally:
        for loop in loops:
            loop.close()
    for ticket in ids:
        assert fired(sla, ticket) == [
            ("SlaWarned", "first_response", "warn"),
            ("SlaBreached", "first_response", "breach"),
        ]
    ((late, early),) = sla.rows(
        "SELECT max(fired_at - due_at), min(fired_at - due_at) FROM fired_deadlines WHERE key LIKE '%%breach'"
    )
    assert timedelta() <= early
    assert late < timedelta(seconds=2)


@pytest.mark.parametrize("moment", ["before_append", "before_commit"])
def test_a_connection_that_dies_while_firing_leaves_nothing_and_is_made_good(
    sla: Replica, other: Replica, tickets: Tickets, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticket = critical(tickets, ago(minutes=20))
    sla.take(tickets)
    append = sla.log.append

    def dying(connection: Any, events: Any) -> Any:
        appended = append(connection, events) if moment == "before_commit" else None
        connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return appended

    monkeypatch.setattr(sla.log, "append", dying)
    with pytest.raises(psycopg.OperationalError):
        sla.fire_due()
    assert fired(other, ticket) == []
    other.fire_due()
    assert len(fired(other, ticket)) == 2
    assert other.fire_due() == ([], [])


def test_changed_rules_come_to_apply_to_open_clocks_and_go_on_after_a_crash(
    sla: Replica, other: Replica, tickets: Tickets, recalculate: Callable[..., bool]
) -> None:
    begin = ago(minutes=10)
    ids = sorted(critical(tickets, begin) for _ in range(5))
    sla.take(tickets)
    path = "/v1/policies/00000000-0000-7000-8000-00000000051a"
    policy = sla.get(path).json()
    body = {name: policy[name] for name in ("name", "order", "calendar_id", "steps")}
    body["targets"] = [one | {"seconds": one["seconds"] * 2} for one in policy["targets"]]
    assert sla.put(path, body, seen=1).status_code == 200
    assert not recalculate(sla)
    assert {generation for generation, _ in sla.pending(ids[0]).values()} == {1}
    assert sla.put(path, body | {"apply_to_open": True}, seen=2).status_code == 200
    assert recalculate(sla, 2)
    for number, ticket in enumerate(ids):
        assert ("SlaRecalculated first_response" in sla.names(ticket)) is (number < 2)
    while recalculate(other, 2):
        pass
    for ticket in ids:
        assert sla.names(ticket).count("SlaRecalculated first_response") == 1
        assert sla.pending(ticket)["first_response/1/breach"] == (2, begin + 2 * FIRST)
    fact = sla.told(ids[0])[-1][1]
    assert (fact["reason"], fact["basis"]["policy_version"], fact["actor"]["kind"]) == (
        "policy",
        3,
        "operator",
    )
    assert not recalculate(sla)
