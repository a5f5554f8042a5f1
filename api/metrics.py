"""The web process's measures, in a registry of its own. Labels are bounded and never personal."""

from collections.abc import Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest


@dataclass(frozen=True)
class Standing:
    """Counts that the database knows: exceptions by kind, holds by reason, orders and inbox rows by status, queues."""

    exceptions: Mapping[str, int]
    holds: Mapping[str, int]
    orders: Mapping[str, int]
    inbox: Mapping[str, int]
    waiting_units: Mapping[str, int]
    waiting_orders: Mapping[str, int]


class WebMetrics:
    """Everything that `/metrics` tells."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "waybill_http_request_seconds",
            "Time to answer a request, by method, route template and status.",
            ["method", "route", "status"],
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self._registry,
        )
        self._accepted = Counter(
            "waybill_orders_accepted", "Orders accepted, repeats not counted.", registry=self._registry
        )
        self._webhooks = Counter(
            "waybill_webhooks", "Webhooks, by provider and outcome.", ["provider", "outcome"], registry=self._registry
        )
        self._rejections = Counter(
            "waybill_rejections",
            "Fulfilments that warehouses rejected, whole or in part, by reason and warehouse.",
            ["reason", "warehouse"],
            registry=self._registry,
        )
        self._calls = Histogram(
            "waybill_provider_call_seconds",
            "Time of calls to providers, by provider, operation and outcome.",
            ["provider", "operation", "outcome"],
            registry=self._registry,
        )
        self._database = Gauge(
            "waybill_database_up", "1 if the database answered this scrape.", registry=self._registry
        )
        self._exceptions = self._counted(
            "waybill_open_exceptions", "Exceptions that wait for a person, by kind.", "kind"
        )
        self._holds = self._counted("waybill_standing_holds", "Holds that stop their orders, by reason.", "reason")
        self._orders = self._counted("waybill_orders", "Orders, by status.", "status")
        self._inbox = self._counted("waybill_inbox_events", "Provider events not applied, by status.", "status")
        self._waiting_units = self._counted("waybill_waiting_units", "Units that orders wait for, by queue.", "queue")
        self._waiting_orders = self._counted("waybill_waiting_orders", "Orders that wait for units, by queue.", "queue")

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One answered request; ``status`` 0 where the caller went away first."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def order_accepted(self) -> None:
        """One new order."""
        self._accepted.inc()

    def webhook(self, provider: str, outcome: str) -> None:
        """One webhook of a provider that we know."""
        self._webhooks.labels(provider, outcome).inc()

    def rejected(self, reason: str, warehouse: str) -> None:
        """One rejection by a warehouse."""
        self._rejections.labels(reason, warehouse).inc()

    def provider_call(self, provider: str, operation: str, outcome: str, seconds: float) -> None:
        """One call to a provider; fits `integrations.observing.Observe`."""
        self._calls.labels(provider, operation, outcome).observe(seconds)

    def render(self, standing: Standing | None) -> bytes:
        """The text that Prometheus reads. Without ``standing`` the database did not answer: no counts."""
        self._database.set(0 if standing is None else 1)
        self._fill(self._exceptions, standing.exceptions if standing else {})
        self._fill(self._holds, standing.holds if standing else {})
        self._fill(self._orders, standing.orders if standing else {})
        self._fill(self._inbox, standing.inbox if standing else {})
        self._fill(self._waiting_units, standing.waiting_units if standing else {})
        self._fill(self._waiting_orders, standing.waiting_orders if standing else {})
        return generate_latest(self._registry)

    def _counted(self, name: str, text: str, label: str) -> Gauge:
        return Gauge(name, text, [label], registry=self._registry)

    @staticmethod
    def _fill(gauge: Gauge, counts: Mapping[str, int]) -> None:
        gauge.clear()
        for label, count in counts.items():
            gauge.labels(label).set(count)
