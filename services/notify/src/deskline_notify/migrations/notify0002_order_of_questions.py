"""Questions of one moment keep the order of their stream: a warning is told before the breach after it."""

from alembic import op

revision = "notify0002"
down_revision = "notify0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE questions ADD COLUMN place bigint GENERATED ALWAYS AS IDENTITY")
