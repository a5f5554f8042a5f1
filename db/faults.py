"""Which failures mean that PostgreSQL is away for now, so that the same thing may be tried again later."""

import asyncpg
from sqlalchemy.exc import DBAPIError

FAULTS: tuple[type[Exception], ...] = (
    DBAPIError,
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""Everything that talking to the database can raise; `is_away` tells those apart that pass."""

_PASSING_CLASSES = ("08", "53", "57")
"""SQLSTATE classes: connection exception, insufficient resources, operator intervention (PostgreSQL, appendix A)"""


def is_away(error: BaseException) -> bool:
    """Whether ``error`` says that the database cannot be reached, starts, stops, is full or too slow."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (error.orig is not None and _passes(error.orig))
    return _passes(error)


def _passes(error: BaseException) -> bool:
    cause = error.__cause__
    state = getattr(error, "sqlstate", None) or getattr(cause, "sqlstate", None)
    if isinstance(state, str):
        return state.startswith(_PASSING_CLASSES)
    # The last is what a server's farewell looks like that arrives just when a statement is to be sent.
    passing = (OSError, TimeoutError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return isinstance(error, passing) or isinstance(cause, passing)
