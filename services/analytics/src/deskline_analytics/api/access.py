"""Who may ask: roles, and how far the scope of an identity reaches."""

from typing import Annotated, Final

from fastapi import Depends

from deskline_analytics import queries
from deskline_analytics.queries import Reach
from deskline_chassis.callers import require_identity
from deskline_chassis.http import Problem
from deskline_chassis.identity import Identity
from deskline_chassis.postgres import Conn

STAFF: Final = frozenset({"operator", "lead", "admin"})
READERS: Final = STAFF | {"analyst"}
# Figures of single operators are for whoever supervises or evaluates; an operator sees their own.
OVERSEERS: Final = frozenset({"lead", "admin", "analyst"})


async def require_reader(identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
    """The caller, who may read lists and reports; a Problem with 403 otherwise."""
    return _require(identity, READERS)


async def require_staff(identity: Annotated[Identity, Depends(require_identity)]) -> Identity:
    """The caller, who may read what customers wrote; a Problem with 403 otherwise."""
    return _require(identity, STAFF)


Caller = Annotated[Identity, Depends(require_reader)]
StaffCaller = Annotated[Identity, Depends(require_staff)]


def is_staff(caller: Identity) -> bool:
    """Whether customers' words and colleagues' names may be shown to them."""
    return not caller.roles.isdisjoint(STAFF)


def reach(connection: Conn, caller: Identity) -> Reach:
    """Which tickets are there for the caller."""
    return queries.reach_of(connection, caller.actor_id, caller.scope)


def _require(identity: Identity, roles: frozenset[str]) -> Identity:
    if identity.roles.isdisjoint(roles):
        named = ", ".join(sorted(roles))
        raise Problem(403, "not_permitted", "Your roles don't allow this", f"One of {named} is needed.")
    return identity
