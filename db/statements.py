"""Statements put into words once, and given to the driver as they stand.

SQLAlchemy composes a statement anew at every call and looks up what it made of it before; for the statements that
every order runs, that is most of their cost. A `Statement` is composed by SQLAlchemy at its first use, whatever its
values are later, and then spoken on the same connections and in the same transactions as all others.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import asyncpg
from sqlalchemy import BindParameter, ColumnElement, Dialect, SQLColumnExpression, literal_column
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.elements import ClauseElement

DRIVERS_OWN = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
"""what the driver raises of itself"""

_DIALECT: Dialect = dialect.dialect()  # type: ignore[no-untyped-call]


class Record(asyncpg.Record):  # type: ignore[misc]
    """A row, its columns by name or in their order."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    @property
    def _mapping(self) -> dict[str, Any]:
        """As SQLAlchemy's rows have it."""
        return dict(self.items())


@dataclass(frozen=True)
class _Value:
    """What is sent for one parameter: ``fixed``, or what the caller gives under ``name``."""

    name: str | None
    fixed: Any
    process: Callable[[Any], Any] | None

    def of(self, given: dict[str, Any]) -> Any:
        if self.name is None:
            return self.fixed
        value = given[self.name]
        return value if self.process is None else self.process(value)


class Statement:
    """One statement; what changes from call to call are its ``bindparam`` (or ``:name`` in a text).

    Values go to the driver as they are, but those of a ``bindparam`` whose type needs something else, as JSON does.
    """

    def __init__(self, composed: Executable) -> None:
        self._composed = composed
        self._sql = ""
        self._values: tuple[_Value, ...] = ()

    @property
    def sql(self) -> str:
        """Its words, as they are sent."""
        if not self._sql:
            self._compose()
        return self._sql

    async def rows(self, connection: AsyncConnection, /, **given: Any) -> list[Record]:
        """Execute it; all its rows. Raises what SQLAlchemy raises, and KeyError for a value that is not given."""
        sql = self.sql
        arguments = [value.of(given) for value in self._values]
        driver = driver_of(connection)
        try:
            found: list[Record] = await driver.fetch(sql, *arguments, record_class=Record)
        except DRIVERS_OWN as error:
            raise told_as_ever(error, driver, sql) from error
        return found

    async def first(self, connection: AsyncConnection, /, **given: Any) -> Record | None:
        """Its first row; None if there is none."""
        found = await self.rows(connection, **given)
        return found[0] if found else None

    async def scalar(self, connection: AsyncConnection, /, **given: Any) -> Any:
        """The first column of its first row; None if there is none."""
        found = await self.rows(connection, **given)
        return found[0][0] if found else None

    def _compose(self) -> None:
        if not isinstance(self._composed, ClauseElement):
            raise TypeError("a statement that can be composed")
        compiled: Any = self._composed.compile(dialect=_DIALECT)
        if compiled.post_compile_params:
            raise TypeError("a list of values has no fixed number of words: `one_of`, or an array")
        if compiled.insert_prefetch or compiled.update_prefetch:
            raise TypeError("a column's default is not reckoned here: name its value")
        fixed: dict[str, Any] = compiled.params
        self._values = tuple(_value(compiled.binds[name], fixed[name]) for name in compiled.positiontup or ())
        self._sql = compiled.string


def driver_of(connection: AsyncConnection) -> "asyncpg.Connection[Any]":
    """The driver's own connection beneath one of SQLAlchemy's."""
    beneath = connection.sync_connection
    if beneath is None:
        raise RuntimeError("the connection is not open")
    driver: asyncpg.Connection[Any] = beneath.connection.driver_connection
    return driver


def told_as_ever(error: Exception, driver: "asyncpg.Connection[Any]", sql: str) -> DBAPIError:
    """What SQLAlchemy makes of one of the driver's errors, without the values that were sent."""
    broken = isinstance(error, asyncpg.IntegrityConstraintViolationError)
    kind, lost = IntegrityError if broken else DBAPIError, driver.is_closed()
    return kind(sql, None, _Failure(error), hide_parameters=True, connection_invalidated=lost)


class _Failure(Exception):
    """The driver's error without its details: those quote the row that was to be written."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error.args[0] if error.args else ''}")
        self.__cause__ = error


def one_of(column: SQLColumnExpression[str], words: Iterable[StrEnum]) -> ColumnElement[bool]:
    """Whether a column holds one of the words of an enumeration, which stand in the statement itself.

    So PostgreSQL knows them when it plans, and uses the partial indexes that name them.
    """
    return column.in_([literal_column(f"'{word.value}'") for word in words])


def _value(bind: BindParameter[Any], fixed: Any) -> _Value:
    process = bind.type.dialect_impl(_DIALECT).bind_processor(_DIALECT)
    if bind.required:
        return _Value(bind.key, None, process)
    return _Value(None, fixed if process is None else process(fixed), None)
