"""The tables of service levels, beside the event log."""

from alembic import op

revision = "sla0001"
down_revision = None
branch_labels = ("sla",)
depends_on = "c0001"

TABLES = """
CREATE SEQUENCE rule_changes;

CREATE TABLE policies (
  policy_id uuid NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  change_id bigint NOT NULL UNIQUE DEFAULT nextval('rule_changes'),
  content jsonb NOT NULL,
  put_at timestamptz NOT NULL,
  PRIMARY KEY (policy_id, version)
);
COMMENT ON TABLE policies IS 'truth, append-only: every version of every policy; the highest is current';

CREATE TABLE calendars (
  calendar_id uuid NOT NULL,
  version integer NOT NULL CHECK (version > 0),
  change_id bigint NOT NULL UNIQUE DEFAULT nextval('rule_changes'),
  content jsonb NOT NULL,
  put_at timestamptz NOT NULL,
  PRIMARY KEY (calendar_id, version)
);
COMMENT ON TABLE calendars IS 'truth, append-only: every version of every calendar; the highest is current';

CREATE TABLE tickets (
  ticket_id uuid PRIMARY KEY,
  circumstances jsonb NOT NULL,
  cycle integer NOT NULL,
  customer_wrote_at timestamptz,
  partition integer NOT NULL,
  correlation_id uuid NOT NULL,
  causation_id uuid,
  traceparent text
);
COMMENT ON TABLE tickets IS
  'truth: a ticket as its clocks need it, without a word of anybody; goes with the rows of clocks';

CREATE TABLE clocks (
  ticket_id uuid NOT NULL,
  name text NOT NULL CHECK (name IN ('first_response', 'resolution')),
  cycle integer NOT NULL,
  generation integer NOT NULL,
  state text NOT NULL CHECK (state IN ('running', 'paused', 'met', 'cancelled')),
  policy_id uuid NOT NULL,
  policy_version integer NOT NULL,
  calendar_id uuid NOT NULL,
  calendar_version integer NOT NULL,
  target_seconds integer NOT NULL CHECK (target_seconds > 0),
  due_at timestamptz NOT NULL,
  ended_at timestamptz,
  breached_since timestamptz,
  segments jsonb NOT NULL,
  fired jsonb NOT NULL,
  PRIMARY KEY (ticket_id, name, cycle),
  CHECK ((ended_at IS NULL) = (state IN ('running', 'paused')))
);
CREATE INDEX clocks_open ON clocks (ticket_id) WHERE state IN ('running', 'paused');
COMMENT ON TABLE clocks IS
  'truth: each clock as it was announced: the basis that was chosen then, due moments, firings';

CREATE TABLE recalculations (
  change_id bigint PRIMARY KEY,
  rule_id uuid NOT NULL,
  reason text NOT NULL CHECK (reason IN ('policy', 'calendar')),
  at timestamptz NOT NULL,
  actor jsonb,
  correlation_id uuid NOT NULL,
  causation_id uuid,
  traceparent text,
  after uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
  done boolean NOT NULL DEFAULT false
);
CREATE INDEX recalculations_open ON recalculations (change_id) WHERE NOT done;
COMMENT ON TABLE recalculations IS
  'truth: changed rules that are to apply to open clocks, and up to which ticket they were applied';
"""


def upgrade() -> None:
    op.execute(TABLES)
