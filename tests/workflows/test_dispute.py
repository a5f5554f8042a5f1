"""A dispute stops what cannot be undone until a person has decided, and never what is under way."""

import pytest

from domain.errors import Disputed
from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def paid_by_its_shop(house: House) -> str:
    """An order whose shop has taken the money itself."""
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    return await house.place(intent=intent)


async def decide(house: House, order: str, action: str) -> None:
    exception = await house.exception(order, ExceptionKind.PAYMENT_DISPUTED)
    response = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": action})
    assert response.status_code == 200, response.text


async def test_a_disputed_parcel_does_not_leave_before_a_person_has_decided(house: House) -> None:
    order = await paid_by_its_shop(house)
    await house.labelled(order)
    await house.disputes(order)
    await house.until(order, waiting="a decision about the payment, which the customer's bank disputes")
    with pytest.raises(Disputed):
        await house.hand_over(order)
    await decide(house, order, "skip")
    await house.until(order, waiting="the hand-over of parcel 1")
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["disputed"], money["paid"]) == (2900, "full")


async def test_a_dispute_that_is_won_lets_the_parcel_go(house: House) -> None:
    order = await paid_by_its_shop(house)
    await house.labelled(order)
    await house.disputes(order)
    await house.until(order, waiting="a decision about the payment")
    await house.bank_decides("won")
    await house.until(order, waiting="the hand-over of parcel 1")
    await house.hand_over(order)
    assert not (await house.record(order)).needs_attention


async def test_no_label_is_bought_for_a_disputed_order(house: House) -> None:
    await house.receive("MUG", 1)
    intent = await house.shop_makes_intent(2900 + 1200, capture="automatic")
    await house.easypost(fail_next=[{"operation": "shipments.create", "status": 422}])
    order = await house.place({"MUG": 1}, intent=intent, total=2900 + 1200, shipping_charge=2900)
    await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    await house.disputes(order)
    await house.exception(order, ExceptionKind.PAYMENT_DISPUTED)
    refused = await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    url = f"/v1/exceptions/{refused.id}/resolve"
    assert (await house.http.post(url, json={"action": "retry"})).status_code == 200
    await house.until(order, waiting="a decision about the payment")
    assert await house.labels() == []
    await decide(house, order, "skip")
    await house.labelled(order)


async def test_a_delivered_order_is_disputed_and_the_money_lost(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    await house.disputes(order)
    await house.exception(order, ExceptionKind.PAYMENT_DISPUTED)
    (dispute,) = (await house.http.get("/v1/disputes")).json()["items"]
    told = (await house.http.get(f"/v1/disputes/{dispute['id']}")).json()["evidence"]
    assert "e-mail “delivered” to the customer" in told["customer_communication"]
    assert "Delivered " in told["uncategorized_text"]
    await house.bank_decides("lost")
    await house.until(order, closed=True)
    await decide_lost(house, order)
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["disputed"], money["lost"]) == (0, 2900)


async def decide_lost(house: House, order: str) -> None:
    """The loss is noted, once it is known."""

    async def known() -> bool:
        return any("It was lost." in row.reason and row.status == "open" for row in await house.exceptions(order))

    await house._until(known, lambda: house._story(order, "the loss"))
    (lost,) = [row for row in await house.exceptions(order) if row.status == "open"]
    assert (await house.http.post(f"/v1/exceptions/{lost.id}/resolve", json={"action": "skip"})).status_code == 200


async def test_an_order_that_is_given_up_for_a_dispute_leaves_the_refund_to_a_person(house: House) -> None:
    order = await paid_by_its_shop(house)
    await house.labelled(order)
    await house.disputes(order)
    await decide(house, order, "cancel")
    refused = await house.exception(order, ExceptionKind.UNWIND_FAILED)
    assert "charge_disputed" in refused.reason
    url = f"/v1/exceptions/{refused.id}/resolve"
    assert (await house.http.post(url, json={"action": "skip"})).status_code == 200
    await house.closed(order, OrderStatus.CANCELLED)
