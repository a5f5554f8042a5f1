"""An order is changed after it was placed: previewed, then all of it or nothing."""

import asyncio
import uuid
from typing import Any

import httpx2

from domain.orders import OrderStatus
from tests.house import House

ELSEWHERE = {
    "name": "Margaret Ellery",
    "street1": "179 N Harbor Dr",
    "city": "Redondo Beach",
    "state": "CA",
    "postal_code": "90277",
    "country": "US",
}


async def preview(house: House, order: str, **edits: Any) -> dict[str, Any]:
    """What a change would do."""
    response = await house.http.post(f"/v1/orders/{order}/changes/preview", json=edits)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def apply(house: House, order: str, version: str, **edits: Any) -> httpx2.Response:
    """Have it so; the answer, whatever it is."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return await house.http.post(f"/v1/orders/{order}/changes", json={**edits, "version": version}, headers=headers)


async def change(house: House, order: str, **edits: Any) -> dict[str, Any]:
    """Preview and apply: what was shown is what was done."""
    shown = await preview(house, order, **edits)
    response = await apply(house, order, shown["version"], **edits)
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    assert {name: done[name] for name in shown if name != "version"} == {n: shown[n] for n in shown if n != "version"}
    return done


async def waits_for_the_carrier(house: House, goods: dict[str, int] | None = None, **more: Any) -> str:
    """A labelled order that waits for its hand-over."""
    order = await house.place(goods, **more)
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    return order


async def test_one_unit_less_is_one_label_anew_and_a_smaller_capture(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    done = await change(house, order, lines=[{"line": 1, "quantity": 1}], reason="one is enough")
    assert (done["order_version"], done["money"]["capture_less"], done["money"]["refund"]) == (2, 2400, 0)
    assert [label["replaced"] for label in done["labels"]] == [True]
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    assert await house.stock("MUG") == (10, 1)
    assert [(p.weight_grams, p.void_status) for p in await house.parcels(order)] == [(1200, "submitted"), (400, None)]
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [1700]
    assert await house.given_back() == 0
    assert await house.stock("MUG") == (9, 0)
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["invoiced"], money["credited"], money["captured"], money["owed"]) == (4100, 2400, 1700, 0)


async def test_another_address_and_a_faster_service_are_a_new_label_and_a_new_promise(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    done = await change(house, order, shipping_address=ELSEWHERE, shipping_service="express")
    assert done["promised_after"] < done["promised_before"]
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    first, second = await house.parcels(order)
    assert (first.void_status, second.void_status) == ("submitted", None)
    (label,) = [s for s in await house.labels() if s["reference"] == second.id]
    assert label["to_address"]["city"].lower() == "redondo beach"
    row = await house.record(order)
    assert (row.version, row.shipping_service, row.shipping_address["city"]) == (2, "express", "Redondo Beach")
    versions = (await house.http.get(f"/v1/orders/{order}/versions")).json()["items"]
    assert [v["number"] for v in versions] == [1, 2]
    assert {"field": "shipping_service", "before": "standard", "after": "express"} in versions[1]["differences"]
    await house.hand_over(order)


async def test_of_two_operators_one_wins_and_the_other_is_told_what_changed(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    shown = await preview(house, order, lines=[{"line": 1, "quantity": 1}])
    other = await preview(house, order, lines=[{"line": 1, "quantity": 2}])
    answers = await asyncio.gather(
        apply(house, order, shown["version"], lines=[{"line": 1, "quantity": 1}]),
        apply(house, order, other["version"], lines=[{"line": 1, "quantity": 2}]),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (lost,) = [answer.json() for answer in answers if answer.status_code == 409]
    assert lost["code"] == "order_moved"
    again = await apply(house, order, other["version"], lines=[{"line": 1, "quantity": 2}])
    assert again.status_code == 409
    assert "× MUG less" in again.json()["detail"]
    assert (await house.record(order)).version == 2
