"""Stock says more: damaged, incoming and safety stock, the level after each movement, sales by day, alerts, checks."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0005"
down_revision: str | None = "0004"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_COUNTS = ("damaged", "incoming", "safety_stock", "short")
_CHANGES = ("damaged_change", "incoming_change", "safety_change")
_AFTER = ("on_hand_after", "reserved_after", "damaged_after", "incoming_after", "safety_after")
_AVAILABLE = "GREATEST(0, on_hand - reserved - damaged - safety_stock)"
_BALANCES = """
UPDATE movements m SET on_hand_after = b.on_hand, reserved_after = b.reserved
FROM (SELECT id, sum(on_hand_change) OVER w AS on_hand, sum(reserved_change) OVER w AS reserved FROM movements
    WINDOW w AS (PARTITION BY sku, warehouse ORDER BY id)) b
WHERE m.id = b.id
"""
_SALES = """
INSERT INTO stock_sales (sku, warehouse, day, units)
SELECT sku, warehouse, (at AT TIME ZONE 'UTC')::date, -sum(on_hand_change) FROM movements
WHERE kind = 'shipped' GROUP BY 1, 2, 3
"""


def upgrade() -> None:
    """Apply."""
    _levels()
    _movements()
    _sales()
    _alerts()
    _checkpoints()


def _levels() -> None:
    for name in _COUNTS:
        op.add_column("stock_levels", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column(
        "stock_levels", sa.Column("available", sa.BigInteger(), sa.Computed(_AVAILABLE, persisted=True), nullable=False)
    )
    op.add_column("stock_levels", sa.Column("low_at", sa.BigInteger(), nullable=True))
    op.add_column("stock_levels", sa.Column("cover_days", sa.BigInteger(), nullable=True))
    op.add_column("stock_levels", sa.Column("changed", sa.Boolean(), server_default=sa.text("true"), nullable=False))
    op.add_column(
        "stock_levels", sa.Column("seen_available", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )
    # What is sold out already is no news: the watch tells of what moves from now on.
    op.execute("UPDATE stock_levels SET changed = false, seen_available = available")
    op.drop_constraint("ck_stock_levels_not_oversold", "stock_levels")
    op.create_check_constraint(
        op.f("ck_stock_levels_not_oversold"), "stock_levels", "reserved >= 0 AND reserved + damaged <= on_hand + short"
    )
    op.create_check_constraint(
        op.f("ck_stock_levels_counted"),
        "stock_levels",
        "damaged >= 0 AND incoming >= 0 AND safety_stock >= 0 AND short >= 0",
    )
    op.create_index(
        "ix_stock_levels_changed", "stock_levels", ["sku", "warehouse"], postgresql_where=sa.text("changed")
    )
    op.create_index(
        "ix_reservations_live",
        "reservations",
        ["sku", "warehouse"],
        postgresql_where=sa.text("status IN ('held', 'committed')"),
    )


def _movements() -> None:
    for name in (*_CHANGES, *_AFTER):
        op.add_column("movements", sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    op.add_column("movements", sa.Column("entered", sa.String(), nullable=True))
    op.execute(_BALANCES)
    op.execute("UPDATE movements SET entered = 'quantity=' || on_hand_change WHERE kind = 'received'")


def _sales() -> None:
    op.create_table(
        "stock_sales",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sku", "warehouse", "day", name=op.f("pk_stock_sales")),
    )
    op.execute(_SALES)


def _alerts() -> None:
    op.create_table(
        "stock_alerts",
        sa.Column("id", sa.String(), server_default=sa.text("gen_random_uuid()::text"), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("status", sa.String(), server_default=sa.text("'open'"), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("facts", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("opened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("posted_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("post_after", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("posts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("resolved_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stock_alerts")),
    )
    op.create_index(
        "ix_stock_alerts_open",
        "stock_alerts",
        ["sku", "warehouse", "kind"],
        unique=True,
        postgresql_where=sa.text("status = 'open'"),
    )
    op.create_index("ix_stock_alerts_opened_at", "stock_alerts", ["opened_at", "id"])


def _checkpoints() -> None:
    op.create_table(
        "stock_checkpoints",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("movement_id", sa.BigInteger(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.Column("damaged", sa.BigInteger(), nullable=False),
        sa.Column("incoming", sa.BigInteger(), nullable=False),
        sa.Column("safety", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("sku", "warehouse", name=op.f("pk_stock_checkpoints")),
    )


def downgrade() -> None:
    """Take back. Levels that promise more than they have would not fit any more: count them first."""
    for table in ("stock_checkpoints", "stock_alerts", "stock_sales"):
        op.drop_table(table)
    for name in (*_CHANGES, *_AFTER, "entered"):
        op.drop_column("movements", name)
    op.drop_index("ix_reservations_live", table_name="reservations")
    op.drop_index("ix_stock_levels_changed", table_name="stock_levels")
    op.drop_constraint("ck_stock_levels_counted", "stock_levels")
    op.drop_constraint("ck_stock_levels_not_oversold", "stock_levels")
    for name in ("available", *_COUNTS, "low_at", "cover_days", "changed", "seen_available"):
        op.drop_column("stock_levels", name)
    op.create_check_constraint(
        op.f("ck_stock_levels_not_oversold"), "stock_levels", "reserved >= 0 AND reserved <= on_hand"
    )
