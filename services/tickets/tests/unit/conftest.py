"""Stored events to start from: a customer's mail opened ticket 7."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from services.tickets.tests.assignment_words import accept, after, offer, route

from deskline_events.facts import Customer, Fact, Line
from deskline_events.intake import MessageKind
from deskline_events.tickets import Actor, CustomerMessage, Stage
from deskline_tickets.domain.events import StageChanged, TicketOpened
from deskline_tickets.domain.ticket import Recorded, Ticket, replay

TICKET, CUSTOMER, OPERATOR, LINE = (UUID(int=n) for n in (1, 2, 3, 4))
START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def _message(number: int = 1, kind: MessageKind = "human") -> CustomerMessage:
    return CustomerMessage(source_key=f"{number:064x}", received_at=START, kind=kind, text="Не печатает")


@pytest.fixture
def message() -> Callable[..., CustomerMessage]:
    """A message by its number (equal number, equal source) and kind."""
    return _message


@pytest.fixture
def opening() -> TicketOpened:
    return TicketOpened(
        number=7,
        line=Line(line_id=LINE, name="Поддержка", channel="email", language="ru"),
        contact_id=CUSTOMER,
        customer=Customer(contact_id=CUSTOMER),
        subject="Принтер",
        message=_message(),
        priority="medium",
        reply_token="token",
    )


@pytest.fixture
def given(opening: TicketOpened) -> Callable[..., Ticket]:
    """The opened ticket after these events too, an hour from one to the next."""

    def after(*events: Fact) -> Ticket:
        ticket = replay(
            Recorded(TICKET, n + 1, START + timedelta(hours=n), event)
            for n, event in enumerate((opening, *events))
        )
        assert ticket is not None
        return ticket

    return after


@pytest.fixture
def moved() -> Callable[..., StageChanged]:
    """A stored move to a stage."""

    def to(stage: Stage, *, cycle: int = 1, no: int = 1) -> StageChanged:
        return StageChanged(
            before="new",
            after=stage,
            actor=Actor(kind="operator", id=OPERATOR),
            cycle=cycle,
            assignment_no=no,
            closing_reason="solved" if stage == "resolved" else None,
            until=START + timedelta(days=9) if stage == "waiting_until" else None,
        )

    return to


@pytest.fixture
def queued(given: Callable[..., Ticket]) -> Ticket:
    return after(given(), route())


@pytest.fixture
def offered(queued: Ticket) -> Ticket:
    return after(queued, offer())


@pytest.fixture
def accepted(offered: Ticket) -> Ticket:
    return after(offered, accept())
