"""What befalls some orders of the demonstration: in every twenty one is split, one rejected, one on backorder.

Where there is a supplier, one is his.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local.catalogue import EDISON, EVERYWHERE, ON_ITS_WAY, RENO, SKUS, SampleSku
from local.sample_orders import containing, sample_orders
from local.supplier import SUPPLIED


class Story(StrEnum):
    """What befalls an order."""

    SPLIT = "split"
    REJECTED = "rejected"
    BACKORDERED = "backordered"
    SUPPLIED = "supplied"


EVERY = 20
STORIES = {3: Story.SUPPLIED, 7: Story.SPLIT, 13: Story.REJECTED, 17: Story.BACKORDERED}
"""which order of every twenty has which story; all others simply go well"""
REASON = "damaged"
NOTE = "Dropped from the shelf."


@dataclass(frozen=True)
class DemoOrder:
    """A body for `POST /v1/orders`, and what is to befall the order."""

    body: Mapping[str, Any]
    story: Story | None


def demo_orders(count: int, *, batch: str, supplied: bool = False) -> Iterator[DemoOrder]:
    """The sample orders; those with a story have the goods that it needs. ``supplied``: there is a supplier."""
    for number, body in enumerate(sample_orders(count, batch=batch), start=1):
        story = STORIES.get((number - 1) % EVERY + 1)
        if story is Story.SUPPLIED and not supplied:
            story = None
        if story is Story.SPLIT:
            # No warehouse has both.
            body = containing(body, number, [_only_in(EDISON), _only_in(RENO)])
        elif story is Story.REJECTED:
            body = containing(body, number, [_only_in(EVERYWHERE)])
        elif story is Story.BACKORDERED:
            body = containing(body, number, [ON_ITS_WAY])
        elif story is Story.SUPPLIED:
            body = containing(body, number, [SUPPLIED])
        yield DemoOrder(body, story)


def told(order: Mapping[str, Any]) -> str:
    """What befell an order, in a few words, by what the API tells of it; nothing if it simply went well."""
    rejected = [part["warehouse"] for part in order["fulfilments"] if part["status"] == "rejected"]
    shipped = [part["warehouse"] for part in order["fulfilments"] if part["status"] not in {"rejected", "cancelled"}]
    bought = [part for part in order["fulfilments"] if part["portal"] is not None]
    words = [f"{', '.join(rejected)} rejected"] if rejected else []
    if any(entry["kind"] == "backordered" for entry in order["timeline"]):
        words.append("backordered")
    if len(shipped) > 1:
        words.append("split")
    words += [f"{part['portal']} {there['number']}" for part in bought for there in part["supplier_orders"][-1:]]
    return f"{', '.join(words)}: {' + '.join(shipped)}" if words else ""


def _only_in(places: tuple[str, ...]) -> SampleSku:
    return next(sku for sku in SKUS if sku.places == places)
