"""Open orders are found by their ids, however many are closed."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0004"
down_revision: str | None = "0003"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_index("ix_orders_open", "orders", ["id"], unique=False, postgresql_where=sa.text("closed_at IS NULL"))


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_orders_open", table_name="orders")
