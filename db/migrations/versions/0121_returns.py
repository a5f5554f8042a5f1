"""Returns, their lines, and what happened to them."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0121"
down_revision: str | None = "0120"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

INSTANT = sa.DateTime(timezone=True)
_COUNTS = ("received", "resaleable", "damaged", "wrong_item", "missing", "refunded", "kept")


def upgrade() -> None:
    """Apply."""
    _create_returns()
    _create_lines_and_events()


def _create_returns() -> None:
    op.execute(sa.schema.CreateSequence(sa.Sequence("return_numbers", start=100001)))
    op.create_table(
        "returns",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("order_id", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("since", INSTANT, nullable=False),
        sa.Column("patient_since", INSTANT, nullable=False),
        sa.Column("waiting", postgresql.JSONB(), nullable=False),
        sa.Column("warehouse", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("rule", postgresql.JSONB(), nullable=False),
        sa.Column("rules_version", sa.BigInteger(), nullable=False),
        sa.Column("override", sa.String(), nullable=True),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("label_attempt", sa.BigInteger(), server_default=sa.text("1"), nullable=False),
        sa.Column("send_by", INSTANT, nullable=True),
        sa.Column("refusal", sa.String(), nullable=True),
        sa.Column("trouble", sa.String(), nullable=True),
        sa.Column("exception_id", sa.String(), nullable=True),
        sa.Column("troubles", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("letters", postgresql.JSONB(), nullable=False),
        sa.Column("revision", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("settlement", postgresql.JSONB(), nullable=True),
        sa.Column("refund_id", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", INSTANT, nullable=False),
        sa.Column("started_at", INSTANT, nullable=True),
        sa.Column("closed_at", INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["order_id"], ["orders.id"], name=op.f("fk_returns_order_id")),
        sa.ForeignKeyConstraint(["warehouse"], ["warehouses.code"], name=op.f("fk_returns_warehouse")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_returns_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returns")),
        sa.UniqueConstraint("number", name=op.f("uq_returns_number")),
        sa.UniqueConstraint("order_id", "reference", name=op.f("uq_returns_order_id_reference")),
    )
    op.create_index("ix_returns_not_started", "returns", ["created_at"], postgresql_where=sa.text("started_at IS NULL"))
    op.create_index("ix_returns_open", "returns", ["id"], postgresql_where=sa.text("closed_at IS NULL"))
    op.create_index("ix_returns_newest", "returns", [sa.text("created_at DESC"), sa.text("id DESC")])


def _create_lines_and_events() -> None:
    op.create_table(
        "return_lines",
        sa.Column("return_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=sa.text("0"), nullable=False) for name in _COUNTS),
        sa.CheckConstraint("quantity > 0 AND received + missing <= quantity", name=op.f("ck_return_lines_quantity")),
        sa.CheckConstraint("resaleable + damaged + wrong_item <= received", name=op.f("ck_return_lines_inspected")),
        sa.ForeignKeyConstraint(["return_id"], ["returns.id"], name=op.f("fk_return_lines_return_id")),
        sa.PrimaryKeyConstraint("return_id", "number", name=op.f("pk_return_lines")),
    )
    op.create_table(
        "return_events",
        sa.Column("return_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", INSTANT, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("entered", postgresql.JSONB(), nullable=True),
        sa.ForeignKeyConstraint(["return_id"], ["returns.id"], name=op.f("fk_return_events_return_id")),
        sa.PrimaryKeyConstraint("return_id", "key", name=op.f("pk_return_events")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("return_events")
    op.drop_table("return_lines")
    op.drop_table("returns")
    op.execute(sa.schema.DropSequence(sa.Sequence("return_numbers")))
