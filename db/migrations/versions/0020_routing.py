"""Routing by rule sets, what warehouses need for them, and the promise of each order."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0020"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_NOTHING = sa.text("'[]'::jsonb")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "rule_sets",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rules", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("split_above", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("activated_by", sa.String(), nullable=True),
        sa.Column("activated_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(split_above IS NULL) = (currency IS NULL)", name=op.f("ck_rule_sets_threshold")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rule_sets")),
        sa.UniqueConstraint("channel", "version", name=op.f("uq_rule_sets_channel_version")),
    )
    op.create_index(
        "ix_rule_sets_active", "rule_sets", ["channel"], unique=True, postgresql_where=sa.text("status = 'active'")
    )
    op.create_table(
        "postal_regions",
        sa.Column("region", sa.String(), nullable=False),
        sa.Column("country", sa.String(), nullable=False),
        sa.Column("prefixes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("latitude", sa.Float(), nullable=False),
        sa.Column("longitude", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("region", name=op.f("pk_postal_regions")),
    )
    _create_history()
    _add_columns()


def _create_history() -> None:
    op.create_table(
        "label_costs",
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("zone", sa.String(), nullable=False),
        sa.Column("band_grams", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("minor", sa.BigInteger(), nullable=False),
        sa.Column("labels", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["warehouse"], ["warehouses.code"], name=op.f("fk_label_costs_warehouse")),
        sa.PrimaryKeyConstraint("warehouse", "zone", "band_grams", "currency", name=op.f("pk_label_costs")),
    )
    op.create_table(
        "routed",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_routed_order_id")),
        sa.PrimaryKeyConstraint("order_id", "warehouse", "round", name=op.f("pk_routed")),
    )
    op.create_index("ix_routed_day", "routed", ["warehouse", "at"])
    op.create_table(
        "routing_decisions",
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("decision", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_routing_decisions_order_id")),
        sa.PrimaryKeyConstraint("order_id", "round", name=op.f("pk_routing_decisions")),
    )


def _add_columns() -> None:
    op.add_column("skus", sa.Column("hazardous", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    warehouses: tuple[sa.Column[Any], ...] = (
        sa.Column("capacity_per_day", sa.BigInteger(), nullable=True),
        sa.Column("cut_off", sa.Time(), nullable=True),
        sa.Column("time_zone", sa.String(), server_default=sa.text("'UTC'"), nullable=False),
        sa.Column("holidays", postgresql.JSONB(astext_type=sa.Text()), server_default=_NOTHING, nullable=False),
        sa.Column("closed_weekdays", postgresql.JSONB(astext_type=sa.Text()), server_default=_NOTHING, nullable=False),
        sa.Column("handling_days", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("hazardous_allowed", sa.Boolean(), server_default=sa.text("false"), nullable=False),
    )
    for column in warehouses:
        op.add_column("warehouses", column)
    orders: tuple[sa.Column[Any], ...] = (
        sa.Column("rule_set_id", sa.String(), nullable=True),
        sa.Column("promised_first", sa.DateTime(timezone=True), nullable=True),
        sa.Column("promised_current", sa.DateTime(timezone=True), nullable=True),
    )
    for column in orders:
        op.add_column("orders", column)
    op.create_index("ix_orders_promised", "orders", ["promised_first"], postgresql_where=sa.text("closed_at IS NULL"))


def downgrade() -> None:
    """Take back."""
    op.drop_index("ix_orders_promised", table_name="orders")
    for name in ("rule_set_id", "promised_first", "promised_current"):
        op.drop_column("orders", name)
    op.drop_column("skus", "hazardous")
    for name in (
        "capacity_per_day",
        "cut_off",
        "time_zone",
        "holidays",
        "closed_weekdays",
        "handling_days",
        "hazardous_allowed",
    ):
        op.drop_column("warehouses", name)
    for table in ("routing_decisions", "routed", "label_costs", "postal_regions", "rule_sets"):
        op.drop_table(table)
