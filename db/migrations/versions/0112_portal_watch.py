"""Portals are watched: by whom they are visited, and who was told of it; exceptions may be about a portal."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0112"
down_revision: str | None = "0111"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANTS = ("attended_at", "resumed_at", "woken_at")


def upgrade() -> None:
    """Apply."""
    for name in INSTANTS:
        op.add_column("portals", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.alter_column("exceptions", "order_id", nullable=True)


def downgrade() -> None:
    """Take back."""
    op.execute("DELETE FROM exceptions WHERE order_id IS NULL")
    op.alter_column("exceptions", "order_id", nullable=False)
    for name in INSTANTS:
        op.drop_column("portals", name)
