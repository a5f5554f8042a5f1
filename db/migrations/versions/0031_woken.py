"""Of each parcel it is known what its order was last told, so that it is told once."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0031"
down_revision: str | None = "0030"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("parcels", sa.Column("woken_status", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("parcels", "woken_status")
