"""One order, followed from the shop's request through its workflow to the providers, by two real processes."""

import asyncio
import json
import os
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from domain.orders import OrderStatus
from local.ports import free_port
from local.processes import answers
from runtime.codec import EncryptionCodec
from runtime.otlp import Otlp
from runtime.plugin import waybill_plugin
from runtime.settings import Settings
from runtime.traces import UNTRACED, Traces
from tests.ground import Ground
from tests.house import House, open_house
from tests.street import KEY_RING, ROOT, Street
from workflows.orders.workflow import OrderWorkflow

PRIVATE = ("ellery", "margaret", "prospect st", "token=", "bearer", "sk_test", "eztk")
"""parts of the customer's name, address and street, and of secrets, in lower case"""


@dataclass
class Told:
    """What an order's journey left behind."""

    number: str = ""
    history: WorkflowHistory | None = None
    spans: list[tuple[str, Span]] = field(default_factory=list)
    """with the service that each is of"""
    raw: list[bytes] = field(default_factory=list)
    lines: list[dict[str, Any]] = field(default_factory=list)
    """of the logs of both processes, at DEBUG"""

    def one(self, name: str) -> Span:
        """The first span of this name."""
        return next(span for _, span in self.spans if span.name == name)

    def way(self, span: Span) -> list[str]:
        """The names from the trace's first span down to this one."""
        by_id = {each.span_id: each for _, each in self.spans if each.trace_id == span.trace_id}
        names = [span.name]
        while span.parent_span_id:
            span = by_id[span.parent_span_id]
            names.insert(0, span.name)
        return names


@pytest.fixture(scope="module")
async def told(street: Street, kept_ground: Ground, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """An order is placed, paid, shipped and delivered; its page is read."""
    told, folder = Told(), tmp_path_factory.mktemp("traces")
    with collector(told) as endpoint:
        await kept_ground.clear()
        async with open_house(street, kept_ground, running=lambda s: two_processes(s, endpoint, folder)) as house:
            await journey(house, told)
    told.lines = [json.loads(line) for log in folder.glob("*.log") for line in log.read_text().splitlines()]
    return told


async def journey(house: House, told: Told) -> None:
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 2})
    shown = (await house.http.get(f"/v1/orders/{order}")).json()
    told.number = shown["number"]
    assert (await house.http.get(shown["links"]["page"])).is_success
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    told.history = await house.handle(order).fetch_history()


@asynccontextmanager
async def two_processes(settings: Settings, endpoint: str, folder: Path) -> AsyncIterator[None]:
    """Web and worker as in production, traced, and as talkative as they can be."""
    given = settings.model_dump(mode="json", exclude_none=True)
    environment = {name.upper(): ",".join(v) if isinstance(v, list) else str(v) for name, v in given.items()}
    worker_port = free_port()
    changes = {
        "WORKER_PORT": str(worker_port),
        "LOG_LEVEL": "DEBUG",
        "TRACES": "otlp",
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
        "PATH": os.defpath,
    }
    processes = []
    for name in ("server", "worker"):
        with (folder / f"{name}.log").open("wb") as log:
            processes.append(
                await asyncio.create_subprocess_exec(
                    sys.executable, f"{name}.py", cwd=ROOT, env={**environment, **changes}, stdout=log, stderr=log
                )
            )
    try:
        async with asyncio.timeout(60):
            for port in (settings.web_port, worker_port):
                while not await answers(f"http://127.0.0.1:{port}/readyz"):  # noqa: ASYNC110 - it is another process
                    await asyncio.sleep(0.02)
        yield
    finally:
        for process in processes:
            process.terminate()
        assert [await process.wait() for process in processes] == [0, 0]


@contextmanager
def collector(told: Told) -> Iterator[str]:
    """A collector of OpenTelemetry's protocol on this machine; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.raw.append(body)
            for process in ExportTraceServiceRequest.FromString(body).resource_spans:
                names = {a.key: a.value.string_value for a in process.resource.attributes}
                told.spans += [(names["service.name"], s) for scope in process.scope_spans for s in scope.spans]
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


async def test_one_trace_goes_from_the_shops_request_to_the_providers_call(told: Told) -> None:
    services = {span.name: service for service, span in told.spans}
    call = told.one("stripe authorise")
    assert told.way(call) == [
        "POST /v1/orders",
        "StartWorkflow:Order",
        "StartActivity:authorise_payment",
        "RunActivity:authorise_payment",
        "stripe authorise",
    ]
    assert told.way(told.one("RunWorkflow:Order")) == ["POST /v1/orders", "StartWorkflow:Order", "RunWorkflow:Order"]
    assert (services["POST /v1/orders"], services["RunWorkflow:Order"]) == ("waybill-web", "waybill-worker")
    assert attributes(call) == {
        "waybill.provider": "stripe",
        "waybill.step": "authorise",
        "waybill.outcome": "ok",
        "waybill.activity": "authorise_payment",
        "waybill.attempt": 1,
    }
    assert call.end_time_unix_nano > call.start_time_unix_nano


async def test_a_webhooks_trace_goes_on_to_the_signal_and_the_orders_trace_links_to_it(told: Told) -> None:
    wake = told.one("SignalWorkflow:wake")
    assert told.way(wake) == ["POST /webhooks/{provider}", "SignalWorkflow:wake"]
    handled = told.one("HandleSignal:wake")
    assert handled.trace_id == told.one("POST /v1/orders").trace_id
    assert [link.trace_id for link in handled.links] == [wake.trace_id]
    assert ["POST /webhooks/{provider}", "easypost track"] in [told.way(span) for _, span in told.spans]


async def test_spans_name_the_route_and_nothing_that_was_typed(told: Told) -> None:
    page = attributes(told.one("GET /orders/{order}"))
    assert page == {"http.request.method": "GET", "http.route": "/orders/{order}", "http.response.status_code": 200}
    assert hidden(b"".join(told.raw).decode(errors="replace")) == []


async def test_the_logs_of_an_order_name_it_and_its_trace_and_nobody(told: Told) -> None:
    trace = told.one("POST /v1/orders").trace_id.hex()
    (accepted,) = [line for line in told.lines if line["event"] == "request" and line["route"] == "/v1/orders"]
    assert (accepted["order"], accepted["trace_id"]) == (told.number, trace)
    paid = [line for line in told.lines if line.get("activity") == "authorise_payment"]
    assert {(line["order"], line["order_id"], line["trace_id"]) for line in paid} == {
        (told.number, accepted["order_id"], trace)
    }
    by_temporal = [line for line in told.lines if line["logger"] == "temporalio.activity"]
    assert {line["order_id"] for line in by_temporal} == {accepted["order_id"]}
    assert {line["level"] for line in told.lines} >= {"debug", "info"}
    assert hidden(json.dumps(told.lines)) == []


@pytest.mark.parametrize("traced", [True, False])
async def test_an_order_that_was_traced_replays_with_and_without_traces_and_makes_no_spans_again(
    told: Told, traced: bool
) -> None:
    made = InMemorySpanExporter()
    traces: Traces = Otlp("replay", made) if traced else UNTRACED
    plugin = waybill_plugin(EncryptionCodec(KEY_RING), traces)
    assert told.history is not None
    await Replayer(workflows=[OrderWorkflow], plugins=[plugin]).replay_workflow(told.history)
    traces.close()
    assert [span.name for span in made.get_finished_spans()] == []


def attributes(span: Span) -> dict[str, Any]:
    kinds = {a.key: a.value.WhichOneof("value") for a in span.attributes}
    return {a.key: getattr(a.value, str(kinds[a.key])) for a in span.attributes}


def hidden(text: str) -> list[str]:
    return [word for word in PRIVATE if word in text.lower()]
