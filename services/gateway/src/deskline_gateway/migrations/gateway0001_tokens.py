"""The tokens that people and systems come with."""

from alembic import op

revision = "gateway0001"
down_revision = None
branch_labels = ("gateway",)
depends_on = "c0001"


def upgrade() -> None:
    op.execute(
        """
        CREATE TABLE tokens (
          id uuid PRIMARY KEY,
          actor_id uuid NOT NULL,
          roles text[] NOT NULL CHECK (
            cardinality(roles) > 0 AND roles <@ ARRAY['operator', 'lead', 'admin', 'analyst', 'system']
          ),
          scope text NOT NULL CHECK (scope IN ('own', 'team', 'queue', 'all')),
          hash bytea NOT NULL CHECK (octet_length(hash) = 32),
          label text NOT NULL CHECK (label ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
          created_at timestamptz NOT NULL,
          expires_at timestamptz NOT NULL CHECK (expires_at > created_at),
          revoked_at timestamptz,
          last_used_on date
        );
        COMMENT ON TABLE tokens IS 'truth: API tokens, their secrets as SHA-256 only, and what they allow';
        """
    )


def downgrade() -> None:
    op.execute("DROP TABLE tokens")
