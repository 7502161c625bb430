"""The tables that every service stands on."""

from alembic import op

revision = "c0001"
down_revision = None
branch_labels = ("chassis",)
depends_on = None

TABLES = """
CREATE TABLE log_head (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  last_time timestamptz NOT NULL DEFAULT to_timestamp(0),
  generation integer NOT NULL DEFAULT 1
);
INSERT INTO log_head DEFAULT VALUES;
COMMENT ON TABLE log_head IS 'truth: time of the last event and the generation of the log';

CREATE TABLE events (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  stream uuid NOT NULL,
  sequence bigint NOT NULL CHECK (sequence > 0),
  type text NOT NULL,
  time timestamptz NOT NULL,
  generation integer NOT NULL,
  correlation_id uuid NOT NULL,
  causation_id uuid,
  traceparent text,
  data json NOT NULL,
  UNIQUE (stream, sequence)
);
COMMENT ON TABLE events IS 'truth, append-only: every fact of this service, in the order of commits';

CREATE TABLE streams (
  subject uuid PRIMARY KEY,
  last bigint NOT NULL
);
COMMENT ON TABLE streams IS 'truth: last sequence given in each stream of this owner';

CREATE TABLE person_keys (
  subject uuid NOT NULL PRIMARY KEY,
  version integer,
  wrapped bytea,
  erased_at timestamptz,
  change_id bigint NOT NULL,
  CHECK ((wrapped IS NULL) = (erased_at IS NOT NULL))
);
CREATE UNIQUE INDEX person_keys_change ON person_keys (change_id);
CREATE SEQUENCE person_key_changes;
COMMENT ON TABLE person_keys IS 'truth: wrapped keys of the persons that this service owns, or their erasure';

CREATE TABLE known_keys (
  subject uuid NOT NULL PRIMARY KEY,
  version integer,
  wrapped bytea,
  erased_at timestamptz
);
COMMENT ON TABLE known_keys IS 'read model: wrapped keys announced by other owners, or their erasure';

CREATE TABLE relay (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  term bigint NOT NULL DEFAULT 0,
  epoch bigint NOT NULL DEFAULT 1,
  position bigint NOT NULL DEFAULT 0,
  keys_position bigint NOT NULL DEFAULT 0,
  acknowledged jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO relay DEFAULT VALUES;
COMMENT ON TABLE relay IS 'truth: how far the log was announced, by whom, and in which epoch';

CREATE TABLE positions (
  reader text NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  epoch bigint NOT NULL DEFAULT 0,
  next_offset bigint NOT NULL DEFAULT 0,
  generation integer NOT NULL DEFAULT 1,
  PRIMARY KEY (reader, topic, partition)
);
COMMENT ON TABLE positions IS 'truth: how far each reader has applied each partition';

CREATE TABLE reader_streams (
  reader text NOT NULL,
  owner text NOT NULL,
  subject uuid NOT NULL,
  sequence bigint NOT NULL DEFAULT 0,
  parked boolean NOT NULL DEFAULT false,
  waiting boolean NOT NULL DEFAULT false,
  PRIMARY KEY (reader, owner, subject)
);
CREATE INDEX reader_streams_parked ON reader_streams (reader) WHERE parked;
CREATE INDEX reader_streams_waiting ON reader_streams (reader) WHERE waiting;
COMMENT ON TABLE reader_streams IS 'truth: last sequence that each reader applied of each stream';

CREATE TABLE waiting_records (
  reader text NOT NULL,
  owner text NOT NULL,
  subject uuid NOT NULL,
  sequence bigint NOT NULL,
  topic text NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  headers bytea NOT NULL,
  value bytea,
  missing_key uuid,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (reader, owner, subject, sequence)
);
CREATE INDEX waiting_records_key ON waiting_records (missing_key) WHERE missing_key IS NOT NULL;
COMMENT ON TABLE waiting_records IS 'truth: records that came before something that they need';

CREATE TABLE parked_records (
  id uuid PRIMARY KEY,
  reader text NOT NULL,
  owner text,
  subject uuid,
  sequence bigint,
  topic text NOT NULL,
  partition integer NOT NULL,
  record_offset bigint NOT NULL,
  headers bytea NOT NULL,
  value bytea,
  cause text NOT NULL,
  since timestamptz NOT NULL DEFAULT clock_timestamp(),
  UNIQUE (reader, owner, subject, sequence),
  CHECK ((owner IS NULL) = (subject IS NULL) AND (subject IS NULL) = (sequence IS NULL))
);
COMMENT ON TABLE parked_records IS 'truth: records that could not be applied, with their cause';
"""


def upgrade() -> None:
    op.execute(TABLES)
