"""A worker killed while orders are undone, shipments made and parcels followed: one kill, an order at each step."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from domain.stock import LIVE
from local.shop import Placed
from tests.end_to_end.killing import (
    FAR_AWAY,
    all_to_the_door,
    blocked,
    calls_so_far,
    check_every_deed,
    deeds,
    hand_over,
    hanging,
    moves_again,
    ready_for_hand_over,
    revisions,
)
from tests.end_to_end.town import Town, simple_order, until

CALLS = (
    "payment_intents.cancel",
    "refunds.create",
    "shipments.refund",
    "shipments.create",
    "shipments.retrieve",
    "trackers.retrieve",
)


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


@dataclass(frozen=True)
class Cast:
    """The orders that are undone in one moment: their money is held, or taken, or they have a label to give back."""

    void: Placed
    refund: Placed
    label: Placed

    @property
    def orders(self) -> list[Placed]:
        return [self.void, self.refund, self.label]


async def held(town: Town, reference: str, *, capture: str) -> Placed:
    """A paid order on hold before its label, its mail sent. The shop's payment is held, or captured at once."""
    order = simple_order(reference)
    intent = await town.shop_makes_intent(order["total"], capture=capture)
    placed = await town.shop.place({**order, "payment": {"provider": "stripe", "intent": intent}})

    async def asks_the_bank() -> bool:
        return "with the bank" in (await town.order(placed.id))["waiting"]["sentence"]

    await until(asks_the_bank, what="the bank's turn")
    answer = await town.ask("POST", f"/v1/orders/{placed.id}/holds", {"reason": "operator"})
    assert answer.status_code == 201, answer.text
    await town.bank_agrees(intent)

    async def on_hold() -> bool:
        told = await town.order(placed.id)
        return told["status"] == "fulfilling" and [n["status"] for n in told["notifications"]] == ["sent"]

    await until(on_hold, what="paid and on hold")
    return placed


async def on_its_way(town: Town, reference: str) -> Placed:
    placed = await ready_for_hand_over(town, reference)
    answer = await hand_over(town, placed)
    assert answer is not None
    assert answer.status_code == 200, answer.text
    return placed


async def cast(town: Town, moment: str) -> Cast:
    orders = await asyncio.gather(
        held(town, f"undone-{moment}-void", capture="manual"),
        held(town, f"undone-{moment}-refund", capture="automatic"),
        ready_for_hand_over(town, f"undone-{moment}-label"),
    )
    return Cast(*orders)


async def cancel(town: Town, *placed: Placed) -> None:
    for order in placed:
        answer = await town.ask("POST", f"/v1/orders/{order.id}/cancel")
        assert answer.status_code == 200, answer.text


def intention(placed: Placed, purpose: str) -> str:
    """The row that a step writes before its call: whoever writes it too must wait."""
    return (
        "INSERT INTO payment_events (key, payment_id, kind, amount, currency) "  # noqa: S608 - our own id
        f"SELECT '{placed.id}:{purpose}:1', id, 'voided', 1, currency FROM payments WHERE order_id = '{placed.id}'"
    )


async def stuck_before_the_calls(town: Town, exits: AsyncExitStack, cast: Cast, seen: set[int]) -> None:
    """The money's steps wait to write what they intend; the label's return is still being looked at."""
    await exits.enter_async_context(town.holding(intention(cast.void, "void"), intention(cast.refund, "refund")))
    await town.dial("easypost", fail_next=[{"operation": "shipments.retrieve", "status": "timeout"}])
    await cancel(town, *cast.orders)
    await until(lambda: blocked(town, 2), what="void and refund wait for the lock")
    await until(lambda: hanging(town, "shipments.retrieve", seen), what="the look at the label hangs")


async def stuck_in_the_calls(
    town: Town, cast: Cast, followed: Placed, mishap: str, seen: set[int], *, times: int
) -> Placed:
    """Every call hangs; the order whose shipment is being made.

    The relay is the first to ask a carrier who has news. It gets no answer, and so the order asks.
    """

    def hangs(*operations: str) -> list[dict[str, str]]:
        return [{"operation": operation, "status": mishap} for operation in operations]

    unheard = {"operation": "trackers.retrieve", "status": "drop_before"}
    carrier = ("shipments.refund", "shipments.create", "trackers.retrieve")
    await town.dial("easypost", **FAR_AWAY, fail_next=[unheard, *hangs(*carrier)])
    await town.dial("stripe", fail_next=hangs("refunds.create"))
    await cancel(town, cast.refund, cast.label)
    made = await town.shop.place(simple_order(f"made-{mishap}"))
    await town.bring_to_door(followed.id)
    for operation in ("refunds.create", *carrier):
        await until(lambda: hanging(town, operation, seen, times=times), what=f"{operation} hangs")  # noqa: B023
    # Before it refunds, an order tries to void: only now is that call the other order's.
    await town.dial("stripe", fail_next=hangs("payment_intents.cancel"))
    await cancel(town, cast.void)
    await until(lambda: hanging(town, "payment_intents.cancel", seen, times=times), what="the void hangs")
    return made


async def check_undone(town: Town, casts: list[Cast]) -> None:
    """Holds released, money and labels given back, customers told: each once, by everybody else's books."""
    undone = [order for cast in casts for order in cast.orders]
    ids = [order.id for order in undone]
    await town.closed(ids)
    assert await town.statuses(undone) == {"cancelled": len(undone)}
    rows = await town.rows("SELECT order_id, reference, amount FROM payments WHERE order_id = ANY($1)", ids)
    taken = {cast.refund.id for cast in casts}
    kept = [row["reference"] for row in rows if row["order_id"] not in taken]
    assert await deeds(town, "payment_intents.cancel", kept) == Counter(kept)
    back = {row["reference"]: row["amount"] for row in rows if row["order_id"] in taken}
    refunds = [(r["payment_intent"], r["amount"]) for r in await town.book("refund") if r["payment_intent"] in back]
    assert sorted(refunds) == sorted(back.items())
    parcels = await town.rows(
        "SELECT shipment FROM parcels p JOIN fulfilments f ON f.id = p.fulfilment_id WHERE f.order_id = ANY($1)", ids
    )
    labels = [row["shipment"] for row in parcels]
    assert len(labels) == len(casts)
    assert await deeds(town, "shipments.refund", labels) == Counter(labels)
    live = [status.value for status in LIVE]
    assert not await town.rows("SELECT 1 FROM reservations WHERE order_id = ANY($1) AND status = ANY($2)", ids, live)
    assert not await town.rows("SELECT 1 FROM exceptions WHERE order_id = ANY($1)", ids)
    numbers = [(await town.order(id))["number"] for id in ids]
    mails = Counter(m["message_id"] for m in await town.mails() if any(n in m["subject"] for n in numbers))
    assert mails.total() == len(mails) == 2 * len(ids)


async def test_a_worker_killed_while_orders_are_undone_undoes_each_of_them_once_and_soon(town: Town) -> None:
    """Three moments of void, refund and the label's return; two of making a shipment and of asking for a parcel.

    A shipment is intended with its label, which has a test of its own; before it asks, an order writes nothing.
    """
    first, second, third = casts = [await cast(town, moment) for moment in ("before", "during", "after")]
    followed = await asyncio.gather(*(on_its_way(town, f"followed-{number}") for number in range(2)))
    seen = await calls_so_far(town, *CALLS)
    async with AsyncExitStack() as exits:
        await stuck_before_the_calls(town, exits, first, seen)
        made = [
            await stuck_in_the_calls(town, second, followed[0], "timeout", seen, times=1),
            await stuck_in_the_calls(town, third, followed[1], "hang_after", seen, times=2),
        ]
        placed = [*first.orders, *second.orders, *third.orders, *made, *followed]
        before = await revisions(town, placed)
        pid = town.stack.supervisor.pid("worker")
        town.kill("worker")
    ready = await town.back("worker", after=pid)
    await moves_again(town, placed, before, ready=ready)
    await all_to_the_door(town, made)
    await check_every_deed(town, [*made, *followed])
    await check_undone(town, casts)
