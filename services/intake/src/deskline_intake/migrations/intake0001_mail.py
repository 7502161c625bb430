"""Lines, raw mail, the people who write, and the objects that came with their mail."""

from alembic import op

revision = "intake0001"
down_revision = None
branch_labels = ("intake",)
depends_on = "c0001"

TABLES = """
CREATE TABLE lines (
  line_id uuid PRIMARY KEY,
  name text NOT NULL CHECK (length(name) BETWEEN 1 AND 100),
  address text NOT NULL UNIQUE,
  language text NOT NULL CHECK (language IN ('ru', 'en')),
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  disabled_at timestamptz
);
COMMENT ON TABLE lines IS 'truth: channel accounts, for mail one address each, normalised';

CREATE TABLE raw_messages (
  raw_id uuid PRIMARY KEY,
  arrival bigint GENERATED ALWAYS AS IDENTITY,
  line_id uuid NOT NULL REFERENCES lines,
  lane smallint NOT NULL CHECK (lane BETWEEN 0 AND 63),
  heavy boolean NOT NULL,
  envelope_from text,
  reply_token text,
  received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  size integer NOT NULL,
  raw bytea NOT NULL,
  traceparent text,
  state text NOT NULL DEFAULT 'received' CHECK (state IN ('received', 'parsed', 'failed')),
  parsed_at timestamptz,
  source_key text,
  duplicate_of uuid REFERENCES raw_messages,
  CHECK ((state = 'received') = (parsed_at IS NULL)),
  CHECK ((state = 'received') = (source_key IS NULL))
);
-- Out of line and uncompressed: a part of it can be read without the whole.
ALTER TABLE raw_messages ALTER COLUMN raw SET STORAGE EXTERNAL;
CREATE INDEX raw_messages_received ON raw_messages (lane, arrival) WHERE state = 'received';
COMMENT ON TABLE raw_messages IS
  'truth: every accepted message as it came; failed: announced with a notice, as reading it failed';

CREATE TABLE lanes (
  lane smallint PRIMARY KEY CHECK (lane BETWEEN 0 AND 63),
  holder uuid,
  held_until timestamptz NOT NULL DEFAULT to_timestamp(0),
  tries integer NOT NULL DEFAULT 0
);
INSERT INTO lanes (lane) SELECT generate_series(0, 63);
COMMENT ON TABLE lanes IS 'truth: which process reads the messages of which senders at the moment';

CREATE TABLE sources (
  line_id uuid NOT NULL REFERENCES lines,
  source_key text NOT NULL,
  base_key text NOT NULL,
  message_id_hash bytea,
  raw_id uuid NOT NULL REFERENCES raw_messages,
  PRIMARY KEY (line_id, source_key)
);
CREATE INDEX sources_base ON sources (line_id, base_key);
CREATE INDEX sources_message_id ON sources (line_id, message_id_hash) WHERE message_id_hash IS NOT NULL;
COMMENT ON TABLE sources IS 'truth: what was announced, so that a second delivery announces nothing';

CREATE TABLE companies (
  company_id uuid PRIMARY KEY,
  tier text,
  locale text NOT NULL CHECK (locale IN ('ru', 'en'))
);
COMMENT ON TABLE companies IS 'truth: companies of customers';

CREATE TABLE company_domains (
  domain text PRIMARY KEY,
  company_id uuid NOT NULL REFERENCES companies
);
COMMENT ON TABLE company_domains IS 'truth: mail domains by which companies are told';

CREATE TABLE contacts (
  contact_id uuid PRIMARY KEY,
  company_id uuid REFERENCES companies,
  tier text,
  locale text NOT NULL CHECK (locale IN ('ru', 'en'))
);
COMMENT ON TABLE contacts IS 'truth: people who wrote';

CREATE TABLE identities (
  identity_id uuid PRIMARY KEY,
  line_id uuid NOT NULL REFERENCES lines,
  address text,
  contact_id uuid NOT NULL REFERENCES contacts,
  UNIQUE (line_id, address)
);
CREATE INDEX identities_address ON identities (address);
COMMENT ON TABLE identities IS
  'truth: an address on a line; its id is the stream of its messages, whoever the contact becomes';

CREATE TABLE objects (
  key text PRIMARY KEY,
  sha256 text NOT NULL,
  size bigint NOT NULL,
  raw_id uuid NOT NULL REFERENCES raw_messages
);
COMMENT ON TABLE objects IS 'truth: what the object store holds for announced messages';
"""


def upgrade() -> None:
    op.execute(TABLES)
