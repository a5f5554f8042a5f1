"""Traces: which way an order took, from the request through its workflow to the provider, and how long each step was.

Off, which is the default, nothing of them is loaded and nothing is done. On, `runtime.otlp` makes them.
"""

import importlib
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Protocol

from starlette.applications import Starlette
from temporalio import client, worker

from integrations.observing import Observe
from runtime.settings import Settings, SettingsError, TracesTo

Interceptor = client.Interceptor | worker.Interceptor

_MISSING = (
    "TRACES=otlp needs packages that are not installed: those of the extra `traces` in pyproject.toml. They are in "
    "requirements.lock: `make setup`, or `pip install --require-hashes -r requirements.lock`."
)


class Traces(Protocol):
    """What a process does to be traced."""

    @property
    def interceptors(self) -> tuple[Interceptor, ...]:
        """For the Temporal plugin: what client, worker and replayer do around each call."""

    def watch(self, app: Starlette) -> None:
        """Trace every request that ``app`` will serve. To be called once nothing else is put around it."""

    def observing(self, observe: Observe) -> Observe:
        """``observe``, which tells the trace as well."""

    def here(self) -> str | None:
        """Where in which trace this is, as a W3C ``traceparent``; None outside of one."""

    def continued(self, traceparent: str | None) -> AbstractContextManager[None]:
        """A block that belongs to the trace where ``traceparent`` was; without one it belongs to none."""

    def ids(self) -> Mapping[str, str]:
        """``trace_id`` and ``span_id``, for a log line; empty outside of a trace."""

    def close(self) -> None:
        """Send what was not sent yet, within two seconds."""


class Untraced:
    """No traces."""

    interceptors: tuple[Interceptor, ...] = ()

    def watch(self, app: Starlette) -> None:
        """See `Traces`."""

    def observing(self, observe: Observe) -> Observe:
        """See `Traces`."""
        return observe

    def here(self) -> str | None:
        """See `Traces`."""
        return None

    def continued(self, traceparent: str | None) -> AbstractContextManager[None]:
        """See `Traces`."""
        return nullcontext()

    def ids(self) -> Mapping[str, str]:
        """See `Traces`."""
        return {}

    def close(self) -> None:
        """See `Traces`."""


UNTRACED: Final = Untraced()


def open_traces(settings: Settings, service: str) -> Traces:
    """The traces of a process that calls itself ``service``, as the settings say.

    Raises SettingsError if packages are missing or a standard variable (`OTEL_…`) asks for what is not there.
    """
    if settings.traces is TracesTo.OFF:
        return UNTRACED
    try:
        # Loaded here alone, so that an installation without traces does without their packages.
        otlp = importlib.import_module("runtime.otlp")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "opentelemetry":
            raise
        raise SettingsError(_MISSING) from error
    opened: Traces = otlp.open_traces(service)
    return opened
