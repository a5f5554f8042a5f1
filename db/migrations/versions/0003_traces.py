"""The inbox remembers the trace of the request that brought an event."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("inbox", sa.Column("traceparent", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("inbox", "traceparent")
