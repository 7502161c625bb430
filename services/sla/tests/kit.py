"""Facts about tickets, policies and calendars to tell in tests."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from deskline_events.conditions import Conditions
from deskline_events.facts import Customer, Fact, Level, Line, Priority
from deskline_events.sla import (
    CalendarChanged,
    CalendarException,
    Interval,
    PolicyChanged,
    Step,
    Target,
)
from deskline_events.tickets import (
    Actor,
    CustomerMessage,
    CustomerReplied,
    Escalated,
    OperatorReplied,
    PriorityChanged,
    StageChanged,
    TicketOpened,
)
from deskline_sla.domain.defaults import default_calendar, default_policy
from deskline_sla.domain.rules import RuleBook
from deskline_sla.domain.watched import Happened, Moved, WatchedTicket, advance

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)  # a Monday
TICKET, CONTACT, OPERATOR, LINE, OTHER_LINE = (UUID(int=number) for number in range(1, 6))
POLICY, CALENDAR = UUID(int=100), UUID(int=200)
SYSTEM = Actor(kind="system")
STAFF = Actor(kind="operator", id=OPERATOR)
CUSTOMER = Actor(kind="contact", id=CONTACT)


def after(hours: float = 0, **given: float) -> datetime:
    return START + timedelta(hours=hours, **given)


def message(at: datetime, kind: str = "human", number: int = 1) -> CustomerMessage:
    return CustomerMessage.model_validate(
        {"source_key": f"{number:064x}", "received_at": at, "kind": kind, "text": "Не печатает"}
    )


def opened(
    at: datetime = START, kind: str = "human", priority: Priority = "medium", **given: Any
) -> TicketOpened:
    customer = Customer(contact_id=CONTACT, tier=given.pop("tier", None))
    line_id = given.pop("line_id", LINE)
    fields: dict[str, Any] = {
        "number": 7,
        "line": Line(line_id=line_id, name="Поддержка", channel="email", language="ru"),
        "contact_id": CONTACT,
        "customer": customer,
        "subject": "Принтер",
        "message": message(at, kind),
        "priority": priority,
        "reply_token": "token",
    }
    return TicketOpened(**(fields | given))


def moved(before: str, after_: str, actor: Actor = STAFF, cycle: int = 1) -> StageChanged:
    return StageChanged.model_validate(
        {"before": before, "after": after_, "actor": actor, "cycle": cycle, "assignment_no": 1}
    )


def answered() -> OperatorReplied:
    return OperatorReplied(
        reply_id=UUID(int=9), operator_id=OPERATOR, contact_id=CONTACT, text="Проверьте", seen_version=1
    )


def wrote(at: datetime) -> CustomerReplied:
    return CustomerReplied(contact_id=CONTACT, message=message(at, number=2))


def prioritised(before: Priority, after_: Priority) -> PriorityChanged:
    return PriorityChanged(before=before, after=after_, actor=STAFF)


def escalated(before: Level = 1, after_: Level = 2) -> Escalated:
    return Escalated(before=before, after=after_, reason="manual", actor=STAFF, assignment_no=2)


def office(**given: Any) -> CalendarChanged:
    """Nine to six from Monday to Friday, in Moscow."""
    day = (Interval(start=9 * 60, end=18 * 60),)
    fields: dict[str, Any] = {
        "calendar_id": CALENDAR,
        "version": 1,
        "name": "Office",
        "zone": "Europe/Moscow",
        "week": (day,) * 5 + ((), ()),
    }
    return CalendarChanged(**(fields | given))


def holiday(day: date, *intervals: tuple[int, int]) -> CalendarException:
    return CalendarException(day=day, intervals=tuple(Interval(start=a, end=b) for a, b in intervals))


def policy(**given: Any) -> PolicyChanged:
    """Before the default one; an hour for the first answer and four for the solution."""
    first, solution = given.pop("first_response", 3600), given.pop("resolution", 4 * 3600)
    breach = Step(key="breach", seconds=0, recipients=("team_lead",))
    priorities: tuple[Priority, ...] = ("low", "medium", "high", "critical")
    targets = [Target(clock="first_response", priority=one, seconds=first) for one in priorities]
    targets += [Target(clock="resolution", priority=one, seconds=solution) for one in priorities]
    fields: dict[str, Any] = {
        "policy_id": POLICY,
        "version": 1,
        "name": "Ours",
        "order": 10,
        "conditions": Conditions(),
        "calendar_id": CALENDAR,
        "targets": tuple(targets),
        "steps": {"first_response": (breach,), "resolution": (breach,)},
    }
    return PolicyChanged(**(fields | given))


def book(*rules: PolicyChanged | CalendarChanged) -> RuleBook:
    """The rules that are there from the beginning, and these."""
    return RuleBook().joined_by([default_calendar(), default_policy(), *rules])


def tell(
    rules: RuleBook, events: Iterable[tuple[Fact, datetime]], ticket: WatchedTicket | None = None
) -> tuple[WatchedTicket, list[Moved]]:
    """The ticket after these events, and all moves of its clocks."""
    moves: list[Moved] = []
    for fact, at in events:
        ticket, more = advance(TICKET, ticket, Happened(fact, at), rules)
        moves += more
    assert ticket is not None
    return ticket, moves


def names(moves: Iterable[Moved]) -> list[str]:
    return [f"{one.fact.TYPE.split('.')[2]} {one.after.name}" for one in moves]
