"""The whole journey of a ticket: routed, watched, told; directories, search and reports."""

from alembic import op

revision = "analytics0002"
down_revision = "analytics0001"
branch_labels = None
depends_on = None

CARD = (
    "version, number, stage, priority, level, cycle, line_id, line_name, channel, contact_id, locale,"
    " subject, open, opened_at, changed_at, customer_messages, operator_messages, automatic_messages,"
    " notes, reopened"
)
NEW_CARD = "assignment_no, escalations"

# A row is made by whichever owner tells first: what tickets tells is there as a whole or not at all.
TICKETS = f"""
ALTER TABLE open_tickets {", ".join(f"ALTER {name} DROP NOT NULL" for name in CARD.split(", "))},
  ADD assignment_no integer,
  ADD queue_id uuid,
  ADD team_id uuid,
  ADD routed_at timestamptz,
  ADD assignee_id uuid,
  ADD assigned_at timestamptz,
  ADD offer_id uuid,
  ADD offer_operator_id uuid,
  ADD offer_until timestamptz,
  ADD escalations integer,
  ADD routing_decision text,
  ADD routing_decided_at timestamptz,
  ADD offers_made integer NOT NULL DEFAULT 0,
  ADD first_response_due_at timestamptz,
  ADD first_response_at timestamptz,
  ADD first_response_breached boolean,
  ADD resolution_cycle integer,
  ADD resolution_due_at timestamptz,
  ADD resolution_met_at timestamptz,
  ADD resolution_breached boolean,
  ADD acknowledged_at timestamptz,
  ADD last_notified_at timestamptz,
  ADD notifications_sent integer NOT NULL DEFAULT 0,
  ADD notifications_failed integer NOT NULL DEFAULT 0;
UPDATE open_tickets SET assignment_no = 0, escalations = 0;
ALTER TABLE open_tickets SET (fillfactor = 80),
  ADD CONSTRAINT open_tickets_card CHECK (num_nulls({CARD}, {NEW_CARD}) IN (0, 22));
CREATE INDEX open_tickets_queue ON open_tickets (queue_id, opened_at, ticket_id) WHERE queue_id IS NOT NULL;
CREATE INDEX open_tickets_team ON open_tickets (team_id, opened_at, ticket_id) WHERE team_id IS NOT NULL;
CREATE INDEX open_tickets_assignee ON open_tickets (assignee_id, opened_at, ticket_id)
  WHERE assignee_id IS NOT NULL;
CREATE INDEX open_tickets_offered ON open_tickets (offer_operator_id) WHERE offer_operator_id IS NOT NULL;
CREATE INDEX open_tickets_readable ON open_tickets (contact_id) WHERE subject <> 'erased';
COMMENT ON TABLE open_tickets IS 'read model: every ticket as it is now, a group of columns per owner;'
  ' routing tells routing_* and offers_made, sla first_response_* and resolution_*, notify acknowledged_at,'
  ' last_notified_at and notifications_*, tickets all others; without a number tickets has told nothing yet';
"""

TABLES = """
CREATE TABLE ticket_documents (
  ticket_id uuid NOT NULL,
  sequence bigint NOT NULL,
  kind text NOT NULL,
  person_id uuid NOT NULL,
  written_at timestamptz NOT NULL,
  erased boolean NOT NULL,
  words tsvector NOT NULL,
  PRIMARY KEY (ticket_id, sequence)
);
CREATE INDEX ticket_documents_words ON ticket_documents USING gin (words);
CREATE INDEX ticket_documents_person ON ticket_documents (person_id) WHERE NOT erased;
COMMENT ON TABLE ticket_documents IS
  'read model: the lexemes (Russian and English) of each message, under the key of person_id; by tickets';

CREATE TABLE routing_decisions (
  decision_id uuid PRIMARY KEY,
  ticket_id uuid NOT NULL,
  kind text,
  decided_at timestamptz,
  event_id uuid,
  assignment_no integer,
  attempt integer,
  queue_id uuid,
  operator_id uuid,
  offer_id uuid,
  reason text,
  candidates jsonb,
  basis jsonb,
  outcome text,
  outcome_reason text,
  outcome_at timestamptz
);
CREATE INDEX routing_decisions_ticket ON routing_decisions (ticket_id, decided_at, decision_id);
COMMENT ON TABLE routing_decisions IS 'read model: every decision of routing; outcome* are told by tickets,'
  ' the rest by routing; without a kind routing has told nothing of it yet';

CREATE TABLE sla_outcomes (
  ticket_id uuid NOT NULL,
  clock text NOT NULL,
  cycle integer NOT NULL,
  generation integer NOT NULL,
  state text NOT NULL,
  policy_id uuid NOT NULL,
  policy_version integer NOT NULL,
  calendar_id uuid NOT NULL,
  calendar_version integer NOT NULL,
  target_seconds bigint NOT NULL,
  started_at timestamptz NOT NULL,
  due_at timestamptz NOT NULL,
  met_at timestamptz,
  paused_at timestamptz,
  cancelled_at timestamptz,
  cancel_reason text,
  elapsed_seconds bigint,
  breached boolean NOT NULL,
  breached_at timestamptz,
  pauses integer NOT NULL,
  recalculated integer NOT NULL,
  warned_steps text[] NOT NULL,
  PRIMARY KEY (ticket_id, clock, cycle)
);
CREATE INDEX sla_outcomes_due ON sla_outcomes (clock, due_at);
COMMENT ON TABLE sla_outcomes IS 'read model: every clock of every ticket and cycle; all told by sla';

CREATE TABLE operator_load (
  day date NOT NULL,
  operator_id uuid NOT NULL,
  offered bigint NOT NULL,
  accepted bigint NOT NULL,
  declined bigint NOT NULL,
  timed_out bigint NOT NULL,
  replies bigint NOT NULL,
  resolved bigint NOT NULL,
  PRIMARY KEY (day, operator_id)
);
COMMENT ON TABLE operator_load IS 'read model: counts per operator and day (UTC); all told by tickets';

CREATE TABLE notifications (
  notification_id uuid PRIMARY KEY,
  ticket_id uuid NOT NULL,
  event_id uuid NOT NULL,
  kind text NOT NULL,
  channel text NOT NULL,
  recipient_kind text NOT NULL,
  recipient_id uuid NOT NULL,
  reply_id uuid,
  state text NOT NULL,
  reason text,
  told_at timestamptz NOT NULL
);
CREATE INDEX notifications_ticket ON notifications (ticket_id, told_at);
COMMENT ON TABLE notifications IS 'read model: what became of each notification; all told by notify';

CREATE TABLE operators (
  operator_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  name text NOT NULL,
  language text NOT NULL,
  employed boolean NOT NULL,
  team_ids uuid[] NOT NULL,
  skills text[] NOT NULL,
  capacity double precision NOT NULL
);
COMMENT ON TABLE operators IS 'read model: the directory of operators; all told by routing';

CREATE TABLE teams (
  team_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  name text NOT NULL,
  lead_ids uuid[] NOT NULL,
  active boolean NOT NULL
);
CREATE INDEX teams_leads ON teams USING gin (lead_ids);
COMMENT ON TABLE teams IS 'read model: the directory of teams; all told by routing';

CREATE TABLE queues (
  queue_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  changed_at timestamptz NOT NULL,
  name text NOT NULL,
  team_id uuid,
  place integer NOT NULL,
  conditions jsonb NOT NULL,
  fallback boolean NOT NULL,
  strategy text NOT NULL,
  skills text[] NOT NULL,
  accept_seconds integer NOT NULL,
  active boolean NOT NULL
);
COMMENT ON TABLE queues IS 'read model: the directory of queues; all told by routing';
"""

# (view, what a row is, the rest of its SELECT, column → (expression, meaning))
VIEWS: tuple[tuple[str, str, str, dict[str, tuple[str, str]]], ...] = (
    (
        "operators",
        "One row per operator, as they are now; nobody''s name",
        "public.operators o",
        {
            "operator_id": ("o.operator_id", "Id of the operator in all services"),
            "language": ("o.language", "Language in which they are told: ru or en"),
            "employed": ("o.employed", "False once they left"),
            "team_ids": ("o.team_ids", "Their teams"),
            "skills": ("o.skills", "Their skills, as codes"),
            "capacity": ("o.capacity", "How much they may have at once, by weight"),
            "open_tickets": (
                "(SELECT count(*) FROM public.open_tickets t WHERE t.assignee_id = o.operator_id AND t.open)",
                "Open tickets that they have now",
            ),
            "open_offers": (
                "(SELECT count(*) FROM public.open_tickets t WHERE t.offer_operator_id = o.operator_id)",
                "Tickets that are offered to them now",
            ),
        },
    ),
    (
        "teams",
        "One row per team, as it is now",
        "public.teams t",
        {
            "team_id": ("t.team_id", "Id of the team"),
            "name": ("t.name", "Its name"),
            "lead_ids": ("t.lead_ids", "Operators who lead it"),
            "active": ("t.active", "False once it was given up"),
        },
    ),
    (
        "queues",
        "One row per queue, as it is now",
        "public.queues q",
        {
            "queue_id": ("q.queue_id", "Id of the queue"),
            "name": ("q.name", "Its name"),
            "team_id": ("q.team_id", "The team that works on it; null: every operator"),
            "place": ("q.place", "Its place in the order in which queues are tried"),
            "conditions": ("q.conditions", "What must hold of a ticket, as JSON"),
            "fallback": ("q.fallback", "Takes what matches nowhere"),
            "strategy": ("q.strategy", "How an operator is chosen"),
            "skills": ("q.skills", "What an operator must have, as codes"),
            "accept_seconds": ("q.accept_seconds", "How long an offer stands"),
            "active": ("q.active", "False once it was given up"),
        },
    ),
    (
        "routing_decisions",
        "One row per decision of routing, with what became of it",
        "public.routing_decisions d WHERE d.kind IS NOT NULL",
        {
            "decision_id": ("d.decision_id", "Id of the offer, or of the event of another decision"),
            "ticket_id": ("d.ticket_id", "The ticket"),
            "kind": ("d.kind", "queued, offered, nobody (could be offered it), withdrawn or unassigned"),
            "decided_at": ("d.decided_at", "When it was decided"),
            "assignment_no": ("d.assignment_no", "Which assignment of the ticket it was about"),
            "attempt": ("d.attempt", "Offers under that assignment, from 1; null for other kinds"),
            "queue_id": ("d.queue_id", "The queue that was chosen or considered"),
            "operator_id": ("d.operator_id", "The operator who was chosen or is withdrawn"),
            "offer_id": ("d.offer_id", "The offer that was made or is withdrawn"),
            "reason": ("d.reason", "Why it is withdrawn, as a code"),
            "candidates": ("d.candidates", "Operators (or queues) looked at, and why not, as JSON"),
            "basis": ("d.basis", "What else it rests on, as JSON"),
            "outcome": ("d.outcome", "routed, offered, accepted, declined, ended or refused; null: none yet"),
            "outcome_reason": ("d.outcome_reason", "Why it was declined, ended or refused, as a code"),
            "outcome_at": ("d.outcome_at", "When that was recorded"),
        },
    ),
    (
        "sla_outcomes",
        "One row per clock, ticket and cycle; by due date, leave out stages merged and spam",
        "public.sla_outcomes s LEFT JOIN public.open_tickets t USING (ticket_id)",
        {
            "ticket_id": ("s.ticket_id", "The ticket"),
            "clock": ("s.clock", "first_response or resolution"),
            "cycle": ("s.cycle", "Cycle of the ticket, from 1"),
            "state": ("s.state", "running, paused, met or cancelled"),
            "stage": ("t.stage", "Present stage of the ticket; null until tickets told of it"),
            "policy_id": ("s.policy_id", "Policy by which it is measured"),
            "policy_version": ("s.policy_version", "Version of that policy"),
            "calendar_id": ("s.calendar_id", "Calendar by which it is measured"),
            "calendar_version": ("s.calendar_version", "Version of that calendar"),
            "target_seconds": ("s.target_seconds", "Business seconds that it has"),
            "started_at": ("s.started_at", "When it started"),
            "due_at": ("s.due_at", "When it is or was due; the last one known while it stands still"),
            "met_at": ("s.met_at", "When what it waits for happened"),
            "cancelled_at": ("s.cancelled_at", "When there was nothing more to wait for"),
            "cancel_reason": ("s.cancel_reason", "Why, as a code"),
            "elapsed_seconds": ("s.elapsed_seconds", "Business seconds until it was met or stood still"),
            "breached": ("s.breached", "It passed its due moment unmet; stays"),
            "breached_at": ("s.breached_at", "The due moment that it passed first"),
            "pauses": ("s.pauses", "How often it stood still"),
            "recalculated": ("s.recalculated", "How often its target changed"),
            "warned_steps": ("s.warned_steps", "Warnings that were given, as codes, in their order"),
        },
    ),
    (
        "operator_load",
        "Counts per operator and day (UTC)",
        "public.operator_load l",
        {
            "day": ("l.day", "The day, UTC"),
            "operator_id": ("l.operator_id", "The operator"),
            "offered": ("l.offered", "Tickets offered to them"),
            "accepted": ("l.accepted", "Tickets that they accepted, or took by answering"),
            "declined": ("l.declined", "Offers that they declined"),
            "timed_out": ("l.timed_out", "Offers that they let pass"),
            "replies": ("l.replies", "Public answers that they gave"),
            "resolved": ("l.resolved", "Resolutions credited to them"),
        },
    ),
    (
        "notifications",
        "One row per notification that was sent or has failed; no address, no text",
        "public.notifications n",
        {
            "notification_id": ("n.notification_id", "Id of the notification"),
            "ticket_id": ("n.ticket_id", "The ticket that it tells of"),
            "kind": ("n.kind", "acknowledgement, reply, offer, assignment, warning, breach or apology"),
            "channel": ("n.channel", "How it went"),
            "recipient_kind": ("n.recipient_kind", "contact or operator"),
            "recipient_id": ("n.recipient_id", "Id of the contact or operator"),
            "state": ("n.state", "sent or failed"),
            "reason": ("n.reason", "Why it failed, as a code"),
            "told_at": ("n.told_at", "When that was recorded"),
        },
    ),
)

# As the view has them: it can only be added to.
OLD_TICKET_COLUMNS = """ticket_id, number, stage, priority, level, cycle, line_id, line_name, channel,
  contact_id, company_id, tier, locale, open, opened_at, changed_at, first_customer_at, last_customer_at,
  first_operator_at, last_operator_at,
  extract(epoch FROM first_operator_at - first_customer_at) AS first_response_seconds,
  last_message_kind, customer_messages, operator_messages, automatic_messages, notes, reopened, resolved_at,
  closed_at, closing_reason, waiting_until, version"""

NEW_TICKET_COLUMNS = {
    "assignment_no": "Raised by whatever makes earlier decisions of routing void",
    "queue_id": "Queue in which it stands",
    "team_id": "Team of that queue when it came there",
    "routed_at": "When it came there",
    "assignee_id": "Operator who has it",
    "assigned_at": "Since when they have it",
    "offer_id": "The open offer; null: none",
    "offer_operator_id": "To whom it is offered",
    "offer_until": "Until when the offer stands",
    "escalations": "How often it went to another support level",
    "routing_decision": "Latest decision of routing: queued, offered, nobody, withdrawn or unassigned",
    "routing_decided_at": "When that was decided",
    "offers_made": "Offers that routing made, refused ones included",
    "first_response_due_at": "When the first response is or was due; null without such a clock",
    "first_response_at": "When the first-response clock was met",
    "first_response_breached": "The first response was due before it was given; null without such a clock",
    "resolution_cycle": "Cycle of the following three",
    "resolution_due_at": "When the resolution is or was due; null while its clock stands still",
    "resolution_met_at": "When the resolution clock was met",
    "resolution_breached": "The resolution was due before it came",
    "acknowledged_at": "When the first acknowledgement was sent to the customer",
    "last_notified_at": "When the latest notification about it was sent",
    "notifications_sent": "Notifications about it that were sent",
    "notifications_failed": "Notifications about it that have failed",
}


def upgrade() -> None:
    op.execute(TICKETS)
    op.execute(TABLES)
    op.execute(
        f"CREATE OR REPLACE VIEW analyst.tickets AS SELECT {OLD_TICKET_COLUMNS},"
        f" {', '.join(NEW_TICKET_COLUMNS)} FROM public.open_tickets WHERE number IS NOT NULL"
    )
    for column, meaning in NEW_TICKET_COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN analyst.tickets.{column} IS '{meaning}'")
    for view, about, source, columns in VIEWS:
        select = ", ".join(f"{expression} AS {column}" for column, (expression, _) in columns.items())
        op.execute(f"CREATE VIEW analyst.{view} AS SELECT {select} FROM {source}")
        op.execute(f"COMMENT ON VIEW analyst.{view} IS '{about}'")
        for column, (_, meaning) in columns.items():
            op.execute(f"COMMENT ON COLUMN analyst.{view}.{column} IS '{meaning}'")
