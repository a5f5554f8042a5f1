"""Several payments of an order, refunds in parts, and changes that wait for their payment."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0130"
down_revision: str | None = "0122"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
_FIRST = sa.text("change_id IS NULL")
_AWAITING = sa.text("status = 'awaiting'")


def upgrade() -> None:
    """Apply."""
    op.add_column("payments", sa.Column("change_id", sa.String(), nullable=True))
    op.add_column("payments", sa.Column("due", sa.BigInteger(), nullable=True))
    op.drop_constraint("uq_payments_order_id", "payments", type_="unique")
    op.create_index("ix_payments_order_id", "payments", ["order_id"])
    op.create_index("uq_payments_first", "payments", ["order_id"], unique=True, postgresql_where=_FIRST)
    op.add_column("reservations", sa.Column("change_id", sa.String(), nullable=True))
    op.add_column("refunds", sa.Column("part_of", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_refunds_part_of"), "refunds", "refunds", ["part_of"], ["id"])
    op.create_index("ix_refunds_part_of", "refunds", ["part_of"])
    op.create_table(
        "awaited_changes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("change", postgresql.JSONB(), nullable=False),
        sa.Column("effects", postgresql.JSONB(), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("asked", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("until", INSTANT, nullable=False),
        sa.Column("opened_at", INSTANT, nullable=False),
        sa.Column("ended_at", INSTANT, nullable=True),
        sa.Column("why", sa.String(), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_awaited_changes_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_awaited_changes")),
    )
    op.create_index("ix_awaited_changes_order_id", "awaited_changes", ["order_id", "opened_at"])
    op.create_index("uq_awaited_changes_one", "awaited_changes", ["order_id"], unique=True, postgresql_where=_AWAITING)


def downgrade() -> None:
    """Take back. Fails where an order has several payments: the release before knows of one only."""
    op.drop_table("awaited_changes")
    op.drop_column("reservations", "change_id")
    op.drop_index("ix_refunds_part_of", "refunds")
    op.drop_constraint(op.f("fk_refunds_part_of"), "refunds", type_="foreignkey")
    op.drop_column("refunds", "part_of")
    op.drop_index("uq_payments_first", "payments")
    op.drop_index("ix_payments_order_id", "payments")
    op.create_unique_constraint("uq_payments_order_id", "payments", ["order_id"])
    op.drop_column("payments", "due")
    op.drop_column("payments", "change_id")
