"""What was answered to commands, kept in their own transaction, for a day."""

import json
from datetime import timedelta
from typing import Final

from deskline_chassis.postgres import Conn
from deskline_intake.ports import Answer, Asked

KEPT: Final = timedelta(hours=24)
# A command removes a few that are past their day: the table stays small without a loop of its own.
_SWEPT: Final = 20


class KeyReusedError(Exception):
    """The key came before with another command or body."""

    safe_message = True


def find_answer(connection: Conn, asked: Asked) -> Answer | None:
    """What this command was answered; raises KeyReusedError. The caller holds the log's lock."""
    row = connection.execute(
        "SELECT action, body_hash, status, answer FROM idempotency_keys WHERE actor_id = %s AND key = %s",
        (asked.actor_id, asked.key),
    ).fetchone()
    if row is None:
        return None
    action, body_hash, status, answer = row
    if (action, body_hash) != (asked.action, asked.body_hash):
        raise KeyReusedError("the key was used for another command")
    return Answer(status, answer)


def keep_answer(connection: Conn, asked: Asked, answer: Answer) -> None:
    """Keep an answer under its key."""
    connection.execute(
        "DELETE FROM idempotency_keys WHERE (actor_id, key) IN (SELECT actor_id, key FROM idempotency_keys"
        " WHERE created_at < clock_timestamp() - %s ORDER BY created_at LIMIT %s)",
        (KEPT, _SWEPT),
    )
    connection.execute(
        "INSERT INTO idempotency_keys (actor_id, key, action, body_hash, status, answer, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())",
        (asked.actor_id, asked.key, asked.action, asked.body_hash, answer.status, json.dumps(answer.body)),
    )
