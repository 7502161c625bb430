"""Intents as rows: each (event, recipient, channel) once, with the state that it begins in."""

import json
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from deskline_chassis.event_log import Cause
from deskline_chassis.postgres import Conn
from deskline_notify.adapters.directory import as_json, known_among
from deskline_notify.adapters.sealing import Sealer
from deskline_notify.adapters.ticket_rows import TicketRows
from deskline_notify.domain.ids import message_id_of, notification_id_of
from deskline_notify.domain.telling import CAP_WINDOW, Intent, Question, State, first_state

CHANNEL: Final = "email"

_INSERT: Final = (
    "INSERT INTO notifications (notification_id, event_id, recipient_kind, recipient_id, channel, ticket_id,"
    " kind, state, reason, message_id, fact_at, created_at, correlation_id, traceparent, reply_id, details,"
    " reply_text, expires_at, due_at, finished_at, announced)"
    " SELECT notification_id, event_id, recipient_kind, recipient_id, %(channel)s, ticket_id, kind, state,"
    " reason, message_id, fact_at, %(now)s, correlation_id, traceparent, reply_id, details::jsonb,"
    " reply_text::jsonb, expires_at, %(now)s, CASE WHEN state NOT IN ('waiting', 'pending') THEN %(now)s END,"
    " NOT (state = 'stale' AND reply_id IS NOT NULL)"
    " FROM unnest(%(notification_id)b::uuid[], %(event_id)b::uuid[], %(recipient_kind)b::text[],"
    " %(recipient_id)b::uuid[], %(ticket_id)b::uuid[], %(kind)b::text[], %(state)b::text[],"
    " %(reason)b::text[], %(message_id)b::text[], %(fact_at)b::timestamptz[], %(correlation_id)b::uuid[],"
    " %(traceparent)b::text[], %(reply_id)b::uuid[], %(details)b::text[], %(reply_text)b::text[],"
    " %(expires_at)b::timestamptz[]) WITH ORDINALITY AS new (notification_id, event_id, recipient_kind,"
    " recipient_id, ticket_id, kind, state, reason, message_id, fact_at, correlation_id, traceparent,"
    " reply_id, details, reply_text, expires_at, number)"
    # The order of places is the order in which a recipient is told of a ticket.
    " ORDER BY number ON CONFLICT DO NOTHING RETURNING kind, state"
)


@dataclass(frozen=True, slots=True)
class Caused:
    """An intent and what it follows from."""

    intent: Intent
    cause: Cause


def record_intents(
    connection: Conn,
    tickets: TicketRows,
    sealer: Sealer,
    caused: Sequence[Caused],
    *,
    now: datetime,
    domain: str,
) -> Counter[tuple[str, str]]:
    """Record them in order; (kind, state) of those that were not there yet, with their number.

    The tickets are locked and known, so that nobody else counts towards their caps meanwhile.
    """
    if not caused:
        return Counter()
    known = known_among(connection, {one.intent.recipient for one in caused})
    recent = _recent(connection, {one.intent.ticket_id for one in caused}, now)
    columns: dict[str, list[object]] = {}
    for one in caused:
        intent = one.intent
        ticket = tickets.rows[intent.ticket_id].ticket
        place = intent.ticket_id, intent.recipient.id
        state, reason = first_state(
            intent, ticket, now=now, recent=recent[place], known=intent.recipient.id in known
        )
        if intent.is_automatic and state in {"waiting", "pending"}:
            recent[place] += 1
        identity = notification_id_of(intent.event_id, intent.recipient, CHANNEL)
        text = sealer.seal(intent.recipient.id, identity, "reply_text", intent.text)
        row = {
            "notification_id": identity,
            "event_id": intent.event_id,
            "recipient_kind": intent.recipient.kind,
            "recipient_id": intent.recipient.id,
            "ticket_id": intent.ticket_id,
            "kind": intent.kind,
            "state": state,
            "reason": reason,
            "message_id": message_id_of(identity, ticket.reply_token, domain),
            "fact_at": intent.fact_at,
            "correlation_id": one.cause.correlation_id,
            "traceparent": one.cause.traceparent,
            "reply_id": intent.reply_id,
            "details": json.dumps(dict(intent.details)),
            "reply_text": None if state == "stale" else as_json(text),
            "expires_at": intent.expires_at,
        }
        for column, value in row.items():
            columns.setdefault(column, []).append(value)
    rows = connection.execute(_INSERT, columns | {"channel": CHANNEL, "now": now}).fetchall()
    return Counter((kind, state) for kind, state in rows)


def _recent(connection: Conn, ticket_ids: Collection[UUID], now: datetime) -> Counter[tuple[UUID, UUID]]:
    unsent: tuple[State, ...] = ("stale", "capped", "suppressed")
    rows = connection.execute(
        "SELECT ticket_id, recipient_id, count(*) FROM notifications WHERE ticket_id = ANY(%b)"
        " AND kind <> 'reply' AND state <> ALL(%s) AND created_at > %s GROUP BY 1, 2",
        (list(ticket_ids), list(unsent), now - CAP_WINDOW),
    ).fetchall()
    return Counter({(ticket_id, recipient_id): count for ticket_id, recipient_id, count in rows})


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and what it follows from."""

    question: Question
    cause: Cause


def record_questions(connection: Conn, asked: Sequence[Asked]) -> None:
    """Keep what can't be answered before the tickets' state is looked at."""
    for one in asked:
        question = one.question
        connection.execute(
            "INSERT INTO questions (event_id, role, ticket_id, kind, fact_at, asked_at, details,"
            " correlation_id, traceparent) VALUES (%s, %s, %s, %s, %s, %s, %s::jsonb, %s, %s)"
            " ON CONFLICT DO NOTHING",
            (
                question.event_id,
                question.role,
                question.ticket_id,
                question.kind,
                question.fact_at,
                question.asked_at,
                json.dumps(dict(question.details)),
                one.cause.correlation_id,
                one.cause.traceparent,
            ),
        )


def take_questions(connection: Conn, ticket_ids: Collection[UUID] | None, limit: int) -> list[Asked]:
    """Some of the questions of these tickets or of all, oldest first; locked, others' left out.

    Any of them when there are more: those that can't be answered must not stand before the others. But one
    whose predecessor is in other hands, or was not taken, waits for it: the same people are meant by both.
    """
    rows = connection.execute(
        "SELECT event_id, role, ticket_id, kind, fact_at, asked_at, details, correlation_id, traceparent,"
        " place FROM questions WHERE %(all)s OR ticket_id = ANY(%(ids)b)"
        " ORDER BY random() LIMIT %(limit)s FOR UPDATE SKIP LOCKED",
        {"all": ticket_ids is None, "ids": list(ticket_ids or ()), "limit": limit},
    ).fetchall()
    if not rows:
        return []
    taken = {place for *_, place in rows}
    open_before: dict[tuple[UUID, str], list[tuple[datetime, int]]] = {}
    for ticket_id, role, fact_at, place in connection.execute(
        "SELECT ticket_id, role, fact_at, place FROM questions WHERE ticket_id = ANY(%b)",
        (list({ticket_id for _, _, ticket_id, *_ in rows}),),
    ).fetchall():
        if place not in taken:
            open_before.setdefault((ticket_id, role), []).append((fact_at, place))
    return [
        Asked(
            Question(event_id, ticket_id, kind, role, fact_at, asked_at, details),
            Cause(correlation, event_id, trace),
        )
        for event_id, role, ticket_id, kind, fact_at, asked_at, details, correlation, trace, place in sorted(
            # Of facts of one moment, their place has the order in which their stream told them.
            rows,
            key=lambda row: (row[4], row[9]),
        )
        if not any(before < (fact_at, place) for before in open_before.get((ticket_id, role), ()))
    ]


def drop_questions(connection: Conn, answered: Sequence[Question]) -> None:
    """Forget questions that were answered, or that nobody can answer any more."""
    if answered:
        connection.execute(
            "DELETE FROM questions WHERE (event_id, role) IN (SELECT * FROM unnest(%b::uuid[], %b::text[]))",
            ([one.event_id for one in answered], [one.role for one in answered]),
        )
