"""The shapes of orders: what is bought, what its people do, and how it may end.

A new shape is one entry of `SHAPES`: its lines, its payment, the ends that are right, and what is done while it lives.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

from drill.people import Life
from local.catalogue import EVERYWHERE, SKUS, SampleSku
from local.sample_orders import PAYMENT_METHOD, sample_orders
from local.supplier import SUPPLIED

SCARCE, LATE, NEVER = "DRL-SCARCE", "DRL-LATE", "DRL-NEVER"
OWN_SKUS = tuple(
    SampleSku(sku, name, 400, (200, 150, 80), 2500, ("EDI",))
    for sku, name in ((SCARCE, "The last ones"), (LATE, "Comes later"), (NEVER, "Never comes"))
)
_COMMON = tuple(sku for sku in SKUS if sku.places == EVERYWHERE and not sku.sku.startswith("GIFT-"))
_ONE_EACH = ("COF-GRIND-E", "TEA-POT-IRON")
"""one is in Edison only, the other in Reno only"""

_TOGETHER = tuple(sku.sku for sku in _COMMON[:2])
"""every warehouse has both"""

Play = Callable[[Life], Awaitable[None]]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """One kind of order.

    ``skus`` is what is bought (empty: something common); ``ends`` are the statuses in which it may end, besides
    `cancelled` where a cancel was accepted, which it then must. ``rests_on`` names on whom an order of this shape waits
    for ever, if it does not end. ``weight`` is how many of a hundred orders have it, roughly. ``supplied``: a supplier
    ships it, who takes orders in his portal alone.
    """

    name: str
    weight: int
    play: Play
    ends: frozenset[str] = frozenset({"delivered"})
    skus: tuple[str, ...] = ()
    method: str = PAYMENT_METHOD
    rests_on: str | None = None
    supplied: bool = False


async def goes_its_way(_: Life) -> None:
    """Nobody does anything."""


async def confirms_at_bank(life: Life) -> None:
    """The customer takes some seconds for the bank's check."""
    if await life.until("awaiting_payment", on="customer"):
        await asyncio.sleep(2)
        await life.confirm_at_bank()


async def pays_otherwise(life: Life) -> None:
    """The first card was declined; the customer finds another."""
    if await life.until("awaiting_payment", on="customer"):
        await asyncio.sleep(2)
        await life.pay_otherwise()


async def cancels_at_once(life: Life) -> None:
    """Cancelled in the second in which it was placed."""
    await life.cancel()


async def cancels_waiting_for_stock(life: Life) -> None:
    """Cancelled while units are missing."""
    if await life.until("awaiting_stock"):
        await life.cancel()


async def cancels_unpaid(life: Life) -> None:
    """Cancelled while the bank's check is open."""
    if await life.until("awaiting_payment", on="customer"):
        await life.cancel()


async def cancels_labelled(life: Life) -> None:
    """Cancelled when it is paid, and its label bought."""
    if await life.until_labelled():
        await life.cancel()


async def cancels_shipped(life: Life) -> None:
    """Cancelled too late."""
    if await life.until("shipped", "partly_shipped"):
        await life.cancel()


async def is_handed_over(life: Life) -> None:
    """The warehouse scans the parcel out before the carrier does."""
    if await life.until_labelled():
        await life.hand_over()


async def is_changed(life: Life) -> None:
    """One thing less, when the label of both is bought."""
    if await life.until_labelled():
        await life.change()


async def is_changed_and_handed_over(life: Life) -> None:
    """Desk and warehouse at the same moment."""
    if await life.until_labelled():
        await asyncio.gather(life.change(), life.hand_over())


async def is_added_to(life: Life) -> None:
    """One thing more, when the first parcel has its label."""
    if await life.until_labelled():
        await life.add(_TOGETHER[1], _COMMON[1].price)


async def is_cancelled_and_handed_over(life: Life) -> None:
    """Customer and warehouse at the same moment."""
    if await life.until_labelled():
        await asyncio.gather(life.cancel(), life.hand_over())


async def cancels_at_supplier(life: Life) -> None:
    """Cancelled once it is ordered with the supplier, who may have begun."""
    if await life.until_ordered():
        await life.cancel()


async def comes_back(life: Life) -> None:
    """The carrier brings it back, and the operators give it up."""
    if await life.until_labelled():
        await life.turn_back()


async def is_sent_back(life: Life) -> None:
    """The customer does not want one of two things after all."""
    if await life.until("delivered"):
        await life.send_back()


_OUT = frozenset({"delivered", "expired"})
SHAPES: Mapping[str, Shape] = {
    shape.name: shape
    for shape in (
        Shape(name="single", weight=22, play=goes_its_way),
        Shape(name="split", weight=11, play=goes_its_way, skus=_ONE_EACH),
        Shape(name="scarce", weight=12, play=goes_its_way, skus=(SCARCE,)),
        Shape(name="out_of_stock", weight=6, play=goes_its_way, skus=(LATE,)),
        Shape(name="never_in_stock", weight=2, play=goes_its_way, skus=(NEVER,), rests_on="operator"),
        Shape(
            name="confirmed_at_bank",
            weight=7,
            play=confirms_at_bank,
            ends=_OUT,
            method="pm_card_authenticationRequired",
        ),
        Shape(
            name="unpaid",
            weight=4,
            play=goes_its_way,
            ends=frozenset({"expired"}),
            method="pm_card_authenticationRequired",
        ),
        Shape(
            name="declined",
            weight=4,
            play=goes_its_way,
            ends=frozenset({"expired"}),
            method="pm_card_chargeDeclined",
        ),
        Shape(name="paid_otherwise", weight=4, play=pays_otherwise, ends=_OUT, method="pm_card_chargeDeclined"),
        Shape(name="cancelled_at_once", weight=4, play=cancels_at_once),
        Shape(name="cancelled_out_of_stock", weight=3, play=cancels_waiting_for_stock, skus=(NEVER,)),
        Shape(
            name="cancelled_unpaid",
            weight=3,
            play=cancels_unpaid,
            ends=frozenset({"expired"}),
            method="pm_card_authenticationRequired",
        ),
        Shape(name="cancelled_labelled", weight=5, play=cancels_labelled),
        Shape(name="cancelled_too_late", weight=2, play=cancels_shipped),
        Shape(name="handed_over", weight=4, play=is_handed_over),
        Shape(name="cancelled_and_handed_over", weight=3, play=is_cancelled_and_handed_over),
        Shape(name="changed", weight=4, play=is_changed, skus=_TOGETHER),
        Shape(name="changed_and_handed_over", weight=3, play=is_changed_and_handed_over, skus=_TOGETHER),
        Shape(name="added_to", weight=3, play=is_added_to, skus=_TOGETHER[:1]),
        Shape(name="returned", weight=4, play=comes_back, ends=frozenset({"returned", "delivered"})),
        Shape(name="sent_back", weight=4, play=is_sent_back, skus=_TOGETHER),
        Shape(name="supplied", weight=3, play=goes_its_way, skus=(SUPPLIED.sku,), supplied=True),
        Shape(name="cancelled_supplied", weight=1, play=cancels_at_supplier, skus=(SUPPLIED.sku,), supplied=True),
    )
}


def draw_orders(
    seed: int, count: int, *, only: tuple[str, ...] = (), supplied: bool = False
) -> Iterator[tuple[Shape, dict[str, Any]]]:
    """``count`` orders: shapes by their weight, every one of them early, the same for a seed. ``only`` names shapes.

    Those of suppliers come only where there are any: ``supplied``.
    """
    chance = Random(f"orders:{seed}")  # noqa: S311 - to be repeated, not to be secret
    shapes = [SHAPES[name] for name in only] or [each for each in SHAPES.values() if supplied or not each.supplied]
    ones = chance.sample(shapes, len(shapes))
    rest = chance.choices(shapes, weights=[shape.weight for shape in shapes], k=max(0, count - len(ones)))
    bodies = sample_orders(count, batch=f"drill-{seed}")
    for number, (shape, body) in enumerate(zip([*ones, *rest][:count], bodies, strict=True), start=1):
        yield shape, _body(chance, shape, body, number)


def _body(chance: Random, shape: Shape, body: Mapping[str, Any], number: int) -> dict[str, Any]:
    prices = {sku.sku: sku.price for sku in (*SKUS, *OWN_SKUS, SUPPLIED)}
    skus = shape.skus or [sku.sku for sku in chance.sample(_COMMON, chance.choice((1, 1, 2)))]
    several = 1 if shape.skus else chance.choice((1, 1, 2))
    lines = [{"sku": sku, "quantity": several, "unit_price": prices[sku], "tax": 0} for sku in skus]
    total = sum(several * prices[sku] for sku in skus) + body["shipping_charge"]
    return {
        **body,
        "customer": {**body["customer"], "email": f"customer-{number}@example.com"},
        "lines": lines,
        "total": total,
        "payment": {"provider": "stripe", "method": shape.method},
    }


def scarce_units(orders: Mapping[str, int]) -> int:
    """How many of the scarce units are on the shelf before the rest comes: fewer than are wanted."""
    return orders.get("scarce", 0) // 2
