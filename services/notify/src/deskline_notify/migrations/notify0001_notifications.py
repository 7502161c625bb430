"""The tables of notify, beside the event log."""

from alembic import op

revision = "notify0001"
down_revision = None
branch_labels = ("notify",)
depends_on = "c0001"

TABLES = """
CREATE TABLE subscriptions (
  reader text PRIMARY KEY,
  active_since timestamptz NOT NULL
);
COMMENT ON TABLE subscriptions IS
  'truth, append-only: since when facts are told; older ones only build state, however often they are read';

CREATE TABLE tickets (
  ticket_id uuid PRIMARY KEY,
  number bigint NOT NULL,
  line_id uuid NOT NULL,
  line_name text NOT NULL,
  line_address text,
  contact_id uuid NOT NULL,
  locale text NOT NULL,
  verified boolean NOT NULL,
  reply_token text NOT NULL,
  priority text NOT NULL,
  level integer NOT NULL,
  last_kind text NOT NULL,
  last_suppresses boolean NOT NULL,
  team_id uuid,
  assignee_id uuid,
  teams jsonb NOT NULL,
  assignees jsonb NOT NULL,
  subject jsonb,
  message_ids jsonb NOT NULL DEFAULT '[]'
);
COMMENT ON TABLE tickets IS
  'truth: what a mail says of a ticket, from tickets'' facts (notifications point here, so it is not dropped
  alone); subject and customers'' Message-IDs are sealed under their persons'' keys';

CREATE TABLE contacts (
  contact_id uuid PRIMARY KEY,
  address jsonb
);
COMMENT ON TABLE contacts IS
  'truth: where customers are reached, from intake''s facts, sealed; null: erased, or without an address';

CREATE TABLE operators (
  operator_id uuid PRIMARY KEY,
  name jsonb,
  address jsonb,
  language text NOT NULL,
  employed boolean NOT NULL,
  team_ids uuid[] NOT NULL
);
COMMENT ON TABLE operators IS
  'truth: where operators are reached and what they speak, from routing''s facts; name and address sealed';

CREATE TABLE teams (
  team_id uuid PRIMARY KEY,
  lead_ids uuid[] NOT NULL
);
COMMENT ON TABLE teams IS 'truth: who leads each team, from routing''s facts';

CREATE TABLE notifications (
  place bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  notification_id uuid NOT NULL UNIQUE,
  event_id uuid NOT NULL,
  recipient_kind text NOT NULL CHECK (recipient_kind IN ('contact', 'operator')),
  recipient_id uuid NOT NULL,
  channel text NOT NULL CHECK (channel = 'email'),
  ticket_id uuid NOT NULL,
  kind text NOT NULL,
  state text NOT NULL CHECK (
    state IN ('waiting', 'pending', 'sent', 'failed', 'stale', 'capped', 'suppressed')),
  reason text,
  message_id text NOT NULL,
  fact_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL,
  correlation_id uuid NOT NULL,
  traceparent text,
  reply_id uuid,
  details jsonb NOT NULL,
  reply_text jsonb,
  expires_at timestamptz,
  attempts integer NOT NULL DEFAULT 0,
  due_at timestamptz NOT NULL,
  lease uuid,
  finished_at timestamptz,
  announced boolean NOT NULL,
  UNIQUE (event_id, recipient_kind, recipient_id, channel)
);
CREATE INDEX notifications_due ON notifications (due_at, place) WHERE state = 'pending';
CREATE INDEX notifications_open ON notifications (ticket_id, recipient_id, place)
  WHERE state IN ('waiting', 'pending');
CREATE INDEX notifications_age ON notifications (created_at) WHERE state IN ('waiting', 'pending');
CREATE INDEX notifications_of_ticket ON notifications (ticket_id, place);
CREATE INDEX notifications_unannounced ON notifications (place)
  WHERE NOT announced AND state IN ('stale', 'failed');
COMMENT ON TABLE notifications IS
  'truth: whom each event is told to, once by channel, and what became of it; a reply''s text is sealed, and
  kept until it is sent';

CREATE TABLE questions (
  event_id uuid NOT NULL,
  role text NOT NULL,
  ticket_id uuid NOT NULL,
  kind text NOT NULL,
  fact_at timestamptz NOT NULL,
  asked_at timestamptz NOT NULL,
  details jsonb NOT NULL,
  correlation_id uuid NOT NULL,
  traceparent text,
  PRIMARY KEY (event_id, role)
);
CREATE INDEX questions_of_ticket ON questions (ticket_id);
CREATE INDEX questions_oldest ON questions (asked_at);
COMMENT ON TABLE questions IS
  'truth: who is meant by a step''s recipients, until the ticket''s state answers it';

CREATE TABLE unverified_answers (
  tag bytea PRIMARY KEY,
  notification_id uuid NOT NULL,
  answered_at timestamptz NOT NULL
);
CREATE INDEX unverified_answers_age ON unverified_answers (answered_at);
COMMENT ON TABLE unverified_answers IS
  'truth: what was typed into forms as an address, by a keyed hash, for the hour in which it gets no second
  automatic mail';

CREATE TABLE templates (
  kind text NOT NULL,
  language text NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  subject text NOT NULL,
  body text NOT NULL,
  html text,
  changed_at timestamptz NOT NULL,
  changed_by uuid NOT NULL,
  PRIMARY KEY (kind, language)
);
COMMENT ON TABLE templates IS 'truth: texts that an admin saved in place of the defaults';
"""


def upgrade() -> None:
    op.execute(TABLES)
