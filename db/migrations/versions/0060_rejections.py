"""What warehouses reject; and each reservation's fulfilment, since a warehouse may ship an order in two of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0060"
down_revision: str | None = "0051"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rejections",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("fulfilment_id", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), server_default="", nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("lifted_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["fulfilment_id"], ["fulfilments.id"], name=op.f("fk_rejections_fulfilment_id")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_rejections_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejections")),
    )
    op.create_index("ix_rejections_order_id", "rejections", ["order_id"])
    op.create_index("ix_rejections_newest", "rejections", [sa.text("at DESC"), sa.text("id DESC")])
    op.create_table(
        "rejection_lines",
        sa.Column("rejection_id", sa.String(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["rejection_id"], ["rejections.id"], name=op.f("fk_rejection_lines_rejection_id")),
        sa.PrimaryKeyConstraint("rejection_id", "line", "sku", name=op.f("pk_rejection_lines")),
    )
    op.add_column("reservations", sa.Column("fulfilment_id", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("reservations", "fulfilment_id")
    op.drop_table("rejection_lines")
    op.drop_table("rejections")
