"""Versions of orders: what each change made of them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0100"
down_revision: str | None = "0090"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("orders", sa.Column("version", sa.BigInteger(), server_default=sa.text("1"), nullable=False))
    op.create_table(
        "order_versions",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("content", postgresql.JSONB(), nullable=False),
        sa.Column("change_id", sa.String(), nullable=True),
        sa.Column("body_hash", sa.String(), nullable=True),
        sa.Column("effects", postgresql.JSONB(), nullable=True),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_order_versions_order_id")),
        sa.PrimaryKeyConstraint("order_id", "number", name=op.f("pk_order_versions")),
        sa.UniqueConstraint("change_id", name=op.f("uq_order_versions_change_id")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("order_versions")
    op.drop_column("orders", "version")
