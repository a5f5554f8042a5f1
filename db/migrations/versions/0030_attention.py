"""The few orders that need a person's attention are found at once, however many do not."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0030"
down_revision: str | None = "0020"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_orders_attention",
        "orders",
        [sa.literal_column("placed_at DESC"), sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("needs_attention"),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_orders_attention", table_name="orders")
