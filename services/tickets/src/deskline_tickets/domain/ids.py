"""Ids that are derived, so that a repeat leads to the same one; the namespace and the parts never change."""

from typing import Final
from uuid import UUID, uuid5

NAMESPACE: Final = UUID("b3a1c7de-52a4-5f0e-8d39-3a4f60c1d7b2")


def ticket_id_of(source_key: str) -> UUID:
    """The ticket that a message opens, if it opens one."""
    return uuid5(NAMESPACE, f"ticket|{source_key}")


def set_aside_stream_of(source_key: str) -> UUID:
    """The stream of a message that makes no ticket."""
    return uuid5(NAMESPACE, f"set-aside|{source_key}")


def command_id_of(actor_id: UUID, idempotency_key: str) -> UUID:
    """The command that a person gave under a key, given once or again."""
    return uuid5(NAMESPACE, f"command|{actor_id}|{idempotency_key}")
