"""The table of transitions, as data: which moves there are, who may make them, what they need."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Literal

from deskline_events.tickets import Actor, Stage

Who = Literal["operator", "lead", "contact", "system"]
Requirement = Literal["closing_reason", "until"]
Audience = Literal["queue_operators", "assignee", "team_lead"]

STAFF: Final[frozenset[Who]] = frozenset({"operator", "lead"})
SYSTEM: Final[frozenset[Who]] = frozenset({"system"})
CONTACT: Final[frozenset[Who]] = frozenset({"contact"})

WAITING: Final[frozenset[Stage]] = frozenset({"waiting_customer", "waiting_third_party", "waiting_until"})
ENDS: Final[frozenset[Stage]] = frozenset({"merged", "spam", "abandoned"})
"""Stages that nothing leaves: a customer's message there opens another ticket."""

OVER: Final[frozenset[Stage]] = ENDS | {"resolved", "closed"}
"""Stages in which nobody works on the ticket: it is not routed, offered, unassigned or escalated there."""


@dataclass(frozen=True, slots=True)
class Move:
    """A row of the table; `needs` is what its command must bring, `reopens` starts a cycle."""

    before: Stage
    after: Stage
    who: frozenset[Who]
    needs: Requirement | None = None
    reopens: bool = False

    @property
    def seen_by(self) -> frozenset[Audience]:
        """Who may see the ticket after the move."""
        return SEEN_BY[self.after]


MOVES: Final[tuple[Move, ...]] = (
    Move("new", "in_progress", STAFF),
    Move("in_progress", "waiting_customer", STAFF),
    Move("in_progress", "waiting_third_party", STAFF),
    Move("in_progress", "waiting_until", STAFF, needs="until"),
    # What a person writes must be seen: it ends every kind of waiting.
    Move("waiting_customer", "in_progress", STAFF | CONTACT),
    Move("waiting_third_party", "in_progress", STAFF | CONTACT),
    Move("waiting_until", "in_progress", STAFF | CONTACT | SYSTEM),
    Move("new", "resolved", STAFF, needs="closing_reason"),
    Move("in_progress", "resolved", STAFF, needs="closing_reason"),
    # The system's is the customer's long silence.
    Move("waiting_customer", "resolved", STAFF | SYSTEM, needs="closing_reason"),
    Move("waiting_third_party", "resolved", STAFF, needs="closing_reason"),
    Move("waiting_until", "resolved", STAFF, needs="closing_reason"),
    Move("new", "spam", STAFF),
    Move("in_progress", "spam", STAFF),
    Move("waiting_customer", "spam", STAFF),
    Move("waiting_third_party", "spam", STAFF),
    Move("waiting_until", "spam", STAFF),
    Move("resolved", "closed", STAFF | CONTACT | SYSTEM),
    Move("resolved", "in_progress", STAFF | CONTACT, reopens=True),
    Move("closed", "in_progress", STAFF | CONTACT, reopens=True),
)

_HANDLERS: Final[frozenset[Audience]] = frozenset({"assignee", "team_lead"})
_TEAM: Final[frozenset[Audience]] = _HANDLERS | {"queue_operators"}

SEEN_BY: Final[dict[Stage, frozenset[Audience]]] = {
    "new": _TEAM,
    "in_progress": _HANDLERS,
    "waiting_customer": _HANDLERS,
    "waiting_third_party": _HANDLERS,
    "waiting_until": _HANDLERS,
    # What was answered once is what colleagues look up.
    "resolved": _TEAM,
    "closed": _TEAM,
    "merged": _TEAM,
    "spam": _HANDLERS,
    "abandoned": _TEAM,
}


def standing(actor: Actor, roles: Collection[str] = ()) -> frozenset[Who]:
    """As whom an actor counts in the table; a lead may do what an operator may, other roles nothing."""
    if actor.kind == "contact":
        return CONTACT
    if actor.kind == "system":
        return SYSTEM
    if "lead" in roles:
        return STAFF
    return frozenset({"operator"}) if "operator" in roles else frozenset()


def find_move(before: Stage, after: Stage) -> Move | None:
    """The row for a move, whoever makes it."""
    return next((move for move in MOVES if (move.before, move.after) == (before, after)), None)


def legal_moves(stage: Stage, who: Collection[Who]) -> tuple[Stage, ...]:
    """Where these may move a ticket from a stage, in the table's order."""
    return tuple(move.after for move in MOVES if move.before == stage and not move.who.isdisjoint(who))
