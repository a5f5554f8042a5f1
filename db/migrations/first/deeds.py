"""Stock, payments, shipments: what is done for an order."""

import sqlalchemy as sa
from alembic import op


def create() -> None:
    """Create them."""
    _stock()
    _payments()
    _shipments()
    _parcels()


def _stock() -> None:
    op.create_table(
        "movements",
        sa.Column("id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("on_hand_change", sa.BigInteger(), nullable=False),
        sa.Column("reserved_change", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_movements")),
        sa.UniqueConstraint("key", name=op.f("uq_movements_key")),
    )
    op.create_index("ix_movements_level", "movements", ["sku", "warehouse", "id"], unique=False)
    op.create_table(
        "reservations",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_reservations_quantity")),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_reservations_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reservations")),
    )
    op.create_index(
        "ix_reservations_held",
        "reservations",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("status = 'held'"),
    )
    op.create_index("ix_reservations_order_id", "reservations", ["order_id"], unique=False)
    op.create_table(
        "stock_levels",
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("on_hand", sa.BigInteger(), nullable=False),
        sa.Column("reserved", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("reserved >= 0 AND reserved <= on_hand", name=op.f("ck_stock_levels_not_oversold")),
        sa.ForeignKeyConstraint(["sku"], ["skus.sku"], name=op.f("fk_stock_levels_sku")),
        sa.ForeignKeyConstraint(["warehouse"], ["warehouses.code"], name=op.f("fk_stock_levels_warehouse")),
        sa.PrimaryKeyConstraint("sku", "warehouse", name=op.f("pk_stock_levels")),
    )


def _payments() -> None:
    op.create_table(
        "payments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("authorised", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("captured", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("refunded", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("capture_before", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decline_code", sa.String(), nullable=True),
        sa.Column("decline_message", sa.String(), nullable=True),
        sa.Column("action_url", sa.String(), nullable=True),
        sa.Column("awaiting_customer", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_payments_order_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("order_id", name=op.f("uq_payments_order_id")),
    )
    op.create_index("ix_payments_reference", "payments", ["provider", "reference"], unique=False)
    op.create_table(
        "payment_events",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("payment_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=True),
        sa.Column("intended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_payment_events_payment_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_payment_events")),
    )
    op.create_index("ix_payment_events_payment_id", "payment_events", ["payment_id", "at"], unique=False)


def _shipments() -> None:
    op.create_table(
        "fulfilments",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("handed_over_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_fulfilments_order_id")),
        sa.ForeignKeyConstraint(["warehouse"], ["warehouses.code"], name=op.f("fk_fulfilments_warehouse")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fulfilments")),
    )
    op.create_index("ix_fulfilments_order_id", "fulfilments", ["order_id"], unique=False)
    op.create_table(
        "fulfilment_lines",
        sa.Column("fulfilment_id", sa.String(), nullable=False),
        sa.Column("line", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["fulfilment_id"], ["fulfilments.id"], name=op.f("fk_fulfilment_lines_fulfilment_id")),
        sa.PrimaryKeyConstraint("fulfilment_id", "line", name=op.f("pk_fulfilment_lines")),
    )


def _parcels() -> None:
    op.create_table(
        "parcels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("fulfilment_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("shipment", sa.String(), nullable=True),
        sa.Column("rate", sa.String(), nullable=True),
        sa.Column("carrier", sa.String(), nullable=True),
        sa.Column("service", sa.String(), nullable=True),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        sa.Column("weight_grams", sa.BigInteger(), nullable=False),
        sa.Column("tracking_code", sa.String(), nullable=True),
        sa.Column("tracking_url", sa.String(), nullable=True),
        sa.Column("tracker", sa.String(), nullable=True),
        sa.Column("label_url", sa.String(), nullable=True),
        sa.Column("bought_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("void_status", sa.String(), nullable=True),
        sa.Column("tracking_status", sa.String(), server_default=sa.text("'unknown'"), nullable=False),
        sa.Column("estimated_delivery", sa.DateTime(timezone=True), nullable=True),
        sa.Column("signed_by", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["fulfilment_id"], ["fulfilments.id"], name=op.f("fk_parcels_fulfilment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_parcels")),
    )
    op.create_index("ix_parcels_fulfilment_id", "parcels", ["fulfilment_id"], unique=False)
    op.create_index("ix_parcels_shipment", "parcels", ["provider", "shipment"], unique=False)
    op.create_index("ix_parcels_tracker", "parcels", ["provider", "tracker"], unique=False)
    op.create_index("ix_parcels_tracking_code", "parcels", ["tracking_code"], unique=False)
    op.create_table(
        "tracking_events",
        sa.Column("parcel_id", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("message", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["parcel_id"], ["parcels.id"], name=op.f("fk_tracking_events_parcel_id")),
        sa.PrimaryKeyConstraint("parcel_id", "at", "status", "message", name=op.f("pk_tracking_events")),
    )
