"""Holds of orders, who agreed to their release, and the rules by which orders are held at placement."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0090"
down_revision: str | None = "0082"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
NO_LIST = sa.text("'[]'::jsonb")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "holds",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("fulfilment_id", sa.String(), nullable=True),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("placed_by", sa.String(), nullable=False),
        sa.Column("placed_at", INSTANT, nullable=False),
        sa.Column("until", INSTANT, nullable=True),
        sa.Column("approvals", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("approved", postgresql.JSONB(), server_default=NO_LIST, nullable=False),
        sa.Column("released_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_holds_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_holds")),
    )
    op.create_index("ix_holds_order_id", "holds", ["order_id"])
    op.create_index("ix_holds_standing", "holds", ["placed_at", "id"], postgresql_where=sa.text("released_at IS NULL"))
    op.create_table(
        "hold_rules",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("rules", postgresql.JSONB(), nullable=False),
        sa.Column("made_by", sa.String(), nullable=False),
        sa.Column("made_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_hold_rules")),
    )
    op.add_column("orders", sa.Column("billing_country", sa.String(), nullable=True))
    op.add_column("orders", sa.Column("address_hold", postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("orders", "address_hold")
    op.drop_column("orders", "billing_country")
    op.drop_table("hold_rules")
    op.drop_table("holds")
