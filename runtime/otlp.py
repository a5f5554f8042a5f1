"""Traces by OpenTelemetry, sent to a collector by OTLP over HTTP. Loaded only where `TRACES=otlp` says so.

The standard variables hold: `OTEL_EXPORTER_OTLP_ENDPOINT`, `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`,
`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES` and their like, as the OpenTelemetry specification describes them.

Our tracer is never the process's global one: no library can add spans of its own, with addresses and texts that we do
not know. What leaves passes one gate, `Discreet`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import (
    Link,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
    format_span_id,
    format_trace_id,
    get_current_span,
    use_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from temporalio import activity
from temporalio.contrib.opentelemetry import TracingInterceptor

from integrations.observing import Observe
from runtime.settings import SettingsError
from runtime.traces import Interceptor

_WITHIN_SECONDS = 2.0
_W3C = TraceContextTextMapPropagator()
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
_KNOWN = frozenset(
    {
        "http.request.method",
        "http.route",
        "http.response.status_code",
        "error.type",
        "temporalWorkflowID",
        "temporalRunID",
        "temporalActivityID",
        "waybill.provider",
        "waybill.step",
        "waybill.outcome",
        "waybill.activity",
        "waybill.attempt",
    }
)
"""The attributes that may leave. None of them can be personal: ids of ours, words of ours, numbers."""


def open_traces(service: str) -> "Otlp":
    """Traces to the collector that the standard variables name, by default on this machine.

    Raises SettingsError for a variable that asks for what is not there.
    """
    protocol = _variable("PROTOCOL", "http/protobuf")
    if protocol != "http/protobuf":
        raise SettingsError("OTEL_EXPORTER_OTLP_PROTOCOL: traces are sent by http/protobuf only; leave it empty.")
    endpoint = urlsplit(_variable("ENDPOINT", "http://127.0.0.1:4318"))
    if endpoint.scheme not in {"http", "https"} or not endpoint.hostname:
        raise SettingsError("OTEL_EXPORTER_OTLP_ENDPOINT must begin with http:// or https:// and name a host.")
    return Otlp(service, OTLPSpanExporter())


def _variable(name: str, otherwise: str) -> str:
    variables = (f"OTEL_EXPORTER_OTLP_TRACES_{name}", f"OTEL_EXPORTER_OTLP_{name}")
    return next((value for variable in variables if (value := os.environ.get(variable))), otherwise)


class Otlp:
    """Makes spans and sends them through ``exporter``, many at a time and in a thread of their own."""

    def __init__(self, service: str, exporter: SpanExporter) -> None:
        ours = Resource({"service.name": service, "service.namespace": "waybill"})
        # What the operator's variables say of this process stands above what we call it.
        self._provider = TracerProvider(resource=ours.merge(OTELResourceDetector().detect()), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(Discreet(exporter)))
        self._tracer = self._provider.get_tracer("waybill")
        self.interceptors: tuple[Interceptor, ...] = (TracingInterceptor(self._tracer),)

    def watch(self, app: Starlette) -> None:
        """See `Traces`."""
        app.add_middleware(_Requests, tracer=self._tracer)

    def observing(self, observe: Observe) -> Observe:
        """See `Traces`."""

        def both(provider: str, operation: str, outcome: str, seconds: float) -> None:
            observe(provider, operation, outcome, seconds)
            self._provider_call(provider, operation, outcome, seconds)

        return both

    def here(self) -> str | None:
        """See `Traces`."""
        carrier: dict[str, str] = {}
        _W3C.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def continued(self, traceparent: str | None) -> Iterator[None]:
        """See `Traces`."""
        with use_span(get_current_span(_remote(traceparent))):
            yield

    def ids(self) -> Mapping[str, str]:
        """See `Traces`."""
        context = get_current_span().get_span_context()
        if not context.is_valid:
            return {}
        return {"trace_id": format_trace_id(context.trace_id), "span_id": format_span_id(context.span_id)}

    def close(self) -> None:
        """See `Traces`."""
        # A collector that does not answer would hold the process up for as long as its own patience lasts.
        closing = threading.Thread(target=self._provider.shutdown, daemon=True)
        closing.start()
        closing.join(_WITHIN_SECONDS)

    def _provider_call(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        ended = time.time_ns()
        attributes: dict[str, str | int] = {
            "waybill.provider": provider,
            "waybill.step": operation,
            "waybill.outcome": outcome,
        }
        if activity.in_activity():
            info = activity.info()
            attributes |= {"waybill.activity": info.activity_type, "waybill.attempt": info.attempt}
        if outcome != "ok":
            attributes["error.type"] = outcome
        span = self._tracer.start_span(
            f"{provider} {operation}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=ended - int(seconds * 1_000_000_000),
        )
        if outcome != "ok":
            span.set_status(StatusCode.ERROR)
        span.end(ended)


class Discreet(SpanExporter):
    """Lets through what is known to be nobody's business: names, times, links, known attributes, classes of errors.

    Temporal's interceptor writes the texts and stack traces of errors into its spans, and texts may quote customers.
    """

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """See the base class."""
        return self._exporter.export([_discreet(span) for span in spans])

    def shutdown(self) -> None:
        """See the base class."""
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """See the base class."""
        return self._exporter.force_flush(timeout_millis)


def _discreet(span: ReadableSpan) -> ReadableSpan:
    kind = (span.status.description or "").partition(":")[0]
    failed = span.status.status_code is StatusCode.ERROR
    return ReadableSpan(
        span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes={name: value for name, value in (span.attributes or {}).items() if name in _KNOWN},
        links=[Link(link.context) for link in span.links],
        kind=span.kind,
        status=Status(StatusCode.ERROR, kind if kind.isidentifier() else None) if failed else span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


class _Requests:
    """A span for every request, named by its route's template: paths and queries hold ids, words and tokens.

    A caller's own trace is linked to and not continued: who calls from outside decides neither what is sampled here
    nor into which trace an order's whole life goes.
    """

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in _PROBES:
            await self._app(scope, receive, send)
            return
        status: list[int] = []
        with self._tracer.start_as_current_span(
            "HTTP",
            context=Context(),
            kind=SpanKind.SERVER,
            links=_links(Headers(scope=scope).get("traceparent")),
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                await self._app(scope, receive, _noting(send, status))
            finally:
                name, attributes = _request(scope, status)
                span.update_name(name)
                span.set_attributes(attributes)
                if not status or status[0] >= 500:
                    span.set_status(StatusCode.ERROR)


def _noting(send: Send, status: list[int]) -> Callable[[Message], Any]:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])
        await send(message)

    return noting


def _request(scope: Scope, status: list[int]) -> tuple[str, dict[str, str | int]]:
    method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
    route = getattr(scope.get("route"), "path", None)
    attributes: dict[str, str | int] = {"http.request.method": method}
    if route is not None:
        attributes["http.route"] = route
    if status:
        attributes["http.response.status_code"] = status[0]
    return f"{method} {route}" if route else method, attributes


def _links(traceparent: str | None) -> list[Link]:
    context = _span(traceparent)
    return [Link(context)] if context.is_valid else []


def _span(traceparent: str | None) -> SpanContext:
    return get_current_span(_remote(traceparent)).get_span_context()


def _remote(traceparent: str | None) -> Context:
    return _W3C.extract({"traceparent": traceparent} if traceparent else {}, Context())
