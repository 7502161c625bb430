"""Sending: claim what is due and write it, and commit what became of it, each in a short transaction."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat

from deskline_chassis.event_log import Cause, EventLog, NewEvent
from deskline_chassis.postgres import Conn, Database
from deskline_events.facts import Fact
from deskline_events.notify import NotificationFailed, NotificationSent
from deskline_notify import figures
from deskline_notify.adapters import claims
from deskline_notify.adapters.claims import Claimed, Settled, Verdict
from deskline_notify.handlers.writing import House, NotWritableError, open_letters, tag_of, write
from deskline_notify.ports import Outgoing


@dataclass(frozen=True, slots=True)
class Errand:
    """A mail to be handed over by whoever holds its lease."""

    claimed: Claimed
    lease: UUID
    mail: Outgoing


def claim_errands(
    database: Database, house: House, seconds: float, limit: int
) -> tuple[list[Errand], list[Verdict]]:
    """Claim up to `limit` for so many seconds: mails to send, and verdicts on what needs no sending."""
    lease = uuid_utils.compat.uuid7()
    with database.transaction() as connection:
        claimed = claims.claim(connection, lease, seconds, limit)
        if not claimed:
            return [], []
        opened = open_letters(house, connection, claimed)
        tags = {
            letter.claimed.notification_id: tag_of(house, letter)
            for letter in opened.letters
            if letter.is_unverified
        }
        may = claims.answer_unverified(connection, tags)
    verdicts = [_failed(one, lease, reason) for one, reason in opened.refused]
    errands: list[Errand] = []
    for letter in opened.letters:
        one = letter.claimed
        if letter.is_unverified and one.notification_id not in may:
            verdicts.append(Verdict(one.place, lease, "capped", "unverified_address", attempted=False))
            continue
        try:
            errands.append(Errand(one, lease, write(house, opened, letter, datetime.now(UTC))))
        except NotWritableError as error:
            verdicts.append(_failed(one, lease, error.reason))
    return errands, verdicts


def _failed(claimed: Claimed, lease: UUID, reason: str) -> Verdict:
    return Verdict(claimed.place, lease, "failed", reason, attempted=False)


def renew_leases(database: Database, held: Sequence[tuple[int, UUID]], seconds: float) -> set[int]:
    """Hold what is not finished for so many seconds more; the places that are still ours."""
    with database.transaction() as connection:
        return claims.renew(connection, held, seconds)


def commit_verdicts(database: Database, log: EventLog, verdicts: Sequence[Verdict]) -> bool:
    """Commit what became of several notifications, with its events; whether others waited for these.

    The relay is not rung: nobody waits for these events, and it looks by itself ten times a second.
    """
    deferred = [one for one in verdicts if one.outcome == "deferred"]
    final = [one for one in verdicts if one.outcome != "deferred"]
    if deferred:
        with database.transaction() as connection:
            claims.defer(connection, deferred)
    if not final:
        return False
    with database.transaction() as connection:
        log.lock(connection)
        settled = claims.settle(connection, final)
        announce(connection, log, settled)
    count_settled(settled)
    return any(one.is_awaited for one in settled)


def announce(connection: Conn, log: EventLog, settled: Sequence[Settled]) -> None:
    """Append the events of what is finished; under the log's lock."""
    log.append(
        connection,
        [
            NewEvent(one.ticket_id, fact, Cause(one.correlation_id, one.event_id, one.traceparent))
            for one in settled
            if (fact := _fact_of(one)) is not None
        ],
    )


def count_settled(settled: Sequence[Settled]) -> None:
    """Count what is finished; after the commit."""
    for (kind, state), number in Counter((one.kind, one.state) for one in settled).items():
        figures.NOTIFICATIONS.labels(kind, state).inc(number)
    for one in settled:
        if one.state == "sent":
            figures.TOLD_SECONDS.observe(max(0.0, (one.finished_at - one.fact_at).total_seconds()))


def _fact_of(one: Settled) -> Fact | None:
    if one.state == "sent":
        return NotificationSent(
            notification_id=one.notification_id,
            event_id=one.event_id,
            kind=one.kind,
            channel="email",
            recipient=one.recipient,
            reply_id=one.reply_id,
            message_id=one.message_id,
        )
    if one.state in {"failed", "stale"}:
        return NotificationFailed(
            notification_id=one.notification_id,
            event_id=one.event_id,
            kind=one.kind,
            channel="email",
            recipient=one.recipient,
            reply_id=one.reply_id,
            reason="stale" if one.state == "stale" else one.reason or "unknown",
        )
    return None
