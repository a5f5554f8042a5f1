"""Logs: one JSON object a line on standard output, for our own events and those of the libraries.

No personal data: our events carry ids, kinds and counts; of an exception its class and the places it passed are kept,
never its text, since a text may quote what a customer typed or what the database was sent.

A line that belongs to an order says so: ``order_id``, and ``order`` (its number) where that is known; to a request:
``request_id``; to an activity: ``activity`` and ``attempt``; to a trace: ``trace_id`` and ``span_id``.
"""

import logging
import sys
import traceback
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from typing import Any, TextIO

import structlog
from temporalio import activity
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from domain.orders import workflow_id

_QUIET = ("httpx2", "httpcore2", "asyncio", "sqlalchemy", "urllib3")
"""Libraries whose lines below WARNING would repeat ours, or show addresses with ids in them."""


_ACTIVITY: ContextVar[Mapping[str, object]] = ContextVar("waybill_activity", default={})  # noqa: B039 - never written
"""what lines say of the activity that they are written in: one variable: structlog binds one for each word"""
Also = Callable[[], Mapping[str, str]]
"""What a line says besides, asked when it is written: where in which trace it is."""


def configure_logs(level: str, *, also: Also = dict) -> None:
    """Send everything at or above ``level`` (`DEBUG`, `INFO`, …) to standard output. Raises ValueError for another."""

    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {**also(), **_ACTIVITY.get(), **event}

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        add,
        _with_order,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_error_text,
    ]
    json = structlog.processors.JSONRenderer(ensure_ascii=False)
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, json],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    # Our own lines need not pass the standard library, which makes a record of each, and a copy to format it.
    structlog.configure(
        processors=[*shared, json],
        logger_factory=partial(_Lines, sys.stdout),
        wrapper_class=structlog.make_filtering_bound_logger(root.level),
        cache_logger_on_first_use=False,
    )


class _Lines:
    """Writes lines. What cannot be written, as on a full disk, is lost and fails nobody, as with the library's."""

    def __init__(self, to: TextIO, name: str) -> None:
        self.name = name
        self._to = to

    def write(self, line: str) -> None:
        """One line, at once."""
        with suppress(OSError, ValueError):
            self._to.write(f"{line}\n")
            self._to.flush()

    debug = info = warning = error = critical = write


class NamedInLogs(Interceptor):
    """Every line of an activity names it and its order, also those that Temporal writes of it."""

    def __init__(self, also: Also = dict) -> None:
        self._also = also

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """See the base class."""
        return _Named(next, self._also)


class _Named(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, also: Also) -> None:
        super().__init__(next)
        self._also = also

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = activity.info()
        named = {"activity": info.activity_type, "attempt": info.attempt, **_order(info.workflow_id), **self._also()}
        number = getattr(input.args[0], "order_number", None) if input.args else None
        if isinstance(number, str):
            named["order"] = number
        # Left in place: each activity is a task with a context of its own, in which Temporal says how it ended.
        _ACTIVITY.set(named)
        return await super().execute_activity(input)


def _with_order(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What Temporal itself writes of a workflow or an activity has beside it whose it is."""
    for kind in ("temporal_workflow", "temporal_activity"):
        details = getattr(event.get("_record"), kind, None)
        if isinstance(details, Mapping):
            event.update(_order(details.get("workflow_id")))
    return event


def _order(workflow: str | None) -> dict[str, str]:
    prefix = workflow_id("")
    return {"order_id": workflow.removeprefix(prefix)} if workflow and workflow.startswith(prefix) else {}


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
