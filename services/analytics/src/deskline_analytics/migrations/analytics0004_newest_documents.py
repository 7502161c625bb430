"""Messages by their moment, the newest first: words that are everywhere are found by reading from there."""

from alembic import op

revision = "analytics0004"
down_revision = "analytics0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "CREATE INDEX ticket_documents_newest ON ticket_documents (written_at DESC, ticket_id, sequence)"
    )
