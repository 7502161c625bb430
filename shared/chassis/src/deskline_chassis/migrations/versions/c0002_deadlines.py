"""Deadlines: what is due when, and what was fired for ever."""

from alembic import op

revision = "c0002"
down_revision = "c0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE deadlines (
  kind text NOT NULL,
  subject uuid NOT NULL,
  key text NOT NULL,
  generation integer NOT NULL,
  due_at timestamptz NOT NULL,
  data jsonb NOT NULL,
  state text NOT NULL DEFAULT 'armed' CHECK (state IN ('armed', 'fired', 'cancelled', 'failed')),
  ask_at timestamptz NOT NULL,
  deferrals integer NOT NULL DEFAULT 0,
  tries integer NOT NULL DEFAULT 0,
  cause text,
  PRIMARY KEY (kind, subject, key),
  CHECK (ask_at >= due_at),
  CHECK ((state = 'failed') <= (cause IS NOT NULL))
);
CREATE INDEX deadlines_due ON deadlines (kind, ask_at) WHERE state = 'armed';
CREATE INDEX deadlines_subject ON deadlines (subject) WHERE state = 'armed';
CREATE INDEX deadlines_failed ON deadlines (kind) WHERE state = 'failed';
COMMENT ON TABLE deadlines IS 'truth: the newest generation of each deadline, and what became of it';

CREATE TABLE fired_deadlines (
  kind text NOT NULL,
  subject uuid NOT NULL,
  key text NOT NULL,
  generation integer NOT NULL,
  due_at timestamptz NOT NULL,
  fired_at timestamptz NOT NULL,
  PRIMARY KEY (kind, subject, key, generation)
);
COMMENT ON TABLE fired_deadlines IS 'truth, append-only: every firing, so that none happens twice';
"""


def upgrade() -> None:
    op.execute(TABLES)
