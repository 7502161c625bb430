"""One golden fact of every wire type: what producers write and consumers read, word for word."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from deskline_events import intake, notify, routing, sla, tickets
from deskline_events.conditions import Circumstances, Conditions
from deskline_events.facts import Attachment, Customer, Fact, Line, StoredObject

PERSON: Final = UUID("01990000-0000-7000-8000-000000000001")
COMPANY: Final = UUID("01990000-0000-7000-8000-000000000002")
LINE: Final = UUID("01990000-0000-7000-8000-000000000003")
OPERATOR: Final = UUID("01990000-0000-7000-8000-000000000004")
TICKET: Final = UUID("01990000-0000-7000-8000-000000000005")
OTHER: Final = UUID("01990000-0000-7000-8000-000000000006")
QUEUE: Final = UUID("01990000-0000-7000-8000-000000000007")
TEAM: Final = UUID("01990000-0000-7000-8000-000000000008")
POLICY: Final = UUID("01990000-0000-7000-8000-000000000009")
CALENDAR: Final = UUID("01990000-0000-7000-8000-00000000000a")
MOMENT: Final = datetime(2026, 3, 2, 9, 30, 15, 250_000, tzinfo=UTC)

_line = Line(line_id=LINE, name="support", channel="email", language="ru", address="support@desk.example")
_customer = Customer(contact_id=PERSON, company_id=COMPANY, tier="gold", locale="ru", new=True)
_file = Attachment(
    attachment_id=OTHER,
    content=StoredObject(key="attachments/0199/sample", sha256="0" * 64, size=12_345),
    filename="счёт.pdf",
    media_type="application/pdf",
)
_message = tickets.CustomerMessage(
    source_key="a" * 64,
    received_at=MOMENT,
    kind="human",
    text="Принтер не печатает.\n> Вы писали…",
    reply="Принтер не печатает.",
    message_id="1@customer.example",
    attachments=(_file,),
)
_operator = tickets.Actor(kind="operator", id=OPERATOR)
_system = tickets.Actor(kind="system")
_LATER: Final = MOMENT + timedelta(hours=1)
_circumstances = Circumstances(
    line_id=LINE,
    channel="email",
    language="ru",
    level=1,
    priority="medium",
    tier="gold",
    company_id=COMPANY,
    new_contact=True,
)
_conditions = Conditions(levels=(1,), tiers=("gold",))
_candidates = (
    routing.Candidate(operator_id=OPERATOR, load=1, capacity=10, last_offered_at=MOMENT),
    routing.Candidate(operator_id=OTHER, rejected="offline", load=0, capacity=10),
)
_basis = sla.Basis(
    policy_id=POLICY, policy_version=1, calendar_id=CALENDAR, calendar_version=1, target_seconds=3600
)
_contact = notify.Recipient(kind="contact", id=PERSON)

_INTAKE: Final[tuple[Fact, ...]] = (
    intake.CompanyRegistered(company_id=COMPANY, tier="gold", locale="ru"),
    intake.ContactRegistered(
        contact_id=PERSON, address="anna@customer.example", name="Анна", company_id=COMPANY, locale="ru"
    ),
    intake.MessageReceived(
        raw_id=OTHER,
        source_key="a" * 64,
        line=_line,
        contact_id=PERSON,
        customer=_customer,
        received_at=MOMENT,
        kind="human",
        subject="Не печатает принтер",
        text="Принтер не печатает.\n> Вы писали…",
        reply="Принтер не печатает.",
        message_id="1@customer.example",
        references="0@desk.example",
        attachments=(_file,),
        problems=("charset_replaced",),
    ),
    intake.PersonErased(contact_id=PERSON),
)

_TICKETS: Final[tuple[Fact, ...]] = (
    tickets.TicketOpened(
        number=42,
        line=_line,
        contact_id=PERSON,
        customer=_customer,
        subject="Не печатает принтер",
        message=_message,
        priority="medium",
        reply_token="sampletoken",
        link=tickets.Link(kind="follow_up_of", ticket_id=OTHER),
    ),
    tickets.CustomerReplied(contact_id=PERSON, message=_message),
    tickets.AutomaticMessageAdded(
        contact_id=PERSON, message=_message.model_copy(update={"kind": "auto_reply"})
    ),
    tickets.MessageSetAside(
        source_key="b" * 64, line_id=LINE, contact_id=PERSON, received_at=MOMENT, reason="bounce"
    ),
    tickets.OperatorReplied(
        reply_id=OTHER, operator_id=OPERATOR, contact_id=PERSON, text="Проверьте кабель.", seen_version=1
    ),
    tickets.NoteAdded(note_id=OTHER, operator_id=OPERATOR, mentions=(OPERATOR,)),
    tickets.StageChanged(
        before="in_progress",
        after="resolved",
        actor=_operator,
        cycle=1,
        assignment_no=2,
        closing_reason="solved",
    ),
    tickets.PriorityChanged(before="medium", after="high", actor=_operator),
    tickets.TicketRouted(queue_id=QUEUE, team_id=TEAM, actor=_system, assignment_no=0),
    tickets.TicketOffered(
        offer_id=OTHER, operator_id=OPERATOR, queue_id=QUEUE, until=_LATER, assignment_no=0
    ),
    tickets.OfferDeclined(offer_id=OTHER, operator_id=OPERATOR, reason="no_time", assignment_no=0),
    tickets.OfferEnded(offer_id=OTHER, operator_id=OPERATOR, reason="timed_out", assignment_no=0),
    tickets.TicketAccepted(operator_id=OPERATOR, offer_id=OTHER, actor=_operator, assignment_no=1),
    tickets.TicketUnassigned(operator_id=OPERATOR, reason="given_back", actor=_operator, assignment_no=2),
    tickets.Escalated(
        before=1,
        after=2,
        reason="timeout",
        actor=_system,
        assignment_no=3,
        step_key="first_response/1/breach/1",
    ),
    tickets.DecisionRefused(
        decision="offer",
        decision_id=OTHER,
        offer_id=OTHER,
        reason="assignment_changed",
        stage="in_progress",
        assignee_id=OPERATOR,
        assignment_no=1,
    ),
    tickets.DeliveryChanged(reply_id=OTHER, notification_id=COMPANY, state="failed", reason="smtp_550"),
)

_ROUTING: Final[tuple[Fact, ...]] = (
    routing.TicketQueued(
        queue_id=QUEUE,
        team_id=TEAM,
        assignment_no=0,
        circumstances=_circumstances,
        considered=(
            routing.ConsideredQueue(queue_id=OTHER, unmet=("levels",)),
            routing.ConsideredQueue(queue_id=QUEUE),
        ),
    ),
    routing.OfferMade(
        offer_id=OTHER,
        queue_id=QUEUE,
        operator_id=OPERATOR,
        assignment_no=0,
        attempt=1,
        until=_LATER,
        strategy="longest_idle",
        waiting_since=MOMENT,
        candidates=_candidates,
    ),
    routing.OfferWithdrawn(offer_id=OTHER, operator_id=OPERATOR, assignment_no=0, reason="timed_out"),
    routing.NobodyAvailable(queue_id=QUEUE, assignment_no=0, attempt=2, candidates=_candidates[1:]),
    routing.AssignmentWithdrawn(operator_id=OPERATOR, assignment_no=1, reason="operator_left"),
    routing.OperatorChanged(
        operator_id=PERSON,
        name="Ольга",
        address="olga@desk.example",
        language="ru",
        employed=True,
        team_ids=(TEAM,),
        skills=("printers",),
        capacity=10,
    ),
    routing.TeamChanged(team_id=TEAM, name="first line", lead_ids=(OPERATOR,)),
    routing.QueueChanged(
        queue_id=QUEUE,
        name="support",
        team_id=TEAM,
        order=1,
        conditions=_conditions,
        skills=("printers",),
    ),
)

_SLA: Final[tuple[Fact, ...]] = (
    sla.ClockStarted(
        clock="first_response",
        cycle=1,
        generation=1,
        started_at=MOMENT,
        due_at=_LATER,
        basis=_basis,
        circumstances=_circumstances,
    ),
    sla.ClockPaused(
        clock="resolution",
        cycle=1,
        generation=1,
        paused_at=MOMENT,
        elapsed_seconds=60,
        reason="waiting_customer",
    ),
    sla.ClockResumed(clock="resolution", cycle=1, generation=2, resumed_at=MOMENT, due_at=_LATER),
    sla.ClockMet(
        clock="first_response",
        cycle=1,
        generation=1,
        met_at=MOMENT,
        due_at=_LATER,
        elapsed_seconds=900,
        breached=False,
    ),
    sla.ClockCancelled(clock="resolution", cycle=1, generation=2, cancelled_at=MOMENT, reason="spam"),
    sla.SlaRecalculated(
        clock="resolution",
        cycle=1,
        generation=2,
        before=_basis,
        before_due_at=_LATER,
        basis=_basis.model_copy(update={"target_seconds": 1800}),
        due_at=MOMENT + timedelta(minutes=30),
        reason="priority",
        actor=_operator,
    ),
    sla.SlaWarned(
        clock="first_response",
        cycle=1,
        generation=1,
        step="warn",
        step_due_at=MOMENT + timedelta(minutes=48),
        due_at=_LATER,
        recipients=("assignee", "team_lead"),
    ),
    sla.SlaBreached(
        clock="resolution",
        cycle=1,
        generation=1,
        step="breach",
        step_due_at=_LATER,
        due_at=_LATER,
        actions=("escalate",),
        recipients=("customer", "team_lead"),
        forecast_at=_LATER + timedelta(hours=1),
    ),
    sla.PolicyChanged(
        policy_id=POLICY,
        version=1,
        name="gold",
        order=1,
        conditions=_conditions,
        calendar_id=CALENDAR,
        targets=(sla.Target(clock="first_response", priority="medium", seconds=3600),),
        steps={
            "first_response": (
                sla.Step(key="warn", percent=80, recipients=("assignee",)),
                sla.Step(key="breach", seconds=0, actions=("escalate",), recipients=("team_lead",)),
            )
        },
    ),
    sla.CalendarChanged(
        calendar_id=CALENDAR,
        version=1,
        name="Москва",
        zone="Europe/Moscow",
        week=(*((sla.Interval(start=540, end=1080),) for _ in range(5)), (), ()),
        exceptions=(
            sla.CalendarException(day=date(2026, 5, 1)),
            sla.CalendarException(day=date(2026, 4, 30), intervals=(sla.Interval(start=540, end=1020),)),
        ),
    ),
)

_NOTIFY: Final[tuple[Fact, ...]] = (
    notify.NotificationSent(
        notification_id=COMPANY,
        event_id=OTHER,
        kind="reply",
        channel="email",
        recipient=_contact,
        reply_id=OTHER,
        message_id="abcdefghijklmnopqrstuvwxyz.sampletoken@desk.example",
    ),
    notify.NotificationFailed(
        notification_id=COMPANY,
        event_id=OTHER,
        kind="acknowledgement",
        channel="email",
        recipient=_contact,
        reason="smtp_550",
    ),
)

SAMPLES: Final[tuple[Fact, ...]] = (*_INTAKE, *_TICKETS, *_ROUTING, *_SLA, *_NOTIFY)
