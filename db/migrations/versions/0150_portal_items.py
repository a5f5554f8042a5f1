"""Suppliers may call our SKUs otherwise, or not carry them; evidence tells which visit left it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0150"
down_revision: str | None = "0141"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "portal_items",
        sa.Column("portal", sa.String(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("item", sa.String(), nullable=True),
        sa.Column("changed_by", sa.String(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["portal"], ["portals.name"], name=op.f("fk_portal_items_portal")),
        sa.ForeignKeyConstraint(["sku"], ["skus.sku"], name=op.f("fk_portal_items_sku")),
        sa.PrimaryKeyConstraint("portal", "sku", name=op.f("pk_portal_items")),
    )
    op.add_column("portal_orders", sa.Column("items", postgresql.JSONB(), nullable=True))
    op.add_column("evidence", sa.Column("visit", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("evidence", "visit")
    op.drop_column("portal_orders", "items")
    op.drop_table("portal_items")
