"""What was answered to commands, kept in their own transaction, for a day: whoever asks again is told that.

The table is the service's own, by its migrations: idempotency_keys (actor_id, key, action, body_hash,
status, answer, created_at), with (actor_id, key) as its primary key and an index on created_at.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, Final
from uuid import UUID

from deskline_chassis.postgres import Conn

KEPT: Final = timedelta(hours=24)
# A command removes a few that are past their day: the table stays small without a loop of its own.
_SWEPT: Final = 20


@dataclass(frozen=True, slots=True)
class KeyedCommand:
    """A command as it is known when it comes again: who gave it, under which key, for what."""

    actor_id: UUID
    key: str
    action: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command was answered; JSON types without personal data, as it is kept."""

    status: int
    body: dict[str, Any]


class KeyReusedError(Exception):
    """The key came before with another command or body."""

    safe_message: ClassVar[bool] = True


def find_answer(connection: Conn, command: KeyedCommand) -> Answer | None:
    """What this command was answered; raises KeyReusedError. The caller holds the log's lock."""
    row = connection.execute(
        "SELECT action, body_hash, status, answer FROM idempotency_keys WHERE actor_id = %s AND key = %s",
        (command.actor_id, command.key),
    ).fetchone()
    if row is None:
        return None
    action, body_hash, status, answer = row
    if (action, body_hash) != (command.action, command.body_hash):
        raise KeyReusedError("the key was used for another command")
    return Answer(status, answer)


def keep_answer(connection: Conn, command: KeyedCommand, answer: Answer) -> None:
    """Keep an answer under its key."""
    # Against clock_timestamp(), which changes from row to row, no index helps, and all of the day is read.
    connection.execute(
        "DELETE FROM idempotency_keys WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys"
        " WHERE created_at < statement_timestamp() - %s ORDER BY created_at LIMIT %s))",
        (KEPT, _SWEPT),
    )
    connection.execute(
        "INSERT INTO idempotency_keys (actor_id, key, action, body_hash, status, answer, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, clock_timestamp())",
        (
            command.actor_id,
            command.key,
            command.action,
            command.body_hash,
            answer.status,
            json.dumps(answer.body),
        ),
    )
