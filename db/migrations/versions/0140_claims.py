"""Claims; orders that are placed for them, and what of those is settled."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0140"
down_revision: str | None = "0130"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
_OPEN = (
    ("not_started", ["created_at"], "started_at IS NULL"),
    ("open", ["id"], "closed_at IS NULL"),
    ("newest", [sa.text("created_at DESC"), sa.text("id DESC")], None),
)


def upgrade() -> None:
    """Apply."""
    op.add_column("orders", sa.Column("credit", sa.BigInteger(), nullable=True))
    op.add_column("orders", sa.Column("origin", postgresql.JSONB(), nullable=True))
    linked = sa.text("origin IS NOT NULL")
    op.create_index("ix_orders_origin", "orders", [sa.text("(origin ->> 'order_id')")], postgresql_where=linked)
    _create_claims()
    _create_lines_and_events()


def _create_claims() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("claim_numbers", start=100001)))
    op.create_table(
        "claims",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("id", "number", "order_id", "reference")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("body_hash", "status", "kind", "evidence")),
        sa.Column("photos", postgresql.JSONB(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("patient_since", INSTANT, nullable=False),
        sa.Column("waiting", postgresql.JSONB(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("remedy", "refusal", "refund_id", "linked_id")),
        sa.Column("replacements", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("exception_id", sa.String(), nullable=True),
        sa.Column("troubles", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("letters", postgresql.JSONB(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_claims_order_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_claims_refund_id")),
        sa.ForeignKeyConstraint(["linked_id"], ["orders.id"], name=op.f("fk_claims_linked_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_claims")),
        sa.UniqueConstraint("number", name=op.f("uq_claims_number")),
        sa.UniqueConstraint("order_id", "reference", name=op.f("uq_claims_order_id_reference")),
    )
    for name, columns, where in _OPEN:
        op.create_index(f"ix_claims_{name}", "claims", columns, postgresql_where=where and sa.text(where))


def _create_lines_and_events() -> None:
    op.create_table(
        "claim_lines",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("quantity > 0", name=op.f("ck_claim_lines_quantity")),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_lines_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", "number", name=op.f("pk_claim_lines")),
    )
    op.create_table(
        "claim_events",
        sa.Column("claim_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("entered", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(["claim_id"], ["claims.id"], name=op.f("fk_claim_events_claim_id")),
        sa.PrimaryKeyConstraint("claim_id", "key", name=op.f("pk_claim_events")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("claim_events")
    op.drop_table("claim_lines")
    op.drop_table("claims")
    op.execute(sa.schema.DropSequence(sa.Sequence("claim_numbers")))
    op.drop_index("ix_orders_origin", table_name="orders")
    op.drop_column("orders", "origin")
    op.drop_column("orders", "credit")
