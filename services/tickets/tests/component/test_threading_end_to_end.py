"""Messages through the handler on a real database: one effect each, in the right ticket."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from deskline_events.intake import MessageReceived
from deskline_tickets.domain.ids import set_aside_stream_of

pytestmark = pytest.mark.component
Make = Callable[..., MessageReceived]


def test_a_message_opens_a_ticket_with_a_number_and_rings_the_relay(office: Any, message_of: Make) -> None:
    message = message_of(office.customer())
    (ticket_id,) = office.take(message)
    assert office.types(ticket_id) == ["TicketOpened.v1"]
    ((number, contact),) = office.rows(
        "SELECT number, contact_id FROM tickets_index WHERE ticket_id = %s", ticket_id
    )
    assert office.ticket(ticket_id).number == number
    assert contact == message.contact_id
    assert office.rings == 1


def test_what_follows_from_a_message_is_in_its_story(office: Any, message_of: Make) -> None:
    (ticket_id,) = office.take(message_of(office.customer()))
    ((story, cause, trace),) = office.rows(
        "SELECT correlation_id, causation_id, traceparent FROM events WHERE stream = %s", ticket_id
    )
    assert isinstance(story, UUID)
    assert isinstance(cause, UUID)
    assert story != cause
    assert trace.startswith("00-0af7651916cd43dd8448eb211c80319c-")


def test_one_message_twice_has_one_effect_in_one_batch_and_in_two(office: Any, message_of: Make) -> None:
    message = message_of(office.customer())
    ((before,),) = office.rows("SELECT last_value FROM ticket_numbers")
    office.take(message, message)
    (ticket_id,) = office.take(message)
    assert office.types(ticket_id) == ["TicketOpened.v1"]
    ((after,),) = office.rows("SELECT last_value FROM ticket_numbers")
    assert after - before <= 1


def test_a_reply_and_its_parent_in_one_batch_are_one_ticket(office: Any, message_of: Make) -> None:
    customer = office.customer()
    first = message_of(customer, message_id="<a@customer.example>")
    second = message_of(customer, references="<a@customer.example>", message_id="<b@customer.example>")
    third = message_of(customer, references="<b@customer.example>")
    streams = office.take(first, second, third)
    assert len(set(streams)) == 1
    assert office.types(streams[0]) == ["TicketOpened.v1", "CustomerReplied.v1", "CustomerReplied.v1"]
    assert office.take(message_of(customer, references="<b@customer.example>")) == streams[:1]


@pytest.mark.parametrize("rule", ["token", "own", "stored", "number"])
def test_each_rule_leads_a_participant_to_the_ticket_and_a_stranger_to_a_suspect_one(
    office: Any, message_of: Make, rule: str
) -> None:
    customer = office.customer()
    first_id = f"<{uuid4()}@customer.example>"
    ticket_id = office.open_ticket(customer, message_id=first_id)
    ticket = office.ticket(ticket_id)
    trace: dict[str, Any] = {
        "token": {"reply_token": ticket.reply_token},
        "own": {"references": f"<mzxw6ytboi2dgnbvgy3tqojqmf.{ticket.reply_token}@desk.example>"},
        "stored": {"references": f"<x@y> {first_id}"},
        "number": {"subject": f"Re: [#{ticket.number}] Принтер"},
    }[rule]
    assert office.take(message_of(customer, **trace)) == [ticket_id]
    assert office.types(ticket_id) == ["TicketOpened.v1", "CustomerReplied.v1"]
    (suspect,) = office.take(message_of(office.customer(), **trace))
    ((link,),) = office.rows("SELECT data->'link' FROM events WHERE stream = %s", suspect)
    assert link == {"kind": "suspected_reply_to", "ticket_id": str(ticket_id)}


def test_a_message_id_counts_on_its_own_line_only(office: Any, message_of: Make) -> None:
    customer, known = office.customer(), f"<{uuid4()}@customer.example>"
    ticket_id = office.open_ticket(customer, message_id=known)
    elsewhere = message_of(customer, references=known, line_id=uuid4())
    assert office.take(elsewhere) != [ticket_id]


def test_machines_are_kept_or_set_aside_and_open_nothing_of_their_own_kind(
    office: Any, message_of: Make
) -> None:
    customer, known = office.customer(), f"<{uuid4()}@customer.example>"
    ticket_id = office.open_ticket(customer, message_id=known)
    away = message_of(customer, kind="auto_reply", references=known)
    bounce = message_of(office.customer(), kind="bounce", bounced=known)
    lost = message_of(office.customer(), kind="bounce", bounced="<nobody@knows>")
    loop = message_of(customer, kind="own_loop", references=known)
    letter = message_of(office.customer(), kind="list")
    alarm = message_of(office.customer(), kind="auto_reply")
    streams = office.take(away, bounce, lost, loop, letter, alarm)
    assert streams[:2] == [ticket_id, ticket_id]
    aside = [lost, loop, letter]
    assert streams[2:5] == [set_aside_stream_of(message.source_key) for message in aside]
    assert office.types(streams[5]) == ["TicketOpened.v1"]
    assert office.types(ticket_id) == ["TicketOpened.v1"] + ["AutomaticMessageAdded.v1"] * 2
    reasons = [office.rows("SELECT reason FROM set_aside WHERE stream = %s", one) for one in streams[2:5]]
    assert reasons == [[("bounce",)], [("own_loop",)], [("list",)]]
    assert office.ticket(ticket_id).stage == "new"


def test_a_message_of_an_erased_person_is_set_aside_and_blocks_nobody(office: Any, message_of: Make) -> None:
    erased = office.customer()
    ticket_id = office.open_ticket(erased)
    office.erase(erased)
    late = message_of(erased, text="erased", reply_token=office.ticket(ticket_id).reply_token)
    streams = office.take(late, message_of(office.customer()))
    assert streams[0] == set_aside_stream_of(late.source_key)
    assert office.types(streams[0]) == ["MessageSetAside.v1"]
    assert office.types(streams[1]) == ["TicketOpened.v1"]
    assert office.types(ticket_id) == ["TicketOpened.v1"]


def test_a_reply_after_the_reopening_window_opens_a_follow_up(office: Any, message_of: Make) -> None:
    customer = office.customer()
    ticket_id = office.open_ticket(customer)
    token = office.ticket(ticket_id).reply_token
    _close(office, ticket_id)
    late = message_of(
        customer, reply_token=token, received_at=office.ticket(ticket_id).closed_at + timedelta(days=15)
    )
    (follow_up,) = office.take(late)
    ((link,),) = office.rows("SELECT data->'link' FROM events WHERE stream = %s", follow_up)
    assert link == {"kind": "follow_up_of", "ticket_id": str(ticket_id)}
    (again,) = office.take(message_of(customer, reply_token=token))
    assert again == ticket_id
    assert (office.ticket(ticket_id).stage, office.ticket(ticket_id).cycle) == ("in_progress", 2)


def test_no_clear_text_or_message_id_is_in_any_table(office: Any, message_of: Make) -> None:
    canary = f"canary{uuid4().hex}"
    office.open_ticket(text=canary, subject=canary, message_id=f"<{canary}@customer.example>")
    tables = office.rows(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    )
    assert len(tables) > 10
    for (table,) in tables:
        if table == "alembic_version":
            continue
        assert not office.rows(f"SELECT 1 FROM {table} t WHERE t::text LIKE %s", f"%{canary}%"), table


def _close(office: Any, ticket_id: UUID) -> None:
    from deskline_chassis.event_log import Cause
    from deskline_chassis.idempotency import KeyedCommand
    from deskline_tickets.handlers.commands import give
    from deskline_tickets.handlers.orders import StageMove
    from deskline_tickets.ports import Asked, Caller

    for stage, reason in (("resolved", "solved"), ("closed", None)):
        key = uuid4().hex
        caller = Caller(uuid4(), frozenset({"operator"}), "all")
        asked = Asked(caller, KeyedCommand(caller.actor_id, key, "POST /x", b"h"), Cause(uuid4()))
        move = StageMove(
            stage=stage,  # type: ignore[arg-type]
            expected_version=office.ticket(ticket_id).version,
            closing_reason=reason,
        )
        give(office.desks.give, asked, ticket_id, move)
