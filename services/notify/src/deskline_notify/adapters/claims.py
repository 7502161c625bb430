"""Claims: who sends what, by a lease in a short transaction, and what became of it in another one.

Statements that look for rows of a queue are planned each time: a prepared one keeps the plan that it got when
the table was small, and reads all of it for ever after (measured: 114 ms a claim of 2,000 mails that wait).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from deskline_chassis.postgres import Conn
from deskline_events.facts import Language, Priority
from deskline_events.notify import NotificationKind, Recipient
from deskline_notify.adapters.sealing import Sealed
from deskline_notify.domain.retrying import GIVE_UP_AFTER

REFERENCES_KEPT: Final = 8

_CLAIM: Final = (
    # Candidates come one by one until there are enough of them, and each is asked for by the index of its
    # ticket: as one join it would be planned by what the table held once, and look at all that is open.
    "WITH chosen AS (SELECT n.place FROM (SELECT place, ticket_id, recipient_id FROM notifications"
    " WHERE state = 'pending' AND due_at <= now() ORDER BY due_at, place FOR UPDATE SKIP LOCKED) AS n"
    # One recipient is told of one ticket in order: an acknowledgement never comes after a later reply.
    " WHERE (SELECT count(*) FROM (SELECT recipient_id, state FROM notifications AS e"
    " WHERE e.ticket_id = n.ticket_id AND e.place < n.place OFFSET 0) AS earlier"
    " WHERE earlier.recipient_id = n.recipient_id AND earlier.state IN ('waiting', 'pending')) = 0"
    " LIMIT %(limit)s)"
    " UPDATE notifications n SET lease = %(lease)s, due_at = clock_timestamp() + %(seconds)s"
    " WHERE n.place = ANY(ARRAY(SELECT place FROM chosen))"
    " RETURNING n.place, n.notification_id, n.kind, n.recipient_kind, n.recipient_id, n.ticket_id,"
    " n.message_id, n.fact_at, n.details, n.reply_text,"
    " coalesce(n.expires_at <= clock_timestamp(), false), n.attempts"
)
_ABOUT: Final = (
    "SELECT ticket_id, number, line_name, line_address, contact_id, locale, verified, reply_token, priority,"
    " level, subject, message_ids FROM tickets WHERE ticket_id = ANY(%b)"
)
_EARLIER: Final = (
    "SELECT n.place, e.message_id, e.fact_at FROM unnest(%b::bigint[], %b::uuid[], %b::uuid[])"
    " AS n (place, ticket_id, recipient_id) CROSS JOIN LATERAL (SELECT message_id, fact_at FROM notifications"
    " e WHERE e.ticket_id = n.ticket_id AND e.recipient_id = n.recipient_id AND e.place < n.place"
    f" AND e.state = 'sent' ORDER BY e.place DESC LIMIT {REFERENCES_KEPT}) e"
)


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notification that this process may send until its lease ends."""

    place: int
    notification_id: UUID
    kind: NotificationKind
    recipient: Recipient
    ticket_id: UUID
    message_id: str
    fact_at: datetime
    details: Mapping[str, str]
    reply_text: Sealed | None
    is_expired: bool
    attempts: int


@dataclass(frozen=True, slots=True)
class About:
    """The ticket as a mail shows it; personal values sealed."""

    ticket_id: UUID
    number: int
    line_name: str
    line_address: str | None
    contact_id: UUID
    locale: Language
    verified: bool
    reply_token: str
    priority: Priority
    level: int
    subject: Sealed | None
    message_ids: Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Person:
    """How a recipient is reached; personal values sealed."""

    address: Sealed | None
    name: Sealed | None = None
    language: Language | None = None
    employed: bool = True


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a claimed notification."""

    place: int
    lease: UUID
    outcome: Literal["sent", "failed", "capped", "deferred"]
    reason: str | None = None
    delay: timedelta = timedelta()
    attempted: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """A notification that is finished, with what its event says."""

    notification_id: UUID
    event_id: UUID
    ticket_id: UUID
    kind: NotificationKind
    recipient: Recipient
    reply_id: UUID | None
    message_id: str
    state: str
    reason: str | None
    fact_at: datetime
    finished_at: datetime
    correlation_id: UUID
    traceparent: str | None
    is_awaited: bool = False


_SETTLED: Final = (
    " RETURNING n.place, n.notification_id, n.event_id, n.ticket_id, n.kind, n.recipient_kind,"
    " n.recipient_id, n.reply_id, n.message_id, n.state, n.reason, n.fact_at, n.finished_at,"
    " n.correlation_id, n.traceparent"
)
_IS_AWAITED: Final = (
    ", EXISTS (SELECT FROM notifications later WHERE later.ticket_id = n.ticket_id AND later.place > n.place"
    " AND later.recipient_id = n.recipient_id AND later.state = 'pending')"
)


def claim(connection: Conn, lease: UUID, seconds: float, limit: int) -> list[Claimed]:
    """Notifications that are due, in the order of their turn; nobody else sends them for so long."""
    rows = connection.execute(
        _CLAIM, {"limit": limit, "lease": lease, "seconds": timedelta(seconds=seconds)}, prepare=False
    ).fetchall()
    return [
        Claimed(row[0], row[1], row[2], Recipient(kind=row[3], id=row[4]), *row[5:])
        for row in sorted(rows, key=lambda row: int(row[0]))
    ]


def renew(connection: Conn, held: Sequence[tuple[int, UUID]], seconds: float) -> set[int]:
    """Hold these (place, lease) for so many seconds more; the places that are still ours."""
    rows = connection.execute(
        "UPDATE notifications n SET due_at = clock_timestamp() + %s"
        " FROM unnest(%b::bigint[], %b::uuid[]) AS held (place, lease)"
        " WHERE n.place = held.place AND n.lease = held.lease AND n.state = 'pending' RETURNING n.place",
        (timedelta(seconds=seconds), [place for place, _ in held], [lease for _, lease in held]),
    ).fetchall()
    return {row[0] for row in rows}


def tickets_about(connection: Conn, ticket_ids: Collection[UUID]) -> dict[UUID, About]:
    """What mails say of these tickets."""
    rows = connection.execute(_ABOUT, (list(ticket_ids),)).fetchall()
    return {row[0]: About(*row) for row in rows}


def persons(connection: Conn, ids: Collection[UUID]) -> dict[UUID, Person]:
    """How these recipients are reached; operators with their names and languages."""
    wanted = {"ids": list(ids)}
    rows = connection.execute(
        "SELECT contact_id, address, NULL::jsonb, NULL, true FROM contacts WHERE contact_id = ANY(%(ids)b)"
        " UNION ALL SELECT operator_id, address, name, language, employed FROM operators"
        " WHERE operator_id = ANY(%(ids)b)",
        wanted,
    ).fetchall()
    return {row[0]: Person(*row[1:]) for row in rows}


def earlier_mails(connection: Conn, claimed: Sequence[Claimed]) -> dict[int, list[tuple[str, datetime]]]:
    """Our Message-IDs that the same recipient got of the same ticket before, and the times of their facts."""
    rows = connection.execute(
        _EARLIER,
        (
            [one.place for one in claimed],
            [one.ticket_id for one in claimed],
            [one.recipient.id for one in claimed],
        ),
    ).fetchall()
    found: dict[int, list[tuple[str, datetime]]] = {}
    for place, message_id, fact_at in rows:
        found.setdefault(place, []).append((message_id, fact_at))
    return found


def answer_unverified(connection: Conn, tags: Mapping[UUID, bytes]) -> set[UUID]:
    """Which of these notifications may go to addresses that anybody may have typed; one an hour each."""
    may: set[UUID] = set()
    for notification_id, tag in sorted(tags.items(), key=lambda item: item[1]):
        row = connection.execute(
            "INSERT INTO unverified_answers AS known (tag, notification_id, answered_at)"
            " VALUES (%s, %s, clock_timestamp()) ON CONFLICT (tag) DO UPDATE SET"
            " notification_id = excluded.notification_id, answered_at = excluded.answered_at"
            " WHERE known.notification_id = excluded.notification_id"
            " OR known.answered_at < clock_timestamp() - interval '1 hour' RETURNING tag",
            (tag, notification_id),
        ).fetchone()
        if row is not None:
            may.add(notification_id)
    return may


def forget_answers(connection: Conn) -> None:
    """Forget the addresses that were answered more than an hour ago."""
    connection.execute(
        "DELETE FROM unverified_answers WHERE answered_at < statement_timestamp() - interval '1 hour'"
    )


def defer(connection: Conn, verdicts: Sequence[Verdict]) -> int:
    """Put what may succeed later back, as long as its lease is still ours; how many."""
    if not verdicts:
        return 0
    done = connection.execute(
        "UPDATE notifications n SET lease = NULL, due_at = clock_timestamp() + new.delay,"
        " attempts = n.attempts + new.attempted, reason = coalesce(new.reason, n.reason)"
        " FROM unnest(%b::bigint[], %b::uuid[], %b::interval[], %b::int[], %b::text[])"
        " AS new (place, lease, delay, attempted, reason)"
        " WHERE n.place = new.place AND n.state = 'pending' AND n.lease = new.lease",
        (
            [one.place for one in verdicts],
            [one.lease for one in verdicts],
            [one.delay for one in verdicts],
            [int(one.attempted) for one in verdicts],
            [one.reason for one in verdicts],
        ),
    )
    return done.rowcount


def settle(connection: Conn, verdicts: Sequence[Verdict]) -> list[Settled]:
    """Finish these for ever; under the log's lock. What somebody else finished meanwhile is left as it is.

    What the provider took counts even where the lease ended meanwhile: it is not sent again.
    """
    if not verdicts:
        return []
    rows = connection.execute(
        "UPDATE notifications n SET state = new.outcome, reason = new.reason, lease = NULL,"
        " reply_text = NULL, attempts = n.attempts + new.attempted, finished_at = clock_timestamp()"
        " FROM unnest(%b::bigint[], %b::uuid[], %b::text[], %b::text[], %b::int[])"
        " AS new (place, lease, outcome, reason, attempted) WHERE n.place = new.place AND n.state = 'pending'"
        " AND n.place = ANY(%b) AND (n.lease = new.lease OR new.outcome = 'sent')" + _SETTLED + _IS_AWAITED,
        (
            [one.place for one in verdicts],
            [one.lease for one in verdicts],
            [one.outcome for one in verdicts],
            [one.reason for one in verdicts],
            [int(one.attempted) for one in verdicts],
            [one.place for one in verdicts],
        ),
        prepare=False,
    ).fetchall()
    return _settled(rows)


def give_up(connection: Conn, limit: int) -> list[Settled]:
    """Finish what nobody could be told for a day, and nobody is sending; under the log's lock."""
    rows = connection.execute(
        "UPDATE notifications n SET state = 'failed', lease = NULL, reply_text = NULL,"
        " reason = CASE n.state WHEN 'waiting' THEN 'no_address' ELSE 'gave_up' END,"
        " finished_at = clock_timestamp() WHERE n.place IN (SELECT place FROM notifications"
        " WHERE state IN ('waiting', 'pending') AND created_at < now() - %(age)s"
        " AND (lease IS NULL OR due_at < now()) ORDER BY created_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED)"
        + _SETTLED,
        {"age": GIVE_UP_AFTER, "limit": limit},
    ).fetchall()
    return _settled(rows)


def take_unannounced(connection: Conn, limit: int) -> list[Settled]:
    """Replies that came too late to be sent: their operators are told so; under the log's lock."""
    rows = connection.execute(
        "UPDATE notifications n SET announced = true WHERE n.place IN (SELECT place FROM notifications"
        " WHERE NOT announced AND state IN ('stale', 'failed') ORDER BY place LIMIT %s"
        " FOR UPDATE SKIP LOCKED)" + _SETTLED,
        (limit,),
    ).fetchall()
    return _settled(rows)


def _settled(rows: Sequence[tuple[Any, ...]]) -> list[Settled]:
    settled = []
    for row in sorted(rows, key=lambda row: int(row[0])):
        values: list[Any] = [*row[1:5], Recipient(kind=row[5], id=row[6]), *row[7:]]
        settled.append(Settled(*values))
    return settled


def is_anything_overdue(connection: Conn) -> bool:
    """Whether `give_up` or `take_unannounced` would find something; asked without the log's lock."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM notifications WHERE state IN ('waiting', 'pending')"
        " AND created_at < now() - %s) OR EXISTS (SELECT FROM notifications WHERE NOT announced"
        " AND state IN ('stale', 'failed'))",
        (GIVE_UP_AFTER,),
    ).fetchone()
    return row == (True,)


def release_waiting(connection: Conn) -> int:
    """Let those go whose recipient's address came; how many."""
    done = connection.execute(
        "UPDATE notifications n SET state = 'pending', due_at = now() WHERE n.place IN"
        " (SELECT place FROM notifications w WHERE state = 'waiting' AND (EXISTS (SELECT FROM contacts c"
        " WHERE c.contact_id = w.recipient_id) OR EXISTS (SELECT FROM operators o"
        " WHERE o.operator_id = w.recipient_id)) ORDER BY place LIMIT 1000 FOR UPDATE SKIP LOCKED)"
    )
    return done.rowcount
