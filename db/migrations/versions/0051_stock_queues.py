"""Queues of orders that wait for units, and how many may be promised that are not there."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0051"
down_revision: str | None = "0050"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("skus", sa.Column("when_out_of_stock", sa.String(), server_default=sa.text("'deny'"), nullable=False))
    for name in ("promise_cap", "restock_days"):
        op.add_column("skus", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("skus", sa.Column("ships_on", sa.Date(), nullable=True))
    op.create_check_constraint(op.f("ck_skus_promises"), "skus", "promise_cap >= 0 AND restock_days >= 0")
    op.create_check_constraint(
        op.f("ck_skus_pre_order"), "skus", "when_out_of_stock <> 'pre_order' OR ships_on IS NOT NULL"
    )
    op.create_check_constraint(op.f("ck_skus_bundle"), "skus", "NOT bundle OR when_out_of_stock = 'deny'")
    _create_waits()
    op.create_table(
        "stock_queue_calls",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_queue_calls")),
    )


def _create_waits() -> None:
    op.create_table(
        "stock_waits",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("missing", sa.BigInteger(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("promised", sa.Boolean(), nullable=False),
        sa.Column("pre_order", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=True),
        sa.Column("barred", sa.ARRAY(sa.String()), server_default=sa.text("'{}'"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.CheckConstraint("units > 0 AND missing BETWEEN 0 AND units", name=op.f("ck_stock_waits_units")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_stock_waits_order_id")),
        sa.PrimaryKeyConstraint("order_id", "line", "sku", name=op.f("pk_stock_waits")),
    )
    op.create_index("ix_stock_waits_sku", "stock_waits", ["sku", "since", "order_id"])
    op.create_index("ix_stock_waits_queue", "stock_waits", ["queue", "since", "order_id"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("stock_queue_calls")
    op.drop_table("stock_waits")
    for name in ("bundle", "pre_order", "promises"):
        op.drop_constraint(op.f(f"ck_skus_{name}"), "skus", type_="check")
    for name in ("ships_on", "restock_days", "promise_cap", "when_out_of_stock"):
        op.drop_column("skus", name)
