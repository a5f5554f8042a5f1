"""Exchanges over real servers: for what costs less, for what costs more, at once, and where nothing is sent."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from domain.exceptions import ExceptionKind
from domain.exchanges import workflow_id
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_returns import delivered, found, money, told

CARD = {"provider": "stripe", "method": "pm_card_visa"}


async def asked(house: House, order: str, price: int, units: int = 1, **more: Any) -> dict[str, Any]:
    """Somebody wants mugs exchanged for a lamp of this price; the answer."""
    await house.receive("LAMP", 5)
    body = {
        "reference": uuid.uuid4().hex,
        "reason": "does_not_fit",
        "lines": [{"line": 1, "quantity": units}],
        "label": False,
        "goods": [{"sku": "LAMP", "quantity": 1, "unit_price": price}],
        "payment": CARD,
        **more,
    }
    response = await house.http.post(f"/v1/orders/{order}/exchanges", json=body)
    assert response.status_code == 201, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def until(house: House, name: str, status: str) -> dict[str, Any]:
    """The exchange, once it stands so."""
    async with asyncio.timeout(20):
        while True:
            seen: dict[str, Any] = (await house.http.get(f"/v1/exchanges/{name}")).json()
            if seen["status"] == status:
                return seen
            await asyncio.sleep(0.05)


async def ended(house: House, name: str) -> dict[str, Any]:
    """The exchange, once nothing of it is left to do and its workflow has ended."""
    await asyncio.wait_for(house.client.get_workflow_handle(workflow_id(name)).result(), 30)
    seen: dict[str, Any] = (await house.http.get(f"/v1/exchanges/{name}")).json()
    assert seen["closed_at"] is not None
    return seen


async def comes_back(house: House, exchange: dict[str, Any], condition: str = "resaleable", units: int = 1) -> None:
    back = exchange["returned"]["id"]
    await told(house, back, "receipts", reference="dock", lines=[{"line": 1, "quantity": units}])
    await told(house, back, "inspections", reference="bench", units=[found(condition, units)])


async def arrives(house: House, order: str) -> None:
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)


@pytest.mark.fuzz
async def test_what_costs_less_is_sent_after_the_inspection_and_the_difference_given_back(house: House) -> None:
    order = await delivered(house, 2)
    exchange = await asked(house, order, 700)
    assert (exchange["status"], exchange["total"], exchange["expected"]) == ("waiting", 700, 700)
    await comes_back(house, exchange)
    ordered = await until(house, exchange["id"], "ordered")
    linked = ordered["ordered"]["id"]
    back = (await house.http.get(f"/v1/returns/{exchange['returned']['id']}")).json()
    assert (back["settlement"]["amount"], back["settlement"]["exchanged"]) == (1200, 700)
    refund = (await house.http.get(f"/v1/refunds/{back['refund_id']}")).json()
    assert (refund["status"], refund["amount"]) == ("granted", 500)
    listed = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
    (kept,) = [one for one in listed if one["status"] == "exchanged"]
    assert (await house.http.post(f"/v1/refunds/{kept['id']}/pay")).json()["code"] == "too_late"
    beyond = {"reference": "more", "reason": "x", "amount": 2900 - 1200 + 1}
    assert (await house.http.post(f"/v1/orders/{order}/refunds", json=beyond)).json()["code"] == "refund_too_large"
    (await house.http.post(f"/v1/refunds/{refund['id']}/pay")).raise_for_status()
    await arrives(house, linked)
    assert (await ended(house, exchange["id"]))["status"] == "completed"
    assert await house.intents(linked) == []
    assert await house.refunds(order) == [500]
    assert (await money(house, linked))["credited"] == 700
    assert ((await money(house, order))["credited"], (await money(house, order))["owed"]) == (500, 0)
    mails = [m for m in await house.mails(order) if m != "refunded" and m not in {"confirmed", "shipped", "delivered"}]
    assert sorted(mails) == ["exchange_ordered", "exchange_requested", "return_approved", "return_received"]
    assert "$5.00" in await house.letter(order, "exchange_ordered")


async def test_what_costs_more_is_paid_as_its_order_is(house: House) -> None:
    order = await delivered(house, 1)
    exchange = await asked(house, order, 3000, shipping_charge=200)
    await comes_back(house, exchange)
    linked = (await until(house, exchange["id"], "ordered"))["ordered"]["id"]
    await arrives(house, linked)
    assert (await ended(house, exchange["id"]))["credit"] == 1200
    assert await house.charges(linked) == [2000]
    assert (await house.refunds(order), await house.refunds(linked)) == ([], [])
    sums = await money(house, linked)
    assert [sums[n] for n in ("invoiced", "credited", "captured", "owed", "paid")] == [3200, 1200, 2000, 0, "full"]
    assert "$20.00" in await house.letter(order, "exchange_ordered")


@pytest.mark.fuzz
async def test_goods_sent_at_once_wait_for_nothing_and_a_person_is_asked_for_what_does_not_come(house: House) -> None:
    order = await delivered(house, 1)
    exchange = await asked(house, order, 1000, ships="at_once")
    name = exchange["id"]
    linked = (await until(house, name, "ordered"))["ordered"]["id"]
    await arrives(house, linked)
    handle = house.client.get_workflow_handle(workflow_id(name))
    async with asyncio.timeout(60):
        await house.street.temporal.fast_forward(handle, timedelta(days=29))
    exception = await house.exception(order, ExceptionKind.EXCHANGE_LATE)
    assert exchange["returned"]["number"] in exception.reason
    answer = await house.http.post(f"/v1/exchanges/{name}/withdraw")
    assert answer.json()["code"] == "conflict"
    await comes_back(house, exchange)  # late, and the exception is over by it
    assert (await ended(house, name))["status"] == "completed"
    assert (await house.record(order)).needs_attention is False
    back = (await house.http.get(f"/v1/returns/{exchange['returned']['id']}")).json()
    refund = (await house.http.get(f"/v1/refunds/{back['refund_id']}")).json()
    assert refund["amount"] == 200
    assert "$2.00" in await house.letter(order, "exchange_refunded")


@pytest.mark.fuzz
async def test_goods_that_are_never_shipped_are_refunded(house: House) -> None:
    order = await delivered(house, 1)
    exchange = await asked(house, order, 3000)
    await comes_back(house, exchange)
    linked = (await until(house, exchange["id"], "ordered"))["ordered"]["id"]
    await house.labelled(linked)
    await house.cancel(linked)
    over = await ended(house, exchange["id"])
    refund = (await house.http.get(f"/v1/refunds/{over['refund_id']}")).json()
    assert (over["status"], refund["amount"], refund["status"]) == ("ended", 1200, "granted")
    assert (await money(house, order))["owed"] == -1200
    assert (await house.charges(linked), (await money(house, linked))["owed"]) == ([], 0)
    assert "$12.00" in await house.letter(order, "exchange_ended")


@pytest.mark.fuzz
async def test_an_exchange_that_is_withdrawn_is_a_return_and_one_whose_return_is_given_up_ends(house: House) -> None:
    order = await delivered(house, 2)
    first, second = await asked(house, order, 500), await asked(house, order, 500)
    assert (await house.http.post(f"/v1/exchanges/{first['id']}/withdraw")).json()["status"] == "ended"
    await comes_back(house, first)
    back = (await house.http.get(f"/v1/returns/{first['returned']['id']}")).json()
    assert (back["settlement"]["amount"], back["settlement"]["exchanged"]) == (1200, 0)
    await told(house, second["returned"]["id"], "withdraw")
    assert (await ended(house, second["id"]))["status"] == "ended"
