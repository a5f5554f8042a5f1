"""What was found by reading whole tables is found by indexes: for portals, refunds, changes and return labels."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0200"
down_revision: str | None = "0190"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_INDEXES = (
    ("ix_fulfilments_portal", "fulfilments", ["portal", "status"], "portal IS NOT NULL"),
    ("ix_refunds_payment_id", "refunds", ["payment_id"], None),
    ("ix_reservations_change_id", "reservations", ["change_id"], "change_id IS NOT NULL"),
    ("ix_return_labels_shipment", "return_labels", ["provider", "shipment"], None),
    ("ix_return_labels_tracker", "return_labels", ["provider", "tracker"], None),
)


def upgrade() -> None:
    """Apply."""
    for name, table, columns, where in _INDEXES:
        op.create_index(name, table, columns, postgresql_where=None if where is None else sa.text(where))


def downgrade() -> None:
    """Take back."""
    for name, table, *_ in _INDEXES:
        op.drop_index(name, table_name=table)
