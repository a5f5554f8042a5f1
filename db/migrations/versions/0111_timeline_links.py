"""Lines of the timeline lead to where there is more to see."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0111"
down_revision: str | None = "0110"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Apply."""
    op.add_column("timeline", sa.Column("link", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    op.drop_column("timeline", "link")
