"""Which tickets somebody may see and act on: by the scope of their identity and by the directory."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from deskline_tickets.domain.stages import OVER, SEEN_BY, Audience
from deskline_tickets.domain.ticket import Ticket

ALL: Final = "all"
_BY_TEAMS: Final = frozenset({"team", "queue"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """Who asks: what their identity says, and what routing announced of them.

    `employed` is False only of somebody who left; of one who was never announced nothing is known.
    """

    operator_id: UUID
    roles: frozenset[str]
    scope: str
    employed: bool = True
    team_ids: frozenset[UUID] = frozenset()
    led_team_ids: frozenset[UUID] = frozenset()


def may_see(viewer: Viewer, ticket: Ticket, queue_team_id: UUID | None) -> bool:
    """Whether the ticket is there for them; `queue_team_id` is the team of the ticket's queue.

    `own`: assigned or offered to them; `queue`: that, and what stands in a queue of their teams; `team`:
    that, and what is with their teams; `all`. Of what a scope reaches, SEEN_BY says who sees it in which
    stage. An unknown scope reaches nothing.
    """
    if viewer.scope == ALL:
        return True
    if not viewer.employed or viewer.scope not in _BY_TEAMS | {"own"}:
        return False
    if viewer.operator_id in {ticket.assignee_id, ticket.offer.operator_id if ticket.offer else None}:
        return True
    if viewer.scope == "own":
        return False
    reached = {queue_team_id} if viewer.scope == "queue" else {queue_team_id, ticket.team_id}
    return not _audiences(viewer, reached).isdisjoint(_audience_of(ticket))


def leads(viewer: Viewer, ticket: Ticket, queue_team_id: UUID | None) -> bool:
    """Whether they lead the ticket's team, or all."""
    if viewer.scope == ALL and "lead" in viewer.roles:
        return True
    return viewer.employed and not viewer.led_team_ids.isdisjoint({queue_team_id, ticket.team_id})


def _audiences(viewer: Viewer, reached: set[UUID | None]) -> set[Audience]:
    found: set[Audience] = set()
    if not viewer.led_team_ids.isdisjoint(reached):
        found |= {"team_lead", "queue_operators"}
    if not viewer.team_ids.isdisjoint(reached):
        found.add("queue_operators")
    return found


def _audience_of(ticket: Ticket) -> frozenset[Audience]:
    # What is being worked on and nobody's is looked after by the queue, as a new ticket is.
    nobodys = ticket.assignee_id is None and ticket.stage not in OVER
    return SEEN_BY["new"] if nobodys else SEEN_BY[ticket.stage]
