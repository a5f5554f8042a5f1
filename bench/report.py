"""What was measured, beside its goals: a table for people, a line of JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.table import Table

MOST_EVENTS = 60
LEAST_RATIO = 0.4
LEAST_HOLDING_RATIO = 0.5
MOST_CPU_MS = 150
MOST_TIMES_A_START = 2.5
MOST_LIST_MS = 15
MOST_SEARCH_MS = 10


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Processor milliseconds for each order, by process. The sandbox is provider, carrier and mail server."""

    temporal: float
    worker: float
    web: float
    postgres: float
    sandbox: float

    @classmethod
    def of(cls, seconds: Mapping[str, float], *, orders: int) -> "Cpu":
        """From what the stack's processes have used for so many orders."""
        each = {name: used * 1000 / orders for name, used in seconds.items()}
        return cls(
            temporal=each["temporal"],
            worker=each["worker"],
            web=each["web"],
            postgres=each["postgres"],
            sandbox=each["sandbox"] + each["mail"],
        )

    @property
    def total(self) -> float:
        """All processes."""
        return self.ours + self.sandbox

    @property
    def ours(self) -> float:
        """Without those who stand in for others."""
        return self.temporal + self.worker + self.web + self.postgres


@dataclass(frozen=True, kw_only=True)
class Holding:
    """Reservations a second over many SKUs and of a single one, each beside its floor; milliseconds of a routing."""

    reservations_per_second: float
    pg_floor: float
    hot_sku_per_second: float
    hot_sku_floor: float
    route_ms: float

    @property
    def rows(self) -> Sequence["Row"]:
        """The table's lines."""
        many = self.reservations_per_second / self.pg_floor
        hot = self.hot_sku_per_second / self.hot_sku_floor
        goal = f"at least {LEAST_HOLDING_RATIO}"
        return (
            Row("reservations a second, 200 SKUs", f"{self.reservations_per_second:.0f} of {self.pg_floor:.0f} bare"),
            Row("their ratio", f"{many:.2f}", goal).met(many >= LEAST_HOLDING_RATIO),
            Row("reservations a second, one SKU", f"{self.hot_sku_per_second:.0f} of {self.hot_sku_floor:.0f} bare"),
            Row("their ratio, one SKU", f"{hot:.2f}", goal).met(hot >= LEAST_HOLDING_RATIO),
            Row("routing 10 lines over 50 warehouses, p50", f"{self.route_ms:.1f} ms"),
        )


@dataclass(frozen=True, kw_only=True)
class Measures:
    """Everything that `make bench` measures. Times are milliseconds, memory millions of bytes."""

    events_per_order: int
    executions_per_order: float
    orders_per_second: float
    floor_per_second: float
    cpu: Cpu
    accept_p50_ms: float
    accept_p99_ms: float
    start_p50_ms: float
    worker_mb: float
    list_p50_ms: float
    search_p50_ms: float
    stack_mb: float
    holding: Holding

    @property
    def ratio(self) -> float:
        """How near to the floor orders come."""
        return self.orders_per_second / self.floor_per_second

    @property
    def line(self) -> str:
        """The last line."""
        cpu = {name: round(getattr(self.cpu, name)) for name in ("total", *_CPU_PARTS)}
        return json.dumps(
            {
                "events_per_order": self.events_per_order,
                "executions_per_order": _short(self.executions_per_order),
                "orders_per_second": round(self.orders_per_second, 1),
                "floor_per_second": round(self.floor_per_second, 1),
                "ratio": round(self.ratio, 2),
                "cpu_ms_per_order": cpu,
                "accept_p50_ms": round(self.accept_p50_ms, 1),
                "accept_p99_ms": round(self.accept_p99_ms, 1),
                "start_p50_ms": round(self.start_p50_ms, 1),
                "worker_mb": round(self.worker_mb),
                "list_p50_ms": round(self.list_p50_ms, 1),
                "search_p50_ms": round(self.search_p50_ms, 1),
                "stack_mb": round(self.stack_mb),
                **{name: round(value, 1) for name, value in vars(self.holding).items()},
            }
        )

    @property
    def rows(self) -> Sequence["Row"]:
        """The table's lines."""
        parts = ", ".join(f"{name} {getattr(self.cpu, name):.0f}" for name in _CPU_PARTS)
        accept = self.accept_p50_ms / self.start_p50_ms
        return (
            Row("history events of an order", f"{self.events_per_order}", f"at most {MOST_EVENTS}").met(
                self.events_per_order <= MOST_EVENTS
            ),
            Row("workflow executions of an order", f"{_short(self.executions_per_order)}", "1").met(
                self.executions_per_order == 1
            ),
            Row("orders a second, placed to delivered", f"{self.orders_per_second:.1f}"),
            Row("bare workflows a second", f"{self.floor_per_second:.1f}"),
            Row("ratio of the two", f"{self.ratio:.2f}", f"at least {LEAST_RATIO}").met(self.ratio >= LEAST_RATIO),
            Row("processor ms an order, without sandbox", f"{self.cpu.ours:.0f}", f"at most {MOST_CPU_MS}").met(
                self.cpu.ours <= MOST_CPU_MS
            ),
            Row("processor ms an order, all", f"{self.cpu.total:.0f} ({parts})"),
            Row("a bare start, p50", f"{self.start_p50_ms:.1f} ms"),
            Row(
                "accepting, p50", f"{self.accept_p50_ms:.1f} ms = {accept:.2f} starts", f"at most {MOST_TIMES_A_START}"
            ).met(accept <= MOST_TIMES_A_START),
            Row("accepting, p99", f"{self.accept_p99_ms:.1f} ms"),
            Row("the worker's memory, orders waiting", f"{self.worker_mb:.0f} MB"),
            Row("the whole stack's memory", f"{self.stack_mb:.0f} MB"),
            *self.holding.rows,
            *reading_rows(self.list_p50_ms, self.search_p50_ms),
        )


@dataclass(frozen=True)
class Row:
    """A line of the table; without a ``goal`` there is nothing to meet."""

    measure: str
    measured: str
    goal: str = ""
    is_met: bool | None = field(default=None)

    def met(self, is_met: bool) -> "Row":
        """The same with its verdict."""
        return Row(self.measure, self.measured, self.goal, is_met)


def reading_rows(list_p50_ms: float, search_p50_ms: float, *, over: str = "") -> Sequence[Row]:
    """The lines about lists and searches; ``over`` says over how many orders."""
    return (
        Row(f"a list of orders, p50{over}", f"{list_p50_ms:.1f} ms", f"at most {MOST_LIST_MS}").met(
            list_p50_ms <= MOST_LIST_MS
        ),
        Row(f"a search, p50{over}", f"{search_p50_ms:.1f} ms", f"at most {MOST_SEARCH_MS}").met(
            search_p50_ms <= MOST_SEARCH_MS
        ),
    )


def table(rows: Sequence[Row]) -> Table:
    """What was measured, its goals, and whether each was met."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    drawn.add_column("Measure", no_wrap=True)
    drawn.add_column("Measured")
    drawn.add_column("Goal", no_wrap=True)
    drawn.add_column("", no_wrap=True)
    for row in rows:
        verdict = "" if row.is_met is None else "[green]met[/green]" if row.is_met else "[bold red]missed[/bold red]"
        drawn.add_row(row.measure, row.measured, row.goal, verdict)
    return drawn


def medians(title: str, by_kind: Mapping[str, float]) -> Table:
    """The medians of lists or searches by kind of question, in milliseconds."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    drawn.add_column(title, no_wrap=True, min_width=36)
    drawn.add_column("p50", justify="right")
    for kind, milliseconds in by_kind.items():
        drawn.add_row(kind, f"{milliseconds:.1f} ms")
    return drawn


def _short(number: float) -> int | float:
    return int(number) if number == int(number) else round(number, 2)


_CPU_PARTS = ("temporal", "worker", "web", "postgres", "sandbox")
