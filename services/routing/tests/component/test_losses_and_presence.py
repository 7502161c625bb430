"""Operators who are lost: left, out of reach, or only not heard because nobody could hear them."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from deskline_routing.adapters.hearing import Hearing
from deskline_routing.handlers import moments
from deskline_routing.handlers.directory import erase_operator

pytestmark = pytest.mark.component
Play = Callable[[], None]


def test_who_leaves_the_company_loses_offers_and_tickets_at_once(
    bureau: Any, tickets: Any, play: Play, cause: Any
) -> None:
    olga = bureau.operator(capacity=2)
    accepted, offered = tickets.open(), tickets.open()
    play()
    tickets.accept(accepted)
    play()
    oleg = bureau.operator(capacity=2)
    bureau.operator(operator_id=olga, employed=False, online=False)
    assert bureau.said(accepted)[-1] == "AssignmentWithdrawn"
    assert bureau.said(offered)[-1] == "OfferWithdrawn"
    assert {bureau.last(one).reason for one in (accepted, offered)} == {"operator_left"}
    play()
    assert [tickets.holder(one) for one in (accepted, offered)] == [oleg, oleg]
    moments.sweep_left(bureau.desks.open, cause)
    assert bureau.said(accepted)[-1] == "OfferMade"


def test_who_leaves_a_team_loses_what_they_had_by_it_and_nothing_else(
    bureau: Any, tickets: Any, play: Play
) -> None:
    stays, leaves = bureau.team(), bureau.team()
    bureau.queue(stays, conditions={"priorities": ("high",)})
    bureau.queue(leaves, conditions={"priorities": ("low",)})
    olga = bureau.operator(stays, leaves, capacity=9)
    kept, lost, offered, taken = (
        tickets.open(priority=priority) for priority in ("high", "low", "low", "medium")
    )
    play()
    for ticket in (kept, lost, taken):
        tickets.accept(ticket, olga)
    play()
    bureau.operator(stays, operator_id=olga, capacity=9, online=False)
    assert [bureau.said(one)[-1] for one in (kept, lost, offered, taken)] == [
        "OfferMade",
        "AssignmentWithdrawn",
        "OfferWithdrawn",
        "OfferMade",
    ]


def test_a_reopened_ticket_of_somebody_who_left_is_taken_from_them(
    bureau: Any, tickets: Any, play: Play
) -> None:
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    tickets.accept(ticket)
    tickets.stage(ticket, "resolved")
    play()
    bureau.operator(operator_id=olga, employed=False, online=False)
    assert bureau.said(ticket)[-1] == "OfferMade"
    tickets.stage(ticket, "in_progress")
    play()
    assert bureau.said(ticket)[-2:] == ["AssignmentWithdrawn", "NobodyAvailable"]


def test_a_stranger_who_took_a_ticket_has_not_left(
    bureau: Any, tickets: Any, play: Play, stranger: Any, cause: Any
) -> None:
    ticket = tickets.open()
    play()
    tickets.accept(ticket, stranger)
    play()
    moments.sweep_left(bureau.desks.open, cause)
    assert bureau.said(ticket) == ["TicketQueued", "NobodyAvailable"]


def test_the_daily_sweep_asks_once_more_where_it_was_refused(
    bureau: Any, tickets: Any, play: Play, cause: Any
) -> None:
    olga = bureau.operator()
    ticket = tickets.open()
    play()
    tickets.accept(ticket)
    play()
    bureau.operator(operator_id=olga, employed=False, online=False)
    tickets.read += 99
    asked = bureau.rows("SELECT id FROM events ORDER BY id DESC LIMIT 1")[0][0]
    tickets.read = asked
    tickets.refuse(ticket, "unassignment", ticket)
    play()
    assert bureau.said(ticket).count("AssignmentWithdrawn") == 1
    moments.sweep_left(bureau.desks.open, cause)
    assert bureau.said(ticket).count("AssignmentWithdrawn") == 2


@pytest.mark.parametrize("how", ["expired", "offline"])
def test_who_is_out_of_reach_loses_open_offers_only(bureau: Any, tickets: Any, play: Play, how: str) -> None:
    olga = bureau.operator(capacity=2)
    accepted, offered = tickets.open(), tickets.open()
    play()
    tickets.accept(accepted)
    play()
    oleg = bureau.operator(capacity=2)
    assert bureau.check_presence() == 0
    if how == "expired":
        bureau.as_owner("UPDATE presence SET expires_at = clock_timestamp() WHERE operator_id = %s", olga)
    else:
        bureau.presence(olga, "offline")
    assert bureau.check_presence() == 1
    assert bureau.check_presence() == 0
    assert bureau.last(offered).reason == "operator_lost"
    play()
    assert (tickets.holder(offered), tickets.known[accepted].assignee_id) == (oleg, olga)
    assert bureau.rows("SELECT timeouts FROM operators WHERE operator_id = %s", olga) == [(0,)]


def test_an_expired_presence_is_not_offered_to(bureau: Any, tickets: Any, play: Play) -> None:
    olga = bureau.operator()
    bureau.as_owner("UPDATE presence SET expires_at = clock_timestamp()")
    bureau.hearing.tick()
    ticket = tickets.open()
    play()
    assert [one.rejected for one in bureau.last(ticket).candidates] == ["offline"]
    bureau.online(olga)
    play()
    assert tickets.holder(ticket) == olga


def silent_for(bureau: Any, seconds: float) -> None:
    """Let it be so long since anybody heard a heartbeat, or sent one."""
    bureau.as_owner("UPDATE listening SET heard_until = heard_until - make_interval(secs => %s)", seconds)
    bureau.as_owner("UPDATE presence SET expires_at = expires_at - make_interval(secs => %s)", seconds)


def test_after_a_start_everybody_present_gets_one_full_period(
    bureau: Any, tickets: Any, play: Play, cause: Any
) -> None:
    olga = bureau.operator(capacity=9)
    gone = bureau.operator(online=False)
    bureau.presence(gone, "offline")
    ticket = tickets.open()
    play()
    silent_for(bureau, 3600)
    later = tickets.open()
    play()  # decided before anybody says that heartbeats are heard again: presence stands still
    assert tickets.holder(later) == olga
    started = Hearing(bureau.database, 60)
    assert started.tick() is True
    assert started.tick() is False
    assert moments.withdraw_from_lost(bureau.desks.open, cause) == 0
    ((left,),) = bureau.rows(
        "SELECT expires_at - clock_timestamp() FROM presence WHERE operator_id = %s", olga
    )
    assert timedelta(seconds=50) < left <= timedelta(seconds=60)
    assert bureau.last(ticket).operator_id == olga


def test_whoever_was_gone_before_the_silence_stays_gone(bureau: Any) -> None:
    olga = bureau.operator()
    bureau.as_owner("UPDATE presence SET expires_at = clock_timestamp() - interval '1 s'")
    bureau.hearing.tick()
    silent_for(bureau, 3600)
    assert Hearing(bureau.database, 60).tick() is True
    assert bureau.rows("SELECT expires_at < clock_timestamp() FROM presence") == [(True,)]
    bureau.online(olga)


def test_a_second_replica_that_starts_prolongs_nothing(bureau: Any) -> None:
    bureau.operator()
    bureau.hearing.tick()
    assert Hearing(bureau.database, 60).tick() is False


def test_a_heartbeat_does_not_wait_for_the_log(bureau: Any) -> None:
    olga = bureau.operator()
    with psycopg.connect(bureau.base.owner_url) as holder:
        holder.execute("SELECT pg_advisory_xact_lock(%s)", (0x4C4F47,))
        assert bureau.presence(olga, "online") == "online"
        assert bureau.presence(olga, "away") == "away"
        assert bureau.presence(olga, "away") == "away"
        came = threading.Thread(target=bureau.presence, args=(olga, "online"))
        came.start()
        came.join(0.2)
        assert came.is_alive()  # this one may be offered something
    came.join(10)
    assert bureau.presence(olga, "online") == "online"


def test_an_erased_operator_is_gone_and_their_name_is_readable_nowhere(
    bureau: Any, tickets: Any, play: Play, cause: Any, door: Any
) -> None:
    olga = bureau.operator(name="Канарейка")
    ticket = tickets.open()
    play()
    assert erase_operator(bureau.desks.open, olga, cause) is True
    assert erase_operator(bureau.desks.open, olga, cause) is False
    assert bureau.last(ticket).reason == "operator_left"
    shown = door.get(f"/v1/operators/{olga}").json()
    assert (shown["name"], shown["address"], shown["employed"]) == ("erased", "erased", False)
    put = {"name": "Снова", "address": "a@b.example"}
    answer = door.put(f"/v1/operators/{olga}", put, version=shown["version"])
    assert (answer.status_code, answer.json()["code"]) == (409, "person_erased")
    tables = [
        row[0]
        for row in bureau.rows(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
    ]
    for table in tables:
        with psycopg.connect(bureau.base.owner_url) as connection:
            found = connection.execute(
                f"SELECT count(*) FROM {table} AS t WHERE t::text ILIKE %s", ("%Канарейка%",)
            ).fetchone()
        assert found == (0,), table
