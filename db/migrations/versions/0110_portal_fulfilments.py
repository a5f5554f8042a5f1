"""Warehouses that are suppliers with a portal, and the fulfilments that are ordered there."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0110"
down_revision: str | None = "0100"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("warehouses", sa.Column("portal", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_warehouses_portal"), "warehouses", "portals", ["portal"], ["name"])
    # No key to `portals`: to check it would hold up everybody who writes fulfilments.
    op.add_column("fulfilments", sa.Column("portal", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("fulfilments", "portal")
    op.drop_constraint(op.f("fk_warehouses_portal"), "warehouses")
    op.drop_column("warehouses", "portal")
