"""Logs: one JSON object a line on standard output, for our own events and those of the libraries.

No personal data: our events carry ids, kinds and counts; of an exception its class and the places it passed are kept,
never its text, since a text may quote what a customer typed or what the database was sent.
"""

import logging
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any

import structlog

_QUIET = ("httpx2", "httpcore2", "asyncio", "sqlalchemy")
"""Libraries whose lines below WARNING would repeat ours, or show addresses with ids in them."""


def configure_logs(level: str) -> None:
    """Send everything at or above ``level`` (`DEBUG`, `INFO`, …) to standard output. Raises ValueError for another."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_error_text,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))


def _without_error_text(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    error = _error(event.pop("exc_info", None))
    if error is not None:
        walked = list(traceback.extract_tb(error.__traceback__))
        # Ours first of all: an error of a library would else show nothing but its insides.
        frames = [frame for frame in walked if "site-packages" not in frame.filename][-8:] + walked[-4:]
        event["error"] = type(error).__name__
        event["frames"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
    return event


def _error(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    if isinstance(given, tuple) and len(given) == 3:
        return given[1] if isinstance(given[1], BaseException) else None
    return sys.exc_info()[1] if given else None
