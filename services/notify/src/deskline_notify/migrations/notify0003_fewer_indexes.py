"""Fewer indexes to keep while a mail is claimed and finished: two said what others say as well."""

from alembic import op

revision = "notify0003"
down_revision = "notify0002"
branch_labels = None
depends_on = None

CHANGES = """
-- Derived from what the other unique key holds.
ALTER TABLE notifications DROP CONSTRAINT notifications_notification_id_key;
-- A ticket has few notifications: notifications_of_ticket finds the open ones among them as fast.
DROP INDEX notifications_open;
"""


def upgrade() -> None:
    op.execute(CHANGES)
