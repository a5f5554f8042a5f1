"""A worker that is killed between two statements."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from db import base
from db.base import Database
from db.statements import Statement


class Killed(BaseException):
    """The worker is killed."""


@contextmanager
def killed_at(database: Database, statement: int) -> Iterator[list[str]]:
    """The worker is killed just before its ``statement``-th statement; those that it came to, COMMIT among them."""
    seen: list[str] = []

    def count(text: str) -> None:
        seen.append(text)
        if len(seen) == statement:
            raise Killed

    def executes(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        count(text)

    async def says(driver: Any, text: str) -> Any:
        if text == "COMMIT":
            count(text)
        return await say(driver, text)

    async def asks(self: Statement, connection: AsyncConnection, /, **given: Any) -> Any:
        count("a statement composed once")
        return await rows(self, connection, **given)

    say, rows, engine = base._say, Statement.rows, database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", executes)
    try:
        # Nothing between the activities and the driver can be asked to fail: these two are how they speak to it.
        with patch.object(base, "_say", says), patch.object(Statement, "rows", asks):
            yield seen
    finally:
        event.remove(engine, "before_cursor_execute", executes)
