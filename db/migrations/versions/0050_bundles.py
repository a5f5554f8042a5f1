"""Bundles: SKUs that are made of others, and order lines that know what theirs were made of."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0050"
down_revision: str | None = "0040"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("skus", sa.Column("bundle", sa.Boolean(), server_default=sa.text("false"), nullable=False))
    op.add_column(
        "order_lines",
        sa.Column("parts", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    op.create_table(
        "bundle_parts",
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("part", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_bundle_parts_quantity")),
        sa.CheckConstraint("bundle <> part", name=op.f("ck_bundle_parts_other")),
        sa.ForeignKeyConstraint(["bundle"], ["skus.sku"], name=op.f("fk_bundle_parts_bundle")),
        sa.ForeignKeyConstraint(["part"], ["skus.sku"], name=op.f("fk_bundle_parts_part")),
        sa.PrimaryKeyConstraint("bundle", "part", name=op.f("pk_bundle_parts")),
    )
    op.create_index("ix_bundle_parts_part", "bundle_parts", ["part"])
    # A line that is a bundle ships as its parts.
    op.drop_constraint("pk_fulfilment_lines", "fulfilment_lines", type_="primary")
    op.create_primary_key("pk_fulfilment_lines", "fulfilment_lines", ["fulfilment_id", "line", "sku"])


def downgrade() -> None:
    """Take back."""
    op.drop_constraint("pk_fulfilment_lines", "fulfilment_lines", type_="primary")
    op.create_primary_key("pk_fulfilment_lines", "fulfilment_lines", ["fulfilment_id", "line"])
    op.drop_table("bundle_parts")
    op.drop_column("order_lines", "parts")
    op.drop_column("skus", "bundle")
