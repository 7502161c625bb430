"""The tables of routing, beside the event log."""

from alembic import op

revision = "routing0001"
down_revision = None
branch_labels = ("routing",)
depends_on = "c0001"

TABLES = """
CREATE TABLE operators (
  operator_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  language text NOT NULL,
  employed boolean NOT NULL,
  team_ids uuid[] NOT NULL,
  skills text[] NOT NULL,
  capacity double precision NOT NULL CHECK (capacity >= 0),
  last_offered_at timestamptz,
  timeouts integer NOT NULL DEFAULT 0
);
COMMENT ON TABLE operators IS
  'truth: operators and their turn; name and address are only in the event of this version, under their key';

CREATE TABLE teams (
  team_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  name text NOT NULL,
  lead_ids uuid[] NOT NULL,
  active boolean NOT NULL
);
COMMENT ON TABLE teams IS 'truth: teams as they are now';

CREATE TABLE queues (
  queue_id uuid PRIMARY KEY,
  version bigint NOT NULL,
  name text NOT NULL,
  team_id uuid REFERENCES teams,
  place integer NOT NULL CHECK (place >= 0),
  conditions jsonb NOT NULL,
  skills text[] NOT NULL,
  accept_seconds integer NOT NULL CHECK (accept_seconds > 0),
  active boolean NOT NULL
);
COMMENT ON TABLE queues IS 'truth: queues as they are now, in the order of place and id';

CREATE TABLE presence (
  operator_id uuid PRIMARY KEY REFERENCES operators,
  state text NOT NULL CHECK (state IN ('online', 'away', 'offline')),
  held boolean NOT NULL DEFAULT false,
  expires_at timestamptz NOT NULL
);
COMMENT ON TABLE presence IS
  'truth: the last heartbeat of each operator; held: set away by routing, until they say so themselves';

CREATE TABLE listening (
  singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
  heard_until timestamptz NOT NULL
);
INSERT INTO listening (heard_until) VALUES (to_timestamp(0));
COMMENT ON TABLE listening IS
  'truth: until when heartbeats could be received; presence expires by this time, not by the clock';

CREATE TABLE sweeps (
  kind text PRIMARY KEY,
  swept_at timestamptz NOT NULL
);
COMMENT ON TABLE sweeps IS 'truth: when each sweep was last begun, by whichever replica';

CREATE TABLE tickets (
  ticket_id uuid PRIMARY KEY,
  correlation_id uuid NOT NULL,
  waiting_since timestamptz NOT NULL,
  circumstances jsonb NOT NULL,
  stage text NOT NULL,
  assignment_no integer NOT NULL,
  queue_id uuid,
  requeue boolean NOT NULL,
  asked_no integer,
  asked_id uuid,
  assignee_id uuid,
  assignee_team_id uuid,
  return_no integer,
  offer_id uuid,
  offer_operator_id uuid,
  offer_no integer,
  offer_made_at timestamptz,
  offer_until timestamptz,
  offer_team_id uuid,
  offer_seen_at timestamptz,
  offer_withdrawn boolean,
  offer_decision_id uuid,
  preferred_id uuid,
  queue_attempt integer NOT NULL,
  attempt integer NOT NULL,
  refusals integer NOT NULL,
  refused_by jsonb NOT NULL,
  waiting boolean NOT NULL
) WITH (fillfactor = 80);
CREATE INDEX tickets_assigned ON tickets (assignee_id) WHERE assignee_id IS NOT NULL
  AND stage NOT IN ('resolved', 'closed', 'merged', 'spam', 'abandoned');
CREATE INDEX tickets_offered ON tickets (offer_operator_id) WHERE offer_id IS NOT NULL;
CREATE INDEX tickets_waiting ON tickets (queue_id, waiting_since, ticket_id) WHERE waiting;
CREATE INDEX tickets_refused ON tickets (ticket_id) WHERE refusals >= 3;
COMMENT ON TABLE tickets IS
  'truth: each ticket by what tickets announced, with the open decision and round that routing alone knows';

CREATE TABLE decisions (
  ticket_id uuid NOT NULL,
  assignment_no integer NOT NULL,
  kind text NOT NULL CHECK (kind IN ('queue', 'operator')),
  attempt integer NOT NULL CHECK (attempt > 0),
  event_id uuid NOT NULL,
  PRIMARY KEY (ticket_id, assignment_no, kind, attempt)
);
COMMENT ON TABLE decisions IS
  'truth, append-only: one decision per ticket, assignment_no and attempt, refused a second time by its key';
"""


def upgrade() -> None:
    op.execute(TABLES)
