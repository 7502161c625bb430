"""Lines know their kind, forms are limited, commands are answered once, and a person can be erased."""

from alembic import op

revision = "intake0002"
down_revision = "intake0001"
branch_labels = None
depends_on = None

CHANGES = """
ALTER TABLE lines ADD COLUMN channel text NOT NULL DEFAULT 'email' CHECK (channel IN ('email', 'form'));
ALTER TABLE lines ALTER COLUMN channel DROP DEFAULT;
ALTER TABLE lines ADD COLUMN origins text[] NOT NULL DEFAULT '{}';
ALTER TABLE lines ALTER COLUMN address DROP NOT NULL;
-- Mails about a form's tickets may come from, and go to, a mail line's address.
ALTER TABLE lines DROP CONSTRAINT lines_address_key;
CREATE UNIQUE INDEX lines_mail_address ON lines (address) WHERE channel = 'email';
ALTER TABLE lines ADD CHECK (channel <> 'email' OR address IS NOT NULL);
ALTER TABLE lines ADD CHECK (channel = 'form' OR origins = '{}');
COMMENT ON TABLE lines IS
  'truth: channel accounts; a mail line is written to at its address, mails about a form go to its own';

ALTER TABLE raw_messages ADD COLUMN erased_at timestamptz;
ALTER TABLE raw_messages ALTER COLUMN raw DROP NOT NULL;
ALTER TABLE raw_messages ADD CHECK ((raw IS NULL) = (erased_at IS NOT NULL));
CREATE INDEX raw_messages_duplicates ON raw_messages (duplicate_of) WHERE duplicate_of IS NOT NULL;

ALTER TABLE contacts ADD COLUMN verified boolean NOT NULL DEFAULT true;
ALTER TABLE contacts ALTER COLUMN verified DROP DEFAULT;
CREATE INDEX identities_contact ON identities (contact_id);
CREATE INDEX objects_message ON objects (raw_id);

CREATE TABLE form_rates (
  scope bytea PRIMARY KEY,
  hits timestamptz[] NOT NULL,
  ends_at timestamptz NOT NULL
);
COMMENT ON TABLE form_rates IS
  'truth: when a form line, or an address on any of them, was last accepted; by hash, gone with the window';

CREATE TABLE object_removals (
  raw_id uuid PRIMARY KEY REFERENCES raw_messages,
  keys text[] NOT NULL,
  due_at timestamptz NOT NULL,
  final_at timestamptz NOT NULL
);
CREATE INDEX object_removals_due ON object_removals (due_at);
COMMENT ON TABLE object_removals IS
  'truth: erased messages whose objects are to be removed from the store, for the last time at final_at';

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
    op.execute(CHANGES)
