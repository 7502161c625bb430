"""Ids that are derived or fixed, so that a repeat leads to the same one; they never change."""

from typing import Final
from uuid import UUID, uuid5

NAMESPACE: Final = UUID("5b7e0c52-8f0d-5c1e-9a61-2d4f6b0a7c93")

FALLBACK_QUEUE: Final = UUID("5b7e0c52-8f0d-5c1e-9a61-000000000001")
"""The queue that takes what matches nowhere; it always exists."""


def offer_id_of(ticket_id: UUID, assignment_no: int, attempt: int) -> UUID:
    """The offer that a decision makes."""
    return uuid5(NAMESPACE, f"offer|{ticket_id}|{assignment_no}|{attempt}")
