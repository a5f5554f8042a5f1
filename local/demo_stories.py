"""What befalls some orders of the demonstration, the same in every twenty of them: `STORIES` says which.

Without a supplier none is his.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from local.catalogue import COASTS, EDISON, EVERYWHERE, ON_ITS_WAY, RENO, SKUS, SampleSku
from local.sample_orders import containing, sample_orders
from local.supplier import SUPPLIED


class Story(StrEnum):
    """What befalls an order."""

    RETURNED = "returned"
    EXCHANGED = "exchanged"
    SUPPLIED = "supplied"
    EDITED = "edited"
    SPLIT = "split"
    HELD = "held"
    REJECTED = "rejected"
    BACKORDERED = "backordered"


EVERY = 20
STORIES = {
    1: Story.EXCHANGED,  # what goes on after the delivery begins first
    2: Story.RETURNED,
    3: Story.SUPPLIED,
    5: Story.EDITED,
    7: Story.SPLIT,
    9: Story.HELD,
    13: Story.REJECTED,
    17: Story.BACKORDERED,
}
"""which order of every twenty has which story; all others simply go well"""
REASON = "damaged"
NOTE = "Dropped from the shelf."
ABROAD = "CA"
"""the billing country of orders that the demonstration's hold rule stops"""
WANTED_INSTEAD = next(sku for sku in SKUS if sku.places == COASTS)
"""what is sent in exchange for what comes back"""
_EACH = 2
"""units of each line of the order that is edited: one of them is taken out again"""


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
        yield DemoOrder(body if story is None else _made_for(story, body, number), story)


def _made_for(story: Story, body: dict[str, Any], number: int) -> dict[str, Any]:
    match story:
        case Story.SPLIT:
            return containing(body, number, _NOWHERE_TOGETHER)
        case Story.EDITED:
            return {**containing(body, number, _NOWHERE_TOGETHER, each=_EACH), "billing_country": ABROAD}
        case Story.HELD:
            return {**body, "billing_country": ABROAD}
        case Story.REJECTED | Story.RETURNED | Story.EXCHANGED:
            return containing(body, number, [_only_in(EVERYWHERE)])
        case Story.BACKORDERED:
            return containing(body, number, [ON_ITS_WAY])
        case Story.SUPPLIED:
            return containing(body, number, [SUPPLIED])


def told(order: Mapping[str, Any]) -> str:
    """What befell an order, in a few words, by what the API tells of it; nothing if it simply went well."""
    rejected = [part["warehouse"] for part in order["fulfilments"] if part["status"] == "rejected"]
    shipped = [part["warehouse"] for part in order["fulfilments"] if part["status"] not in {"rejected", "cancelled"}]
    bought = [part for part in order["fulfilments"] if part["portal"] is not None]
    kinds = {entry["kind"] for entry in order["timeline"]}
    words = [f"{', '.join(rejected)} rejected"] if rejected else []
    words += ["backordered"] if "backordered" in kinds else []
    words += ["held"] if order["holds"] else []
    words += ["edited"] if order["version"] > 1 else []
    words += _sent_back(order, kinds)
    words += ["split"] if len(shipped) > 1 else []
    words += [f"{part['portal']} {there['number']}" for part in bought for there in part["supplier_orders"][-1:]]
    return f"{', '.join(words)}: {' + '.join(shipped)}" if words else ""


def _sent_back(order: Mapping[str, Any], kinds: set[str]) -> list[str]:
    """What came back, what was sent for it, and what of the money was given back."""
    instead = [linked["number"] for linked in order["linked_orders"]]
    words = [f"exchanged for {number}" for number in instead]
    words += ["returned"] if "return_requested" in kinds and not instead else []
    words += [f"sent for {order['origin']['order_number']}"] if order["origin"] else []
    back = order["money"]["refunded"]
    return [*words, f"{order['currency']} {back / 100:.2f} back"] if back else words


def _only_in(places: tuple[str, ...]) -> SampleSku:
    return next(sku for sku in SKUS if sku.places == places)


_NOWHERE_TOGETHER = (_only_in(EDISON), _only_in(RENO))
"""things that no warehouse has both of"""
