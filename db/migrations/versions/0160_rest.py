"""A rejection says what becomes of the units: they go elsewhere, wait for stock, or leave the order."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0160"
down_revision: str | None = "0150"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("rejections", sa.Column("rest", sa.String(), server_default="reroute", nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("rejections", "rest")
