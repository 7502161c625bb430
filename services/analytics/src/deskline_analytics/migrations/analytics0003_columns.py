"""What each column that analysts read means, when it is null, and whose events feed it.

A comment is a row of sentences: the meaning, then `Unit: ….` and `Null: ….` where there is something to say,
then `From <owner>: <events>; <owner>: <events>.` with `all` for every event that is read of that owner.
`docs/tables.md` is made of them.
"""

from alembic import op

revision = "analytics0003"
down_revision = "analytics0002"
branch_labels = None
depends_on = None

COUNT = "Unit: count."
BY_INTAKE = "From intake: MessageReceived."
BY_ALL_TICKETS = "From tickets: all."
OPENED = "From tickets: TicketOpened."
STAGE = "From tickets: TicketOpened, StageChanged."
MOVED = "From tickets: StageChanged."
HUMAN = "From tickets: TicketOpened, CustomerReplied."
ANSWER = "From tickets: OperatorReplied."
ROUTED = "From tickets: TicketRouted."
ASSIGNED = "From tickets: TicketAccepted, TicketUnassigned."
OFFERED = "Null: no offer is open. From tickets: TicketOffered, OfferDeclined, OfferEnded, TicketAccepted."
NUMBERED = (
    "From tickets: TicketRouted, TicketOffered, OfferDeclined, OfferEnded, TicketAccepted, TicketUnassigned,"
    " Escalated, StageChanged."
)
DECISIONS = "routing: TicketQueued, OfferMade, OfferWithdrawn, NobodyAvailable, AssignmentWithdrawn"
DECIDED = f"From {DECISIONS}."
OUTCOME = (
    "Null: none yet. From tickets: TicketRouted, TicketOffered, OfferDeclined, OfferEnded, TicketAccepted,"
    " TicketUnassigned, DecisionRefused."
)
REASON_OF_OUTCOME = (
    "Null: no outcome yet, or one without a reason."
    " From tickets: OfferDeclined, OfferEnded, TicketUnassigned, DecisionRefused."
)
STARTED = "From sla: ClockStarted."
MEASURED = "From sla: ClockStarted, SlaRecalculated."
DUE = (
    "From sla: ClockStarted, ClockPaused, ClockResumed, ClockMet, ClockCancelled, SlaRecalculated,"
    " SlaBreached."
)
BREACHED = "From sla: ClockStarted, ClockMet, SlaBreached."
SENT = "From notify: NotificationSent."
TOLD = "From notify: NotificationSent, NotificationFailed."
OPERATOR = "From routing: OperatorChanged."
TEAM = "From routing: TeamChanged."
QUEUE = "From routing: QueueChanged."
FLOWS = (
    "From intake: MessageReceived; tickets: TicketOpened, CustomerReplied, OperatorReplied,"
    " AutomaticMessageAdded, StageChanged, MessageSetAside."
)
LOADS = (
    "From tickets: TicketOffered, TicketAccepted, OfferDeclined, OfferEnded, OperatorReplied, StageChanged."
)
NO_CLOCK = "Null: it has no such clock."

# View → column → comment.
COMMENTS: dict[str, dict[str, str]] = {
    "tickets": {
        "ticket_id": f"Id of the ticket in all services. {OPENED}",
        "number": f"Number of the ticket as people say it; unique, not dense. {OPENED}",
        "stage": "new, in_progress, waiting_customer, waiting_third_party, waiting_until, resolved, closed,"
        f" merged, spam or abandoned. {STAGE}",
        "priority": "low, medium, high or critical. From tickets: TicketOpened, PriorityChanged.",
        "level": "Support level, 1 to 3. From tickets: TicketOpened, Escalated.",
        "cycle": f"1, and one more with each reopening. {STAGE}",
        "line_id": f"The line on which the first message came. {OPENED}",
        "line_name": f"Name of that line when the ticket was opened. {OPENED}",
        "channel": f"Channel of the first message. {OPENED}",
        "contact_id": f"The person who wrote first; an id, never a name or an address. {OPENED}",
        "company_id": f"Company of that person when the ticket was opened. Null: unknown. {OPENED}",
        "tier": f"Tier of the customer when the ticket was opened. Null: unknown. {OPENED}",
        "locale": f"Language of the customer when the ticket was opened: ru or en. {OPENED}",
        "open": f"False in resolved, closed, merged, spam and abandoned. {STAGE}",
        "opened_at": f"When the ticket was recorded. {OPENED}",
        "changed_at": f"When the latest event of the ticket was recorded. {BY_ALL_TICKETS}",
        "first_customer_at": "When the first message that a person wrote came to our door."
        f" Null: only machines wrote. {HUMAN}",
        "last_customer_at": "When the latest message that a person wrote came to our door."
        f" Null: only machines wrote. {HUMAN}",
        "first_operator_at": "When the first public answer of an operator was recorded."
        f" Null: not answered. {ANSWER}",
        "last_operator_at": "When the latest public answer of an operator was recorded."
        f" Null: not answered. {ANSWER}",
        "first_response_seconds": "first_operator_at less first_customer_at; below 0 where the person wrote"
        " after our answer to a machine. Unit: seconds of clock time. Null: either is missing."
        " From tickets: CustomerReplied, OperatorReplied.",
        "last_message_kind": "Who had the last word: customer, operator or automatic; notes do not count."
        " From tickets: TicketOpened, CustomerReplied, AutomaticMessageAdded, OperatorReplied.",
        "customer_messages": f"Messages that a person on the customer's side wrote. {COUNT} {HUMAN}",
        "operator_messages": f"Public answers by operators. {COUNT} {ANSWER}",
        "automatic_messages": f"Messages by machines, such as out-of-office replies. {COUNT}"
        " From tickets: TicketOpened, AutomaticMessageAdded.",
        "notes": f"Internal notes. {COUNT} From tickets: NoteAdded.",
        "reopened": f"How often the ticket was reopened. {COUNT} {MOVED}",
        "resolved_at": "When it was last resolved. Null: it was never resolved, or is worked on again."
        f" {MOVED}",
        "closed_at": f"When it was closed. Null: it is not closed. {MOVED}",
        "closing_reason": f"Code given at the resolution. Null: it is open, or none was given. {MOVED}",
        "waiting_until": f"Until when it waits. Null: its stage is not waiting_until. {MOVED}",
        "version": f"Sequence of the latest event of the ticket in this row. {BY_ALL_TICKETS}",
        "assignment_no": f"Raised by whatever makes earlier decisions of routing void. {NUMBERED}",
        "queue_id": f"Queue in which it stands. Null: not routed yet. {ROUTED}",
        "team_id": "Team of that queue when it came there. Null: not routed yet, or every operator's queue."
        f" {ROUTED}",
        "routed_at": f"When it came there. Null: not routed yet. {ROUTED}",
        "assignee_id": f"Operator who has it. Null: nobody. {ASSIGNED}",
        "assigned_at": f"Since when they have it. Null: nobody has it. {ASSIGNED}",
        "offer_id": f"The open offer. {OFFERED}",
        "offer_operator_id": f"To whom it is offered. {OFFERED}",
        "offer_until": f"Until when the offer stands. {OFFERED}",
        "escalations": f"How often it went to another support level. {COUNT} From tickets: Escalated.",
        "routing_decision": "Latest decision of routing: queued, offered, nobody, withdrawn or unassigned."
        f" Null: none yet. {DECIDED}",
        "routing_decided_at": f"When that was decided. Null: nothing yet. {DECIDED}",
        "offers_made": f"Offers that routing made, refused ones included. {COUNT} From routing: OfferMade.",
        "first_response_due_at": "When the first response is or was due."
        f" Null: no such clock, or it stands still or was cancelled. {DUE}",
        "first_response_at": "When the first-response clock was met. Null: not met. From sla: ClockMet.",
        "first_response_breached": f"The first response was due before it was given. {NO_CLOCK} {BREACHED}",
        "resolution_cycle": f"Cycle of the following three. {NO_CLOCK} {STARTED}",
        "resolution_due_at": "When the resolution is or was due."
        f" Null: no such clock, or it stands still or was cancelled. {DUE}",
        "resolution_met_at": "When the resolution clock was met. Null: not met in this cycle."
        " From sla: ClockStarted, ClockMet.",
        "resolution_breached": f"The resolution was due before it came. {NO_CLOCK} {BREACHED}",
        "acknowledged_at": f"When the first acknowledgement was sent to the customer. Null: none was. {SENT}",
        "last_notified_at": f"When the latest notification about it was sent. Null: none was. {SENT}",
        "notifications_sent": f"Notifications about it that were sent. {COUNT} {SENT}",
        "notifications_failed": f"Notifications about it that have failed. {COUNT}"
        " From notify: NotificationFailed.",
    },
    "ticket_events": {
        "ticket_id": f"Id of the ticket. {BY_ALL_TICKETS}",
        "sequence": f"Place of the event in the ticket's history, dense from 1. {BY_ALL_TICKETS}",
        "event_id": f"Id of the event (ce_id). {BY_ALL_TICKETS}",
        "type": f"What happened, such as TicketOpened or StageChanged. {BY_ALL_TICKETS}",
        "time": f"When it was recorded. {BY_ALL_TICKETS}",
        "actor_kind": f"operator, contact or system. {BY_ALL_TICKETS}",
        "actor_id": f"Id of the operator or contact. Null: the system did it. {BY_ALL_TICKETS}",
        "causation_id": f"Id of the event or command that caused it. Null: unknown. {BY_ALL_TICKETS}",
        "correlation_id": f"The same in everything that one outside cause set off. {BY_ALL_TICKETS}",
        "details": f"Codes, ids and counts of the event; no text that anybody wrote. {BY_ALL_TICKETS}",
    },
    "flow": {
        "bucket": f"Start of the quarter of an hour. {FLOWS}",
        "line_id": f"The line. {FLOWS}",
        "line_name": f"Present name of the line. Null: intake told of no message of it yet. {BY_INTAKE}",
        "channel": f"Channel of the line. Null: intake told of no message of it yet. {BY_INTAKE}",
        "received": f"Messages taken at the door, by the moment of their coming. {COUNT} {BY_INTAKE}",
        "opened": f"Tickets opened. {COUNT} {OPENED}",
        "customer_replies": "Further messages that persons wrote on tickets."
        f" {COUNT} From tickets: CustomerReplied.",
        "operator_replies": f"Public answers by operators. {COUNT} {ANSWER}",
        "automatic": f"Further messages by machines on tickets. {COUNT} From tickets: AutomaticMessageAdded.",
        "resolved": f"Resolutions, repeated ones included. {COUNT} {MOVED}",
        "reopened": f"Reopenings. {COUNT} {MOVED}",
        "closed": f"Closures. {COUNT} {MOVED}",
        "set_aside": "Messages that made no ticket: bounces, lists, own loops, of erased persons."
        f" {COUNT} From tickets: MessageSetAside.",
    },
    "lines": {
        "line_id": f"Id of the line. {BY_INTAKE}",
        "name": f"Its present name, as its latest message told it. {BY_INTAKE}",
        "channel": f"Its channel: email or form. {BY_INTAKE}",
        "language": f"Its language: ru or en. {BY_INTAKE}",
    },
    "freshness": {
        "owner": "The announcing service: intake, tickets, routing, sla or notify."
        " From intake: all; tickets: all; routing: all; sla: all; notify: all.",
        "as_of": "Time of its latest event that these views contain."
        " From intake: all; tickets: all; routing: all; sla: all; notify: all.",
    },
    "operators": {
        "operator_id": f"Id of the operator in all services. {OPERATOR}",
        "language": f"Language in which they are told: ru or en. {OPERATOR}",
        "employed": f"False once they left. {OPERATOR}",
        "team_ids": f"Ids of their teams. {OPERATOR}",
        "skills": f"Their skills, as codes. {OPERATOR}",
        "capacity": f"How many they may have at once, offers included. Unit: tickets. {OPERATOR}",
        "open_tickets": f"Open tickets that they have now. {COUNT}"
        " From tickets: TicketAccepted, TicketUnassigned, StageChanged.",
        "open_offers": f"Tickets that are offered to them now. {COUNT}"
        " From tickets: TicketOffered, OfferDeclined, OfferEnded, TicketAccepted.",
    },
    "teams": {
        "team_id": f"Id of the team. {TEAM}",
        "name": f"Its name. {TEAM}",
        "lead_ids": f"Ids of the operators who lead it. {TEAM}",
        "active": f"False once it was given up. {TEAM}",
    },
    "queues": {
        "queue_id": f"Id of the queue. {QUEUE}",
        "name": f"Its name. {QUEUE}",
        "team_id": f"The team that works on it. Null: every operator does. {QUEUE}",
        "place": f"Its place in the order in which queues are tried, lowest first. {QUEUE}",
        "conditions": f"What must hold of a ticket, as JSON; a condition that is null asks nothing. {QUEUE}",
        "fallback": f"Takes what matches nowhere. {QUEUE}",
        "strategy": f"How an operator is chosen: longest_idle. {QUEUE}",
        "skills": f"What an operator must have, as codes. {QUEUE}",
        "accept_seconds": f"How long an offer stands. Unit: seconds of clock time. {QUEUE}",
        "active": f"False once it was given up. {QUEUE}",
    },
    "routing_decisions": {
        "decision_id": f"Id of the offer, or of the event of another decision. {DECIDED}",
        "ticket_id": f"The ticket. {DECIDED}",
        "kind": f"queued, offered, nobody (could be offered it), withdrawn or unassigned. {DECIDED}",
        "decided_at": f"When it was decided. {DECIDED}",
        "assignment_no": f"Which assignment of the ticket it was about. {DECIDED}",
        "attempt": "Which attempt under that assignment, from 1. Null: not offered or nobody."
        " From routing: OfferMade, NobodyAvailable.",
        "queue_id": "The queue that was chosen or considered. Null: withdrawn or unassigned."
        " From routing: TicketQueued, OfferMade, NobodyAvailable.",
        "operator_id": "The operator who was chosen or is withdrawn. Null: queued or nobody."
        " From routing: OfferMade, OfferWithdrawn, AssignmentWithdrawn.",
        "offer_id": "The offer that was made or is withdrawn. Null: not offered or withdrawn."
        " From routing: OfferMade, OfferWithdrawn.",
        "reason": "Why it is withdrawn, as a code. Null: not withdrawn or unassigned."
        " From routing: OfferWithdrawn, AssignmentWithdrawn.",
        "candidates": "Operators (or queues) looked at, and why not, as JSON."
        " From routing: TicketQueued, OfferMade, NobodyAvailable.",
        "basis": "What else it rests on, as JSON. From routing: TicketQueued, OfferMade.",
        "outcome": f"routed, offered, accepted, declined, ended or refused, by the latest answer. {OUTCOME}",
        "outcome_reason": f"Why it was declined, ended or refused, as a code. {REASON_OF_OUTCOME}",
        "outcome_at": f"When that was recorded. {OUTCOME}",
    },
    "sla_outcomes": {
        "ticket_id": f"The ticket. {STARTED}",
        "clock": f"first_response or resolution. {STARTED}",
        "cycle": f"Cycle of the ticket, from 1. {STARTED}",
        "state": "running, paused, met or cancelled."
        " From sla: ClockStarted, ClockPaused, ClockResumed, ClockMet, ClockCancelled.",
        "stage": f"Present stage of the ticket. Null: tickets told of it nothing yet. {STAGE}",
        "policy_id": f"Policy by which it is measured. {MEASURED}",
        "policy_version": f"Version of that policy. {MEASURED}",
        "calendar_id": f"Calendar by which it is measured. {MEASURED}",
        "calendar_version": f"Version of that calendar. {MEASURED}",
        "target_seconds": f"What it has in all. Unit: seconds of business time. {MEASURED}",
        "started_at": f"When it started. {STARTED}",
        "due_at": "When it is or was due; the last one known while it stands still."
        " From sla: ClockStarted, ClockResumed, ClockMet, SlaRecalculated, SlaBreached.",
        "met_at": "When what it waits for happened. Null: it did not. From sla: ClockMet.",
        "cancelled_at": "When there was nothing more to wait for. Null: not cancelled."
        " From sla: ClockCancelled.",
        "cancel_reason": "Why, as a code: merged, spam or abandoned. Null: not cancelled."
        " From sla: ClockCancelled.",
        "elapsed_seconds": "Until it was met or stood still. Unit: seconds of business time."
        " Null: it runs, or was cancelled while it ran. From sla: ClockPaused, ClockResumed, ClockMet.",
        "breached": "It passed its due moment unmet; stays. From sla: ClockMet, SlaBreached.",
        "breached_at": "The due moment that it passed first. Null: not breached."
        " From sla: ClockMet, SlaBreached.",
        "pauses": f"How often it stood still. {COUNT} From sla: ClockPaused.",
        "recalculated": f"How often its target changed. {COUNT} From sla: SlaRecalculated.",
        "warned_steps": "Warnings that were given, as codes, in their order. From sla: SlaWarned.",
    },
    "operator_load": {
        "day": f"The day, in UTC. {LOADS}",
        "operator_id": f"The operator. {LOADS}",
        "offered": f"Tickets offered to them. {COUNT} From tickets: TicketOffered.",
        "accepted": "Tickets that they accepted, took, or had by answering."
        f" {COUNT} From tickets: TicketAccepted.",
        "declined": f"Offers that they declined. {COUNT} From tickets: OfferDeclined.",
        "timed_out": f"Offers that they let pass. {COUNT} From tickets: OfferEnded.",
        "replies": f"Public answers that they gave. {COUNT} {ANSWER}",
        "resolved": f"Resolutions by them, and by the system of what they had. {COUNT} {MOVED}",
    },
    "notifications": {
        "notification_id": f"Id of the notification. {TOLD}",
        "ticket_id": f"The ticket that it tells of. {TOLD}",
        "kind": f"acknowledgement, reply, offer, assignment, warning, breach or apology. {TOLD}",
        "channel": f"How it went: email. {TOLD}",
        "recipient_kind": f"contact or operator. {TOLD}",
        "recipient_id": f"Id of the contact or operator. {TOLD}",
        "state": f"sent (the provider took it) or failed. {TOLD}",
        "reason": "Why it failed, as a code. Null: it was sent. From notify: NotificationFailed.",
        "told_at": f"When that was recorded. {TOLD}",
    },
}


def upgrade() -> None:
    for view, columns in COMMENTS.items():
        for column, text in columns.items():
            quoted = text.replace("'", "''")
            op.execute(f"COMMENT ON COLUMN analyst.{view}.{column} IS '{quoted}'")
