"""The read models, and the analysts' views over them."""

from alembic import op

revision = "analytics0001"
down_revision = None
branch_labels = ("analytics",)
depends_on = "c0001"

TABLES = """
CREATE TABLE open_tickets (
  ticket_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  number bigint NOT NULL,
  stage text NOT NULL,
  priority text NOT NULL,
  level integer NOT NULL,
  cycle integer NOT NULL,
  line_id uuid NOT NULL,
  line_name text NOT NULL,
  channel text NOT NULL,
  contact_id uuid NOT NULL,
  company_id uuid,
  tier text,
  locale text NOT NULL,
  subject text NOT NULL,
  open boolean NOT NULL,
  opened_at timestamptz NOT NULL,
  changed_at timestamptz NOT NULL,
  first_customer_at timestamptz,
  last_customer_at timestamptz,
  first_operator_at timestamptz,
  last_operator_at timestamptz,
  last_message_kind text,
  customer_messages integer NOT NULL,
  operator_messages integer NOT NULL,
  automatic_messages integer NOT NULL,
  notes integer NOT NULL,
  reopened integer NOT NULL,
  resolved_at timestamptz,
  closed_at timestamptz,
  closing_reason text,
  waiting_until timestamptz
);
CREATE INDEX open_tickets_opened ON open_tickets (opened_at, ticket_id);
CREATE INDEX open_tickets_open ON open_tickets (opened_at, ticket_id) WHERE open;
CREATE INDEX open_tickets_number ON open_tickets (number);
CREATE INDEX open_tickets_contact ON open_tickets (contact_id);
COMMENT ON TABLE open_tickets IS 'read model: every ticket as it is now; all columns are told by tickets';

CREATE TABLE ticket_timeline (
  ticket_id uuid NOT NULL,
  sequence bigint NOT NULL,
  event_id uuid NOT NULL,
  type text NOT NULL,
  time timestamptz NOT NULL,
  actor_kind text NOT NULL,
  actor_id uuid,
  causation_id uuid,
  correlation_id uuid NOT NULL,
  details jsonb NOT NULL,
  PRIMARY KEY (ticket_id, sequence)
);
CREATE INDEX ticket_timeline_time ON ticket_timeline (time);
COMMENT ON TABLE ticket_timeline IS 'read model: what happened to each ticket, without what anybody wrote';

CREATE TABLE daily_flow (
  bucket timestamptz NOT NULL,
  line_id uuid NOT NULL,
  received bigint NOT NULL,
  opened bigint NOT NULL,
  customer_replies bigint NOT NULL,
  operator_replies bigint NOT NULL,
  automatic bigint NOT NULL,
  resolved bigint NOT NULL,
  reopened bigint NOT NULL,
  closed bigint NOT NULL,
  set_aside bigint NOT NULL,
  PRIMARY KEY (bucket, line_id)
);
COMMENT ON TABLE daily_flow IS
  'read model: counts per quarter of an hour (UTC) and line; received is told by intake, the rest by tickets';

CREATE TABLE lines (
  line_id uuid PRIMARY KEY,
  name text NOT NULL,
  channel text NOT NULL,
  language text NOT NULL,
  told_at timestamptz NOT NULL,
  told_by uuid NOT NULL
);
COMMENT ON TABLE lines IS 'read model: each line as the latest of its messages told it; by intake';

CREATE TABLE freshness (
  owner text PRIMARY KEY,
  as_of timestamptz NOT NULL
);
COMMENT ON TABLE freshness IS 'read model: time of the latest applied event of each owner';

-- Found by the loop that blanks what erased persons wrote.
CREATE INDEX known_keys_erased ON known_keys (subject) WHERE erased_at IS NOT NULL;

-- What a rebuild fills; empty at all other times.
CREATE SCHEMA rebuilt;
COMMENT ON SCHEMA rebuilt IS 'tables of a rebuild that is under way or was interrupted';
"""

VIEWS = """
CREATE SCHEMA analyst;
COMMENT ON SCHEMA analyst IS 'what analysts may read: no names, no addresses, no text of anybody';

CREATE VIEW analyst.tickets AS
SELECT ticket_id, number, stage, priority, level, cycle, line_id, line_name, channel, contact_id, company_id,
  tier, locale, open, opened_at, changed_at, first_customer_at, last_customer_at, first_operator_at,
  last_operator_at,
  extract(epoch FROM first_operator_at - first_customer_at) AS first_response_seconds,
  last_message_kind, customer_messages, operator_messages, automatic_messages, notes, reopened, resolved_at,
  closed_at, closing_reason, waiting_until, version
FROM public.open_tickets;

CREATE VIEW analyst.ticket_events AS
SELECT ticket_id, sequence, event_id, type, time, actor_kind, actor_id, causation_id, correlation_id, details
FROM public.ticket_timeline;

CREATE VIEW analyst.flow AS
SELECT f.bucket, f.line_id, l.name AS line_name, l.channel, f.received, f.opened, f.customer_replies,
  f.operator_replies, f.automatic, f.resolved, f.reopened, f.closed, f.set_aside
FROM public.daily_flow f LEFT JOIN public.lines l USING (line_id);

CREATE VIEW analyst.lines AS SELECT line_id, name, channel, language FROM public.lines;

CREATE VIEW analyst.freshness AS SELECT owner, as_of FROM public.freshness;
"""

COMMENTS = {
    "tickets": (
        "One row per ticket, as it is now",
        {
            "ticket_id": "Id of the ticket in all services",
            "number": "Number of the ticket as people say it; unique, not dense",
            "stage": "new, in_progress, waiting_customer, waiting_third_party, waiting_until, resolved,"
            " closed, merged, spam or abandoned",
            "priority": "low, medium, high or critical",
            "level": "Support level, 1 to 3",
            "cycle": "1, and one more with each reopening",
            "line_id": "The line on which the first message came",
            "line_name": "Name of that line when the ticket was opened",
            "channel": "Channel of the first message",
            "contact_id": "The person who wrote first; an id, never a name or an address",
            "company_id": "Company of that person when the ticket was opened; null when unknown",
            "tier": "Tier of the customer when the ticket was opened",
            "locale": "Language of the customer: ru or en",
            "open": "False in resolved, closed, merged, spam and abandoned",
            "opened_at": "When the ticket was recorded",
            "changed_at": "When the latest event of the ticket was recorded",
            "first_customer_at": "When the first message that a person wrote came to our door",
            "last_customer_at": "When the latest message that a person wrote came to our door",
            "first_operator_at": "When the first public answer of an operator was recorded",
            "last_operator_at": "When the latest public answer of an operator was recorded",
            "first_response_seconds": "first_operator_at less first_customer_at, clock time; null while"
            " either is missing",
            "last_message_kind": "Who had the last word: customer, operator or automatic; notes do not count",
            "customer_messages": "Messages that a person on the customer''s side wrote",
            "operator_messages": "Public answers by operators",
            "automatic_messages": "Messages by machines, such as out-of-office replies",
            "notes": "Internal notes",
            "reopened": "How often the ticket was reopened",
            "resolved_at": "When it was last resolved; null while it is open again",
            "closed_at": "When it was closed; null unless it is closed now",
            "closing_reason": "Code given at the resolution; null while it is open",
            "waiting_until": "Until when it waits, in stage waiting_until",
            "version": "Sequence of the latest event of the ticket in this row",
        },
    ),
    "ticket_events": (
        "One row per event of a ticket",
        {
            "ticket_id": "Id of the ticket",
            "sequence": "Place of the event in the ticket''s history, dense from 1",
            "event_id": "Id of the event (ce_id)",
            "type": "What happened, such as TicketOpened or StageChanged",
            "time": "When it was recorded",
            "actor_kind": "operator, contact or system",
            "actor_id": "Id of the operator or contact; null for the system",
            "causation_id": "Id of the event or command that caused it",
            "correlation_id": "The same in everything that one outside cause set off",
            "details": "Codes, ids and counts of the event as JSON; no text that anybody wrote",
        },
    ),
    "flow": (
        "Counts per quarter of an hour and line; add them up for days in your zone",
        {
            "bucket": "Start of the quarter of an hour, UTC",
            "line_id": "The line",
            "line_name": "Present name of the line; null until a message of it was told by intake",
            "channel": "Channel of the line; null until a message of it was told by intake",
            "received": "Messages taken at the door, by the moment of their coming",
            "opened": "Tickets opened",
            "customer_replies": "Further messages that persons wrote on tickets",
            "operator_replies": "Public answers by operators",
            "automatic": "Further messages by machines on tickets",
            "resolved": "Resolutions, repeated ones included",
            "reopened": "Reopenings",
            "closed": "Closures",
            "set_aside": "Messages that made no ticket: bounces, lists, own loops",
        },
    ),
    "lines": (
        "One row per line (a mailbox, for now)",
        {
            "line_id": "Id of the line",
            "name": "Its present name",
            "channel": "Its channel",
            "language": "Its language",
        },
    ),
    "freshness": (
        "How far these views are: one row per announcing service",
        {
            "owner": "The announcing service",
            "as_of": "Time of its latest event that these views contain",
        },
    ),
}


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(VIEWS)
    for view, (about, columns) in COMMENTS.items():
        op.execute(f"COMMENT ON VIEW analyst.{view} IS '{about}'")
        for column, meaning in columns.items():
            op.execute(f"COMMENT ON COLUMN analyst.{view}.{column} IS '{meaning}'")
