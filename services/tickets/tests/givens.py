"""What tests of a ticket begin with: who acts, when, and the types of the fixtures that make the ticket."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import get_args
from uuid import UUID

from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.events import StageChanged
from deskline_tickets.domain.ticket import Ticket

Given = Callable[..., Ticket]
Moved = Callable[..., StageChanged]
Message = Callable[..., CustomerMessage]

NOW = datetime(2026, 3, 3, tzinfo=UTC)
TICKET, CUSTOMER, OPERATOR, LINE, COLLEAGUE = (UUID(int=n) for n in (1, 2, 3, 4, 33))
STAFF = frozenset({"operator"})
BY_OPERATOR, BY_COLLEAGUE = (Actor(kind="operator", id=one) for one in (OPERATOR, COLLEAGUE))
BY_CUSTOMER = Actor(kind="contact", id=CUSTOMER)
BY_SYSTEM = Actor(kind="system")
STAGES: tuple[Stage, ...] = get_args(Stage)
