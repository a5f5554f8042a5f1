"""Cases: what has a workflow of its own beside orders. How records of every kind of case are found, listed, started."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    Float,
    ForeignKey,
    Index,
    Row,
    Select,
    Sequence,
    UniqueConstraint,
    bindparam,
    func,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column

from db.base import Base
from db.statements import Record, Statement


class OrderCase:
    """The columns of a case about an order. ``waiting`` is a domain dataclass as JSON, ``letters`` e-mails still to go.

    ``since`` is when it came to its status, ``started_at`` when its workflow is known to have started, ``closed_at``
    when it had ended and nothing of it was left to do. ``troubles`` counts the exceptions that were opened about it.
    """

    id: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[str] = mapped_column(unique=True)
    order_id: Mapped[str] = mapped_column(ForeignKey("orders.id"))
    reference: Mapped[str]
    """what the caller calls it, unique within the order"""
    body_hash: Mapped[str]
    status: Mapped[str]
    since: Mapped[datetime]
    patient_since: Mapped[datetime]
    """since when it is waited for: a person can decide to wait as long again"""
    waiting: Mapped[dict[str, Any]]
    trouble: Mapped[str | None]
    """the kind of the exception about it that is open"""
    exception_id: Mapped[str | None]
    troubles: Mapped[int] = mapped_column(server_default=text("0"))
    letters: Mapped[list[Any]]
    revision: Mapped[int] = mapped_column(server_default=text("0"))
    created_by: Mapped[str]
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    closed_at: Mapped[datetime | None]


class CaseEvent:
    """Something that happened to a case. ``key`` makes a repeated write harmless; ``entered`` is what came in."""

    key: Mapped[str] = mapped_column(primary_key=True)
    at: Mapped[datetime]
    kind: Mapped[str]
    text: Mapped[str]
    actor: Mapped[str]
    entered: Mapped[dict[str, Any] | None]


def indexes(table: str) -> tuple[UniqueConstraint | Index, ...]:
    """What finds the cases of an order: named by their callers, not started, open, newest."""
    return (
        UniqueConstraint("order_id", "reference"),
        Index(f"ix_{table}_not_started", "created_at", postgresql_where=text("started_at IS NULL")),
        Index(f"ix_{table}_open", "id", postgresql_where=text("closed_at IS NULL")),
        Index(f"ix_{table}_newest", text("created_at DESC"), text("id DESC")),
    )


class Cases:
    """The records of one kind of case.

    ``table`` has the columns id, number, created_at, started_at and closed_at; ``events`` has the case's id in the
    column ``owner``, and a key that makes a repeated write harmless. ``read`` is what is read of a case. Its numbers
    are ``prefix`` and the next of ``numbers``.
    """

    def __init__(
        self, table: Any, events: type[Base], *, owner: str, read: Select[Any], prefix: str, numbers: Sequence
    ) -> None:
        self._table = table
        self._events: Any = events
        self._owner = owner
        self._of = getattr(events, owner)
        self.read = read
        self._prefix = prefix
        self._numbers = numbers
        age = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("seconds", type_=Float))
        waits = (table.started_at.is_(None), table.created_at < func.now() - age)
        self._not_started = Statement(read.where(*waits).order_by(table.created_at).limit(bindparam("most")))

    async def next_number(self, connection: AsyncConnection) -> str:
        """A human-readable number that no case of this kind has had."""
        return f"{self._prefix}-{(await connection.execute(select(self._numbers.next_value()))).scalar_one()}"

    async def find(self, connection: AsyncConnection, id_or_number: str, *, lock: bool = False) -> Row[Any] | None:
        """A case by its id or number; with ``lock`` nobody else can move it until the transaction ends."""
        query = self.read.where((self._table.id == id_or_number) | (self._table.number == id_or_number))
        # Whoever refers to it need not wait.
        locked = query.with_for_update(of=self._table, key_share=True) if lock else query
        row: Row[Any] | None = (await connection.execute(locked)).first()
        return row

    async def find_named(self, connection: AsyncConnection, order_id: str, reference: str) -> Row[Any] | None:
        """The case of an order that the caller calls so."""
        query = self.read.where(self._table.order_id == order_id, self._table.reference == reference)
        row: Row[Any] | None = (await connection.execute(query)).first()
        return row

    async def change(self, connection: AsyncConnection, name: str, values: dict[str, Any]) -> None:
        """Write columns of a case that is locked."""
        await connection.execute(update(self._table).where(self._table.id == name).values(values))

    async def add_event(self, connection: AsyncConnection, name: str, event: dict[str, Any]) -> None:
        """Note what happened; an event noted before (same key) stays as it is."""
        values = {**event, self._owner: name}
        await connection.execute(insert(self._events).values(values).on_conflict_do_nothing())

    async def find_event(self, connection: AsyncConnection, name: str, key: str) -> Row[Any] | None:
        """One event of a case."""
        query = select(self._events.__table__).where(self._of == name, self._events.key == key)
        row: Row[Any] | None = (await connection.execute(query)).first()
        return row

    async def events(self, connection: AsyncConnection, name: str) -> list[Row[Any]]:
        """What happened to a case, oldest first."""
        query = select(self._events.__table__).where(self._of == name).order_by(self._events.at, self._events.key)
        return list(await connection.execute(query))

    async def newest(
        self, connection: AsyncConnection, query: Select[Any], *, after: tuple[datetime, str] | None, limit: int
    ) -> list[Row[Any]]:
        """A page of what ``query`` finds, newest first, after the case ``after``."""
        place = tuple_(self._table.created_at, self._table.id)
        listed = query.order_by(self._table.created_at.desc(), self._table.id.desc()).limit(limit)
        return list(await connection.execute(listed if after is None else listed.where(place < after)))

    async def mark_started(self, connection: AsyncConnection, name: str) -> None:
        """Note that the case's workflow has started."""
        unknown = self._table.started_at.is_(None)
        await connection.execute(
            update(self._table).where(self._table.id == name, unknown).values(started_at=func.now())
        )

    async def not_started(self, connection: AsyncConnection, *, older_than_seconds: float, limit: int) -> list[Record]:
        """Cases whose workflow is not known to have started, oldest first."""
        return await self._not_started.rows(connection, seconds=older_than_seconds, most=limit)

    async def open_after(self, connection: AsyncConnection, name: str, *, limit: int) -> list[Row[Any]]:
        """The next open cases, after ``name``, whose workflow started a minute ago or longer."""
        started = self._table.started_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 1)
        waits = (self._table.closed_at.is_(None), started, self._table.id > name)
        return list(await connection.execute(self.read.where(*waits).order_by(self._table.id).limit(limit)))
