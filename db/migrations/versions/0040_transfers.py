"""Transfers between warehouses; alerts may be about one of them, and the check knows what is on its way."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "0040"
down_revision: str | None = "0031"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_COUNTS = ("held", "sent", "received", "damaged", "missing", "wrong_item", "extra", "restocked", "written_off")
_ON_THE_WAY = "sent - received - damaged - missing - wrong_item - restocked - written_off"


def upgrade() -> None:
    """Apply."""
    op.execute("CREATE SEQUENCE transfer_numbers START WITH 100001")
    _transfers()
    _lines()
    _events()
    op.alter_column("stock_alerts", "sku", nullable=True)
    op.add_column("stock_alerts", sa.Column("transfer_id", sa.String(), nullable=True))
    op.create_foreign_key(op.f("fk_stock_alerts_transfer_id"), "stock_alerts", "transfers", ["transfer_id"], ["id"])
    op.create_index(
        "ix_stock_alerts_open_transfer",
        "stock_alerts",
        ["transfer_id"],
        unique=True,
        postgresql_where=sa.text("status = 'open' AND transfer_id IS NOT NULL"),
    )
    op.add_column(
        "stock_checkpoints", sa.Column("transferring", sa.BigInteger(), server_default=sa.text("0"), nullable=False)
    )


def _transfers() -> None:
    op.create_table(
        "transfers",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("reference", sa.String(), nullable=False),
        sa.Column("body_hash", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("waiting", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("note", sa.String(), nullable=False),
        sa.Column("expected_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("rest", sa.String(), nullable=True),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("late_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("source <> destination", name=op.f("ck_transfers_two_places")),
        sa.ForeignKeyConstraint(["source"], ["warehouses.code"], name=op.f("fk_transfers_source")),
        sa.ForeignKeyConstraint(["destination"], ["warehouses.code"], name=op.f("fk_transfers_destination")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_transfers")),
        sa.UniqueConstraint("number", name=op.f("uq_transfers_number")),
        sa.UniqueConstraint("reference", name=op.f("uq_transfers_reference")),
    )
    op.create_index(
        "ix_transfers_not_started", "transfers", ["created_at"], postgresql_where=sa.text("started_at IS NULL")
    )
    op.create_index("ix_transfers_open", "transfers", ["id"], postgresql_where=sa.text("closed_at IS NULL"))
    op.create_index("ix_transfers_newest", "transfers", [sa.text("created_at DESC"), sa.text("id DESC")])


def _lines() -> None:
    nothing = sa.text("0")
    op.create_table(
        "transfer_lines",
        sa.Column("transfer_id", sa.String(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("sku", sa.String(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("destination", sa.String(), nullable=False),
        sa.Column("quantity", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.BigInteger(), server_default=nothing, nullable=False) for name in _COUNTS),
        sa.Column("on_the_way", sa.BigInteger(), sa.Computed(_ON_THE_WAY, persisted=True), nullable=False),
        sa.CheckConstraint(
            "quantity > 0 AND held >= 0 AND sent >= 0 AND held + sent <= quantity",
            name=op.f("ck_transfer_lines_quantity"),
        ),
        sa.CheckConstraint(f"{_ON_THE_WAY} >= 0", name=op.f("ck_transfer_lines_accounted")),
        sa.ForeignKeyConstraint(["sku"], ["skus.sku"], name=op.f("fk_transfer_lines_sku")),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_transfer_lines_transfer_id")),
        sa.PrimaryKeyConstraint("transfer_id", "number", name=op.f("pk_transfer_lines")),
    )
    op.create_index("ix_transfer_lines_sku", "transfer_lines", ["transfer_id", "sku"], unique=True)
    op.create_index("ix_transfer_lines_of_sku", "transfer_lines", ["sku", "transfer_id"])
    op.create_index("ix_transfer_lines_held", "transfer_lines", ["sku", "source"], postgresql_where=sa.text("held > 0"))
    op.create_index(
        "ix_transfer_lines_on_the_way",
        "transfer_lines",
        ["sku", "destination"],
        postgresql_where=sa.text("on_the_way > 0"),
    )


def _events() -> None:
    op.create_table(
        "transfer_events",
        sa.Column("transfer_id", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("entered", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.ForeignKeyConstraint(["transfer_id"], ["transfers.id"], name=op.f("fk_transfer_events_transfer_id")),
        sa.PrimaryKeyConstraint("transfer_id", "key", name=op.f("pk_transfer_events")),
    )


def downgrade() -> None:
    """Take back. Alerts about transfers go with them."""
    op.drop_column("stock_checkpoints", "transferring")
    op.execute("DELETE FROM stock_alerts WHERE transfer_id IS NOT NULL")
    op.drop_index("ix_stock_alerts_open_transfer", table_name="stock_alerts")
    op.drop_column("stock_alerts", "transfer_id")
    op.alter_column("stock_alerts", "sku", nullable=False)
    for table in ("transfer_events", "transfer_lines", "transfers"):
        op.drop_table(table)
    op.execute("DROP SEQUENCE transfer_numbers")
