"""What a command, a stored event or a ticket leaves out: it says nothing, and old events are read by that."""

from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from deskline_events.facts import Fact
from deskline_tickets.domain import commands
from deskline_tickets.domain.commands import HandOver
from deskline_tickets.domain.events import STORED
from deskline_tickets.domain.stages import Move
from deskline_tickets.domain.threading import Candidates, Incoming, Traces
from deskline_tickets.domain.ticket import Delivery, Ticket

pytestmark = pytest.mark.unit

# Of all others nothing is known: None.
MEANT: dict[str, Any] = {
    "already": False,
    "by_own_message_id": (),
    "by_stored_message_id": (),
    "channel": "email",
    "deliveries": {},
    "erased": False,
    "hand_over": HandOver(),
    "has_note": False,
    "holders": {},
    "keeps_assignee": True,
    "last_customer_version": 0,
    "level": 1,
    "mentions": (),
    "priority": "medium",
    "reopens": False,
    "resolutions": {},
    "roles": frozenset(),
    "seen": frozenset(),
    "stored_message_ids": (),
    "subject": "",
}
COMMANDS = [
    made for made in vars(commands).values() if is_dataclass(made) and made.__module__ == commands.__name__
]


def left_out_of(made: Any) -> dict[str, Any]:
    found = {}
    for field in fields(made):
        if field.default is not MISSING:
            found[field.name] = field.default
        elif field.default_factory is not MISSING:
            found[field.name] = field.default_factory()
    return found


@pytest.mark.parametrize("made", [*COMMANDS, Ticket, Delivery, Move, Incoming, Traces, Candidates])
def test_what_a_value_leaves_out(made: type) -> None:
    for name, value in left_out_of(made).items():
        assert (name, value) == (name, MEANT.get(name))


@pytest.mark.parametrize("event", STORED.values())
def test_what_a_stored_event_leaves_out(event: type[Fact]) -> None:
    for name, field in event.model_fields.items():
        if field.default is not PydanticUndefined:
            assert (name, field.default) == (name, MEANT.get(name))
