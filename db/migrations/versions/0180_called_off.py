"""What was called off: nothing more is bought, or held, for it; labels that were bought all the same are looked for."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0180"
down_revision: str | None = "0170"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.add_column("parcels", sa.Column("called_off_at", INSTANT, nullable=True))
    op.add_column("return_labels", sa.Column("called_off_at", INSTANT, nullable=True))
    op.add_column("payments", sa.Column("called_off_at", INSTANT, nullable=True))
    op.create_table(
        "called_off_labels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("called_off_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("looked_at", INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_called_off_labels")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("called_off_labels")
    op.drop_column("payments", "called_off_at")
    op.drop_column("return_labels", "called_off_at")
    op.drop_column("parcels", "called_off_at")
