"""The index that keeps an order's channel and reference unique finds orders by their reference alone, too."""

from collections.abc import Sequence

from alembic import op

revision: str = "0210"
down_revision: str | None = "0200"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_unique_constraint("uq_orders_external_reference_channel", "orders", ["external_reference", "channel"])
    op.drop_constraint("uq_orders_channel_external_reference", "orders")


def downgrade() -> None:
    """Take back."""
    op.create_unique_constraint("uq_orders_channel_external_reference", "orders", ["channel", "external_reference"])
    op.drop_constraint("uq_orders_external_reference_channel", "orders")
