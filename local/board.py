"""What the demonstration shows of its orders while they go through their stages, and when all have ended."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

STAGES = ("accepted", "awaiting_stock", "awaiting_payment", "fulfilling", "partly_shipped", "shipped", "delivered")
LOST = frozenset({"cancelled", "expired", "returned"})
COLOURS = {"delivered": "green", "shipped": "cyan", "partly_shipped": "cyan"}
LINES_AROUND = 8  # the table's head and frame, the totals, the cursor's line


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One order as the API last told it. `total` is ready to print; `placed` and `delivered` are aware instants.

    `ended` is when nothing more will happen to it, not even an e-mail, which comes a little after `delivered`.
    """

    id: str
    number: str
    customer: str
    status: str
    waiting: str
    attention: bool
    total: str
    placed: datetime
    delivered: datetime | None
    ended: bool

    @property
    def arrived(self) -> bool:
        """Whether it ever reached `delivered`."""
        return self.delivered is not None or self.status == "delivered"


def summary(orders: Iterable[Seen], *, seconds: float) -> str:
    """How many orders stand where, in one line."""
    counts = Counter(order.status for order in orders)
    ranked = [status for status in (*STAGES, *sorted(set(counts) - set(STAGES))) if counts[status]]
    return f"{seconds:5.1f} s   " + ", ".join(f"{counts[status]} {worded(status)}" for status in ranked)


def live_view(orders: Sequence[Seen], *, seconds: float, height: int) -> RenderableType:
    """The moving picture: a line an order, those still under way first where there is no room for all."""
    room = max(3, height - LINES_AROUND)
    shown = list(orders) if len(orders) <= room else sorted(orders, key=lambda order: order.ended)[:room]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", expand=True)
    for heading, ratio in (("Order", None), ("Customer", None), ("Stage", None), ("", None), ("Now", 1)):
        table.add_column(heading, ratio=ratio, no_wrap=True, overflow="ellipsis")
    for order in shown:
        table.add_row(order.number, order.customer, _bar(order), _stage(order), Text(order.waiting, style="dim"))
    more = len(orders) - len(shown)
    note = Text(f"… and {more} more" if more else "", style="dim")
    return Group(table, note, Text(summary(orders, seconds=seconds), style="bold"))


def final_table(orders: Sequence[Seen], stories: Mapping[str, str] = MappingProxyType({})) -> Table:
    """What became of every order; ``stories`` tell, by its id, what befell it on the way."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("Order", no_wrap=True, min_width=9)  # where there is little room, names are cut short first
    table.add_column("Customer", no_wrap=True)
    table.add_column("Total", justify="right", no_wrap=True, min_width=10)
    table.add_column("Stage", no_wrap=True, min_width=9)
    table.add_column("Took", justify="right", no_wrap=True, min_width=6)
    table.add_column("On the way", style="dim", min_width=17)
    for order in orders:
        befell = stories.get(order.id, "")
        table.add_row(order.number, order.customer, order.total, _stage(order), _took(order), befell)
    return table


def worded(status: str) -> str:
    """A status as people write it."""
    return status.replace("_", " ")


def _took(order: Seen) -> str:
    return f"{(order.delivered - order.placed).total_seconds():.1f} s" if order.delivered else ""


def _stage(order: Seen) -> Text:
    if order.attention:
        return Text("needs a person", style="bold red")
    return Text(worded(order.status), style=_colour(order.status))


def _bar(order: Seen) -> Text:
    done = STAGES.index(order.status) + 1 if order.status in STAGES else 0
    bar = Text("━" * done, style=_colour(order.status))
    return bar.append("━" * (len(STAGES) - done), style="bright_black")


def _colour(status: str) -> str:
    return "red" if status in LOST else COLOURS.get(status, "yellow")
