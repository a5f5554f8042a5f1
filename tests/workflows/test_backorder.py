"""Orders for more than there is, for what is not out yet, and for bundles."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def sell(house: House, sku: str, **terms: Any) -> None:
    """Write a SKU as a shop does; what is not given stays out of it."""
    size = {"weight_grams": 400, "length_mm": 100, "width_mm": 100, "height_mm": 100}
    body = {"name": sku.title(), "price": 1200, "currency": "USD", **({} if "parts" in terms else size), **terms}
    response = await house.http.put(f"/v1/skus/{sku}", json=body)
    assert response.is_success, response.text


async def backordered(house: House, *, cap: int = 5) -> None:
    await house.receive("MUG", 1)
    await sell(house, "MUG", when_out_of_stock="backorder", promise_cap=cap, restock_days=14)


async def test_an_order_on_backorder_is_told_so_and_goes_on_when_its_units_come_in(house: House) -> None:
    await backordered(house)
    order = await house.place({"MUG": 3})
    row = await house.until(order, OrderStatus.AWAITING_STOCK, waiting="2 of MUG on backorder (on the warehouse)")
    assert not row.needs_attention
    assert row.promised_first > datetime.now(UTC) + timedelta(days=14)
    shown = (await house.http.get(f"/v1/orders/{order}")).json()
    assert [(w["queue"], w["sku"], w["units"], w["missing"]) for w in shown["waits"]] == [("backorder", "MUG", 3, 2)]
    assert await house.stock("MUG") == (1, 0)
    await house.delivery_comes_in("MUG", 2)
    await house.labelled(order)
    assert (await house.http.get(f"/v1/orders/{order}")).json()["waits"] == []
    assert await house.exceptions(order) == []
    assert await house.mails(order) == ["backordered", "confirmed"]


async def test_units_that_come_in_go_to_the_oldest_promise(house: House) -> None:
    await backordered(house)
    first = await house.place({"MUG": 2})
    await house.until(first, waiting="1 of MUG on backorder")
    second = await house.place({"MUG": 1})
    await house.until(second, waiting="1 of MUG on backorder")
    await house.delivery_comes_in("MUG", 1)
    await house.labelled(first)
    await house.until(second, OrderStatus.AWAITING_STOCK)
    await house.delivery_comes_in("MUG", 1)
    await house.labelled(second)


async def test_a_promise_that_is_given_back_goes_to_an_order_that_was_refused_one(house: House) -> None:
    await backordered(house, cap=1)
    first = await house.place({"MUG": 2})
    await house.until(first, waiting="on backorder")
    second = await house.place({"MUG": 1})
    await house.exception(second, ExceptionKind.OUT_OF_STOCK)
    await house.cancel(first)
    await house.closed(first, OrderStatus.CANCELLED)
    await house.labelled(second)
    (exception,) = await house.exceptions(second)
    assert exception.resolution == "resolved_itself"


async def test_when_units_are_not_there_on_the_promised_day_a_person_is_told(house: House) -> None:
    await backordered(house)
    order = await house.place({"MUG": 2})
    await house.until(order, waiting="on backorder")
    await house.pass_time(order, days=14, hours=1)
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert "It was promised to leave by" in exception.reason
    await house.delivery_comes_in("MUG", 1)
    await house.labelled(order)


async def test_a_pre_order_leaves_on_its_day_and_not_before(house: House) -> None:
    await house.receive("MUG", 5)
    day = date.today() + timedelta(days=3)  # noqa: DTZ011 - in UTC, as the tests run
    await sell(house, "MUG", when_out_of_stock="pre_order", promise_cap=9, ships_on=day.isoformat())
    order = await house.place({"MUG": 2})
    row = await house.until(order, OrderStatus.AWAITING_STOCK, waiting="2 of MUG on pre-order")
    assert row.promised_first.date() > day
    await house.delivery_comes_in("MUG", 1)
    await house.until(order, OrderStatus.AWAITING_STOCK, waiting="2 of MUG on pre-order")
    await house.pass_time(order, days=4)
    await house.labelled(order)
    assert await house.mails(order) == ["backordered", "confirmed"]


async def test_a_bundle_is_reserved_labelled_packed_and_shipped_as_its_parts(house: House) -> None:
    await house.receive("MUG", 5)
    await house.receive("TEE", 5)
    await sell(house, "SET", parts=[{"sku": "MUG", "quantity": 2}, {"sku": "TEE", "quantity": 1}])
    order = await house.place({"SET": 2, "MUG": 1})
    await house.labelled(order)
    await sell(house, "SET", parts=[{"sku": "TEE", "quantity": 9}])
    assert (await house.stock("MUG"), await house.stock("TEE")) == ((5, 5), (5, 2))
    shown = (await house.http.get(f"/v1/orders/{order}")).json()
    assert [(part["sku"], part["quantity"]) for part in shown["lines"][0]["parts"]] == [("MUG", 2), ("TEE", 1)]
    (fulfilment,) = shown["fulfilments"]
    assert [(x["line"], x["sku"], x["quantity"]) for x in fulfilment["lines"]] == [
        (1, "MUG", 4),
        (1, "TEE", 2),
        (2, "MUG", 1),
    ]
    assert fulfilment["parcels"][0]["weight_grams"] == 7 * 400
    assert (await house.http.get(f"/v1/orders/{order}/packing-slip")).is_success
    await house.hand_over(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.stock("MUG"), await house.stock("TEE")) == ((0, 0), (3, 0))
