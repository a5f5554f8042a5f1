"""An order is changed after it was placed: previewed, then all of it or nothing."""

import asyncio
import uuid
from typing import Any

import httpx2
from sqlalchemy import text

from activities.money_checks import CompareAfter
from domain.exceptions import ExceptionKind
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

NOWHERE = {"street1": "1 Unknown Way", "city": "Portland", "state": "ME", "postal_code": "04101", "country": "US"}


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
    assert {name: done[name] for name in shown if name in done} == {name: shown[name] for name in shown if name in done}
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
    compared = await house.crew.money_checks.compare(CompareAfter("after a change", only=order))
    assert (compared.at.orders, compared.at.differences) == (1, 0)


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


async def test_an_order_on_hold_goes_to_another_address_from_where_routing_sends_it(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    hold = await house.hold(order)
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the operator hold")
    await house.receive("MUG", 10, at="WEST")
    await prefer(house, "WEST")
    done = await change(house, order, shipping_address=ELSEWHERE)
    assert (done["ships_from"], done["routed_to"]) == (["EAST"], ["WEST"])
    assert (await house.stock("MUG", at="EAST"), await house.stock("MUG", at="WEST")) == ((10, 0), (10, 2))
    await house.until(order, waiting="the release of the operator hold on parcel 2")
    await house.release(order, hold)
    await house.shipping_from(order, 2)
    assert [(f.warehouse, f.status) for f in await house.fulfilments(order)] == [
        ("EAST", "cancelled"),
        ("WEST", "labelled"),
    ]
    await house.hand_over(order, number=2)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.charges(order), len(await house.labels())) == ([2900], 1)


async def prefer(house: House, warehouse: str) -> None:
    """The other warehouse is not what it was."""
    async with house.database.transaction() as connection:
        await connection.execute(text("UPDATE warehouses SET priority = 9 WHERE code <> :code"), {"code": warehouse})


async def test_an_address_corrected_before_the_payment_is_where_it_goes(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await change(house, order, shipping_address=ELSEWHERE)
    await house.authenticate(order)
    await house.labelled(order)
    (label,) = await house.labels()
    assert label["to_address"]["city"].lower() == "redondo beach"


async def in_two_parcels(house: House) -> str:
    """An order of a mug from one place and two jugs from another, both labelled."""
    await house.receive("MUG", 1, at="EAST")
    await house.receive("JUG", 2, at="WEST")
    return await waits_for_the_carrier(house, {"MUG": 1, "JUG": 2})


async def test_what_was_taken_and_does_not_ship_is_a_refund_that_waits_to_be_paid(house: House) -> None:
    await house.stripe(multicapture=False)
    order = await in_two_parcels(house)
    await house.hand_over(order, number=1)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    done = await change(house, order, lines=[{"line": 2, "quantity": 0}])
    assert (done["money"]["refund"], done["labels"][0]["replaced"], done["status"]) == (2400, False, "shipped")
    assert await house.stock("JUG", at="WEST") == (2, 0)
    (refund,) = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
    assert (refund["status"], refund["amount"]) == ("granted", 2400)
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["captured"], money["credited"], money["owed"]) == (4100, 2400, -2400)
    await house.http.post(f"/v1/refunds/{refund['id']}/pay")
    await house.advance(order, 9, number=1)
    await house.closed(order, OrderStatus.DELIVERED)
    await house.noticed(order, "refunded")
    assert (await house.charges(order), await house.given_back()) == ([4100], 2400)
    ledger = (await house.http.get(f"/v1/orders/{order}/ledger")).json()
    assert (ledger["money"]["owed"], ledger["money"]["paid"]) == (0, "full")
    assert f"change:{done['id']}" in [entry["cause"] for entry in ledger["entries"]]
    assert [label["refund_status"] for label in await house.labels()].count("submitted") == 1


async def test_a_price_is_corrected_while_the_parcel_travels(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    await house.hand_over(order)
    await house.until(order, OrderStatus.SHIPPED)
    for edits in ({"shipping_address": ELSEWHERE}, {"lines": [{"line": 1, "quantity": 1}]}):
        late = await house.http.post(f"/v1/orders/{order}/changes/preview", json=edits)
        assert (late.status_code, late.json()["code"]) == (409, "too_late")
    done = await change(house, order, lines=[{"line": 1, "unit_price": 1000}])
    assert (done["money"]["refund"], done["labels"], done["stock"]) == (400, [], [])
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    closed = await apply(house, order, "1..0.0.0.0.a", lines=[{"line": 1, "unit_price": 900}])
    assert (closed.status_code, closed.json()["code"]) == (409, "too_late")


async def test_a_price_corrected_before_the_hand_over_moves_no_parcel(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    await change(house, order, lines=[{"line": 1, "unit_price": 1000}], shipping_charge=0)
    await house.hand_over(order)
    assert (await house.charges(order), len(await house.labels())) == ([2000], 1)


async def test_a_changed_order_can_be_cancelled_and_everything_goes_back(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    await change(house, order, lines=[{"line": 1, "quantity": 1}])
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await house.stock("MUG"), await house.charges(order)) == ((10, 0), [])
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["credited"], money["held"], money["owed"]) == (4100, 0, 0)


async def test_the_carrier_has_the_parcel_already_and_nothing_is_changed(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    shown = await preview(house, order, shipping_address=ELSEWHERE)
    await house.easypost(webhooks={"lost_rate": 1.0})
    await house.advance(order, 2)
    refused = await apply(house, order, shown["version"], shipping_address=ELSEWHERE)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late"), refused.text
    await house.until(order, OrderStatus.SHIPPED)
    assert ((await house.record(order)).version, await house.charges(order)) == (1, [2900])


async def test_an_order_ended_after_a_change_is_taken_up_as_it_is_now(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    await change(house, order, lines=[{"line": 1, "quantity": 1}], shipping_address=ELSEWHERE)
    await house.until(order, waiting="the hand-over")
    await house.handle(order).terminate("an operator's hand slipped")
    exception = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    body = {"action": "retry"}
    assert (await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json=body)).status_code == 200
    await house.until(order, OrderStatus.FULFILLING, waiting="the hand-over")
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.charges(order), len(await house.labels())) == ([1700], 2)
    assert await house.stock("MUG") == (9, 0)


async def test_an_address_that_no_carrier_serves_is_corrected_and_nobody_is_asked_any_more(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(shipping_address=NOWHERE)
    await house.exception(order, ExceptionKind.NO_RATE)
    await change(house, order, shipping_address=ELSEWHERE)
    await house.labelled(order)
    assert [e.resolution for e in await house.exceptions(order)] == ["resolved_itself"]
    assert len(await house.labels()) == 1


async def test_where_the_rules_want_it_a_new_address_is_verified_before_a_label_is_bought_for_it(house: House) -> None:
    await house.receive("MUG", 10)
    rules = {"rules": [{"kind": "address_unverified", "reason": "address"}]}
    assert (await house.http.put("/v1/hold-rules", json=rules)).is_success
    order = await waits_for_the_carrier(house)
    await change(house, order, shipping_address=NOWHERE)
    await house.until(order, waiting="the release of the address hold")
    (label,) = await house.labels()
    assert label["refund_status"] == "submitted"
    await change(house, order, shipping_address=ELSEWHERE)
    (hold,) = await house.holds(order)
    await house.release(order, hold.id)
    await house.labelled(order)
    await house.hand_over(order)
