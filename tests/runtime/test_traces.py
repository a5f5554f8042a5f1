"""Traces as the settings say: none, or to a collector; and nothing leaves that quotes anybody."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, format_trace_id
from temporalio.contrib.opentelemetry import TracingInterceptor

from runtime.otlp import Otlp
from runtime.settings import SettingsError
from runtime.traces import UNTRACED, open_traces
from tests.runtime.conftest import GOOD, Load

ROOT = Path(__file__).parents[2]
OUTSIDE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


class Traced:
    """A process that is traced, and what it has sent."""

    def __init__(self) -> None:
        self._sent = InMemorySpanExporter()
        self.traces = Otlp("waybill-test", self._sent)

    def spans(self) -> dict[str, ReadableSpan]:
        """Everything sent until now, by name. No more is sent afterwards."""
        self.traces.close()
        return {span.name: span for span in self._sent.get_finished_spans()}


@pytest.fixture
def traced() -> Iterator[Traced]:
    made = Traced()
    yield made
    made.traces.close()


def start(process: str, *, without: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """``process`` with settings that allow a start; the package ``without`` is not installed."""
    missing = f"import sys; sys.modules[{without!r}] = None; " if without else ""
    program = f"{missing}import {process}; raise SystemExit({process}.main())"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, env={**GOOD, **environment}, cwd=ROOT, capture_output=True, text=True, check=False)


def trace_of(span: ReadableSpan) -> str:
    context = span.get_span_context()
    assert context is not None
    return format_trace_id(context.trace_id)


def test_without_the_setting_nothing_of_it_is_loaded_and_nothing_is_done(load: Load) -> None:
    assert open_traces(load(), "waybill-web") is UNTRACED
    loaded = "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    program = f"import sys, worker\n{loaded}\nimport server\n{loaded}"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    by_worker, by_both = run.stdout.splitlines()
    assert by_worker == "[]"
    # The web framework loads the interface by itself, which does nothing.
    assert "opentelemetry.sdk" not in by_both
    assert "exporter" not in by_both


def test_a_missing_package_stops_the_start_and_says_which_install_brings_it() -> None:
    run = start("worker", without="opentelemetry.sdk", TRACES="otlp")
    assert run.returncode == 2
    assert "extra `traces`" in run.stderr
    assert "requirements.lock" in run.stderr


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "http/protobuf only"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317", "must begin with http:// or https://"),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https:///v1/traces", "must begin with http:// or https://"),
    ],
)
def test_what_the_standard_variables_ask_in_vain_stops_the_start(
    load: Load, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, says: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsError, match=says):
        open_traces(load(TRACES="otlp"), "waybill-web")


async def test_a_request_is_named_by_its_route_and_links_to_its_callers_trace(traced: Traced) -> None:
    app = FastAPI()
    seen: dict[str, Any] = {}

    @app.get("/orders/{order}")
    async def show(order: str) -> str:
        seen.update(traced.traces.ids(), here=traced.traces.here())
        return order

    traced.traces.watch(app)
    headers = {"traceparent": OUTSIDE, "tracestate": "vendor=margaret", "baggage": "name=margaret"}
    with traced.traces.continued(OUTSIDE):
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://shop.test") as http:
            await http.get("/orders/margaret?token=hush", headers=headers)
            await http.get("/nowhere/margaret")
    spans = traced.spans()
    assert set(spans) == {"GET /orders/{order}", "GET"}
    span = spans["GET /orders/{order}"]
    assert span.parent is None
    assert [format_trace_id(link.context.trace_id) for link in span.links] == [OUTSIDE.split("-")[1]]
    assert seen["here"].split("-")[1:3] == [seen["trace_id"], seen["span_id"]]
    assert seen["trace_id"] == trace_of(span) != OUTSIDE.split("-")[1]
    assert not any(word in each.to_json() for each in spans.values() for word in ("margaret", "hush", "token"))


async def test_a_request_that_breaks_shows_as_an_error_and_not_with_what_words(traced: Traced) -> None:
    app = FastAPI()

    @app.get("/breaks")
    async def breaks() -> None:
        raise ValueError("margaret.ellery@example.com")

    traced.traces.watch(app)
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://shop.test") as http:
        await http.get("/breaks")
    (span,) = traced.spans().values()
    assert span.status.status_code is StatusCode.ERROR
    assert "margaret" not in span.to_json()


def test_of_a_failed_activity_only_the_class_of_its_error_leaves(traced: Traced) -> None:
    (interceptor,) = traced.traces.interceptors
    assert isinstance(interceptor, TracingInterceptor)
    with (
        pytest.raises(ValueError, match="margaret"),
        interceptor.tracer.start_as_current_span("RunActivity:pay", attributes={"to": "margaret"}) as span,
    ):
        span.set_status(StatusCode.ERROR, "ValueError: margaret.ellery@example.com")
        raise ValueError("margaret.ellery@example.com")
    (sent,) = traced.spans().values()
    assert (sent.status.status_code, sent.status.description) == (StatusCode.ERROR, "ValueError")
    assert "margaret" not in sent.to_json()


def test_a_call_that_failed_shows_how_and_how_long_it_took(traced: Traced) -> None:
    told: list[tuple[str, str, str, float]] = []
    traced.traces.observing(lambda *call: told.append(call))("stripe", "capture", "throttled", 0.25)
    assert told == [("stripe", "capture", "throttled", 0.25)]
    span = traced.spans()["stripe capture"]
    assert span.status.status_code is StatusCode.ERROR
    assert dict(span.attributes or {}) == {
        "waybill.provider": "stripe",
        "waybill.step": "capture",
        "waybill.outcome": "throttled",
        "error.type": "throttled",
    }
    assert (span.end_time or 0) - (span.start_time or 0) == 250_000_000


def test_a_trace_is_continued_where_another_process_left_it_and_only_there(traced: Traced) -> None:
    observe = traced.traces.observing(lambda *_: None)
    with traced.traces.continued(OUTSIDE):
        assert traced.traces.ids()["trace_id"] == OUTSIDE.split("-")[1]
        observe("easypost", "track", "ok", 0.1)
    with traced.traces.continued(None):
        assert traced.traces.ids() == {}
    assert traced.traces.here() is None
    assert trace_of(traced.spans()["easypost track"]) == OUTSIDE.split("-")[1]
