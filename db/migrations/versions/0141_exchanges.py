"""Exchanges, and what happened to them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0141"
down_revision: str | None = "0140"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
_TEXTS = ("id", "number", "order_id", "reference", "body_hash", "status", "return_id", "ships", "shipping_service")
_REFERS = {"order_id": "orders", "return_id": "returns", "credit_id": "refunds", "refund_id": "refunds"}


def upgrade() -> None:
    """Apply."""
    op.execute(sa.schema.CreateSequence(sa.Sequence("exchange_numbers", start=100001)))
    op.create_table(
        "exchanges",
        *(sa.Column(name, sa.String(), nullable=False) for name in _TEXTS),
        *(sa.Column(name, postgresql.JSONB(), nullable=False) for name in ("goods", "payment", "waiting", "letters")),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("back_days", "shipping_charge", "total", "expected")
        ),
        *(sa.Column(name, sa.BigInteger(), nullable=True) for name in ("credit", "worth", "seen_revision")),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("credit_id", "refund_id", "linked_id")),
        *(
            sa.Column(name, sa.Boolean(), server_default=sa.text("false"), nullable=False)
            for name in ("accepted", "seen_end")
        ),
        *(sa.Column(name, INSTANT, nullable=False) for name in ("since", "patient_since", "created_at")),
        *(sa.Column(name, INSTANT, nullable=True) for name in ("started_at", "closed_at")),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("trouble", "exception_id")),
        *(
            sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False)
            for name in ("troubles", "revision")
        ),
        sa.Column("created_by", sa.String(), nullable=False),
        *(
            sa.ForeignKeyConstraint([name], [f"{table}.id"], name=op.f(f"fk_exchanges_{name}"))
            for name, table in {**_REFERS, "linked_id": "orders"}.items()
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exchanges")),
        sa.UniqueConstraint("number", name=op.f("uq_exchanges_number")),
        sa.UniqueConstraint("return_id", name=op.f("uq_exchanges_return_id")),
        sa.UniqueConstraint("order_id", "reference", name=op.f("uq_exchanges_order_id_reference")),
    )
    newest = [sa.text("created_at DESC"), sa.text("id DESC")]
    op.create_index(
        "ix_exchanges_not_started", "exchanges", ["created_at"], postgresql_where=sa.text("started_at IS NULL")
    )
    op.create_index("ix_exchanges_open", "exchanges", ["id"], postgresql_where=sa.text("closed_at IS NULL"))
    op.create_index("ix_exchanges_newest", "exchanges", newest)
    op.create_table(
        "exchange_events",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("exchange_id", "key", "kind", "text", "actor")),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("entered", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(["exchange_id"], ["exchanges.id"], name=op.f("fk_exchange_events_exchange_id")),
        sa.PrimaryKeyConstraint("exchange_id", "key", name=op.f("pk_exchange_events")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("exchange_events")
    op.drop_table("exchanges")
    op.execute(sa.schema.DropSequence(sa.Sequence("exchange_numbers")))
