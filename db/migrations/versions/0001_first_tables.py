"""The first tables: catalogue, orders, stock, payments, shipments, inbox, identity."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from db.migrations.first import deeds, orders, shop

revision: str = "0001"
down_revision: str | None = None
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

TABLES = (
    "tracking_events",
    "parcels",
    "fulfilment_lines",
    "fulfilments",
    "payment_events",
    "payments",
    "reservations",
    "movements",
    "stock_levels",
    "notifications",
    "exceptions",
    "timeline",
    "order_lines",
    "orders",
    "warehouses",
    "skus",
    "inbox",
    "decodes",
    "api_keys",
)


def upgrade() -> None:
    """Apply."""
    op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    op.execute(sa.schema.CreateSequence(sa.Sequence("order_numbers", start=100001)))
    shop.create()
    orders.create()
    deeds.create()


def downgrade() -> None:
    """Take back."""
    for table in TABLES:
        op.drop_table(table)
    op.execute(sa.schema.DropSequence(sa.Sequence("order_numbers")))
