"""A return says whether its customer is written to about it."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0170"
down_revision: str | None = "0160"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("returns", sa.Column("tell_customer", sa.Boolean(), server_default=sa.true(), nullable=False))


def downgrade() -> None:
    """Take back."""
    op.drop_column("returns", "tell_customer")
