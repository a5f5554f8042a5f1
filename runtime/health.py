"""The worker's own small HTTP server: does it live, is it ready, what does it measure."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Gauge, Histogram, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from integrations.breaker import BreakerState


class WorkerMetrics:
    """What a worker measures. Labels are bounded and never personal."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._calls = Histogram(
            "waybill_provider_call_seconds",
            "Time of calls to providers, by provider, operation and outcome.",
            ["provider", "operation", "outcome"],
            registry=self.registry,
        )
        self._breakers = Gauge(
            "waybill_provider_breaker",
            "State of the circuit breaker: 1 for the state that it is in, by provider.",
            ["provider", "state"],
            registry=self.registry,
        )

    def breaker(self, provider: str, state: BreakerState) -> None:
        """A circuit breaker has changed its state; fits `integrations.breaker.OnChange`."""
        for each in BreakerState:
            self._breakers.labels(provider, each.value).set(each is state)

    def provider_call(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        """One call to a provider; fits `integrations.observing.Observe`."""
        self._calls.labels(provider, operation, outcome).observe(seconds)


def health_app(metrics: WorkerMetrics, ready: Callable[[], Awaitable[dict[str, bool]]]) -> Starlette:
    """`/healthz`, `/readyz` and `/metrics`; ``ready`` names what the worker needs and whether each answers."""

    async def healthz(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def readyz(_: Request) -> Response:
        parts = await ready()
        return JSONResponse({"ready": all(parts.values()), **parts}, 200 if all(parts.values()) else 503)

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", scrape)])


class HealthServer(uvicorn.Server):
    """Uvicorn without its signal handlers: the worker has its own."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield


def health_server(app: Starlette, *, host: str, port: int) -> HealthServer:
    """A server for ``app``; run it with `serve()`, end it by `should_exit`."""
    return HealthServer(uvicorn.Config(app, host=host, port=port, log_config=None, access_log=False, lifespan="off"))
