"""Who may see what was told of a ticket."""

from collections.abc import Collection
from uuid import UUID

from deskline_notify.domain.tickets import Ticket


def may_see(ticket: Ticket, actor_id: UUID, scope: str, teams: Collection[UUID]) -> bool:
    """Whether a caller with this scope may know that the ticket is there; `teams` are the caller's."""
    if scope == "all":
        return True
    if ticket.assignee_id == actor_id:
        return scope in {"own", "team", "queue"}
    return scope in {"team", "queue"} and ticket.team_id in teams
