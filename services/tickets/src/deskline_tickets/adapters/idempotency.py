"""What was answered to commands, kept in their own transaction, for a day."""

import json
from datetime import datetime, timedelta
from typing import Final

from deskline_chassis.postgres import Conn
from deskline_tickets.domain.refusals import KeyReused
from deskline_tickets.ports import Answer, Asked

KEPT: Final = timedelta(hours=24)
# A command removes a few that are past their day: the table stays small without a loop of its own.
_SWEPT: Final = 20


def find_answer(connection: Conn, asked: Asked) -> Answer | None:
    """What this command was answered; raises KeyReused where the key came with another body or path."""
    row = connection.execute(
        "SELECT action, body_hash, status, answer FROM idempotency_keys WHERE actor_id = %s AND key = %s",
        (asked.caller.actor_id, asked.key),
    ).fetchone()
    if row is None:
        return None
    action, body_hash, status, answer = row
    if (action, body_hash) != (asked.action, asked.body_hash):
        raise KeyReused
    return Answer(status, answer)


def keep_answer(connection: Conn, asked: Asked, answer: Answer, now: datetime) -> None:
    """Keep an answer under its key."""
    connection.execute(
        "DELETE FROM idempotency_keys WHERE (actor_id, key) IN"
        " (SELECT actor_id, key FROM idempotency_keys WHERE created_at < %s ORDER BY created_at LIMIT %s)",
        (now - KEPT, _SWEPT),
    )
    connection.execute(
        "INSERT INTO idempotency_keys (actor_id, key, action, body_hash, status, answer, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            asked.caller.actor_id,
            asked.key,
            asked.action,
            asked.body_hash,
            answer.status,
            json.dumps(answer.body),
            now,
        ),
    )
