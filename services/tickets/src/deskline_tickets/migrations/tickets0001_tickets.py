"""The tables of tickets, beside the event log."""

from alembic import op

revision = "tickets0001"
down_revision = None
branch_labels = ("tickets",)
depends_on = "c0001"

TABLES = """
CREATE SEQUENCE ticket_numbers;

CREATE TABLE sources (
  source_key text PRIMARY KEY,
  stream uuid NOT NULL
);
COMMENT ON TABLE sources IS
  'truth, append-only: which ticket, or which set-aside stream, each message went to';

CREATE TABLE message_ids (
  line_id uuid NOT NULL,
  message_id_hash bytea NOT NULL,
  ticket_id uuid NOT NULL,
  PRIMARY KEY (line_id, message_id_hash)
);
COMMENT ON TABLE message_ids IS
  'truth, append-only: which ticket a Message-ID leads to on its line; the Message-ID itself is not kept';

CREATE TABLE tickets_index (
  ticket_id uuid PRIMARY KEY,
  number bigint NOT NULL UNIQUE,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  opened_at timestamptz NOT NULL
);
CREATE INDEX tickets_index_contact ON tickets_index (contact_id, line_id);
COMMENT ON TABLE tickets_index IS
  'truth, append-only: number and contact of each ticket; a number in a subject is looked up here';

CREATE TABLE set_aside (
  stream uuid PRIMARY KEY,
  line_id uuid NOT NULL,
  contact_id uuid NOT NULL,
  source_key text NOT NULL,
  received_at timestamptz NOT NULL,
  reason text NOT NULL,
  set_aside_at timestamptz NOT NULL
);
CREATE INDEX set_aside_newest ON set_aside (line_id, received_at DESC, stream DESC);
COMMENT ON TABLE set_aside IS
  'read model: messages that made no ticket, by line; deskline-tickets rebuild set-aside';

CREATE TABLE snapshots (
  ticket_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  time timestamptz NOT NULL,
  format integer NOT NULL,
  state json NOT NULL
);
COMMENT ON TABLE snapshots IS
  'read model: a ticket''s state at a version (ids and hashes, never texts); what is missing is replayed';

CREATE TABLE idempotency_keys (
  actor_id uuid NOT NULL,
  key text NOT NULL,
  action text NOT NULL,
  body_hash bytea NOT NULL,
  status integer NOT NULL,
  answer json NOT NULL,
  created_at timestamptz NOT NULL,
  PRIMARY KEY (actor_id, key)
);
CREATE INDEX idempotency_keys_age ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS
  'truth: what was answered to each command of the last day, for whoever asks again';
"""


def upgrade() -> None:
    op.execute(TABLES)
