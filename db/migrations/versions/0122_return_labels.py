"""Labels of returns."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0122"
down_revision: str | None = "0121"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
_TEXTS = ("carrier", "service")
_MORE_TEXTS = ("tracking_code", "tracking_url", "tracker", "label_url")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "return_labels",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("return_id", sa.String(), nullable=False),
        sa.Column("attempt", sa.BigInteger(), nullable=False),
        sa.Column("provider", sa.String(), nullable=False),
        sa.Column("shipment", sa.String(), nullable=True),
        sa.Column("rate", sa.String(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=True) for name in _TEXTS),
        sa.Column("price", sa.BigInteger(), nullable=True),
        sa.Column("currency", sa.String(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=True) for name in _MORE_TEXTS),
        sa.Column("intended_at", INSTANT, server_default=sa.text("now()"), nullable=False),
        sa.Column("bought_at", INSTANT, nullable=True),
        sa.Column("void_status", sa.String(), nullable=True),
        sa.Column("tracking_status", sa.String(), server_default=sa.text("'unknown'"), nullable=False),
        sa.ForeignKeyConstraint(["return_id"], ["returns.id"], name=op.f("fk_return_labels_return_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_return_labels")),
    )
    op.create_index("ix_return_labels_return_id", "return_labels", ["return_id", "attempt"], unique=True)
    op.create_index("ix_return_labels_tracking_code", "return_labels", ["tracking_code"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("return_labels")
