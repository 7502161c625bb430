"""The directory of operators, teams and queues, for rights."""

from alembic import op

revision = "tickets0002"
down_revision = "tickets0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE directory_operators (
  operator_id uuid PRIMARY KEY,
  employed boolean NOT NULL,
  team_ids uuid[] NOT NULL
);
COMMENT ON TABLE directory_operators IS
  'truth: operators as routing announced them, for rights; made by the reader that also decides, so it is'
  ' not dropped alone';

CREATE TABLE directory_teams (
  team_id uuid PRIMARY KEY,
  lead_ids uuid[] NOT NULL,
  active boolean NOT NULL
);
COMMENT ON TABLE directory_teams IS
  'truth: teams as routing announced them, for rights; made by the reader that also decides, so it is not'
  ' dropped alone';

CREATE TABLE directory_queues (
  queue_id uuid PRIMARY KEY,
  team_id uuid,
  active boolean NOT NULL
);
COMMENT ON TABLE directory_queues IS
  'truth: queues as routing announced them, for rights; made by the reader that also decides, so it is not'
  ' dropped alone';
"""


def upgrade() -> None:
    op.execute(TABLES)
