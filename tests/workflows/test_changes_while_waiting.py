"""An order that waits for stock is reduced to what there is."""

import pytest

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_backorder import backordered
from tests.workflows.test_changes import apply, change, preview


async def test_a_line_that_nobody_has_is_taken_out_and_the_rest_goes_on_at_once(house: House) -> None:
    await house.receive("MUG", 10)
    await house.receive("JUG", 1, at="WEST")
    order = await house.place({"MUG": 2, "JUG": 3})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    more = await house.http.post(f"/v1/orders/{order}/changes/preview", json={"lines": [{"line": 2, "quantity": 4}]})
    assert (more.status_code, more.json()["code"]) == (409, "not_in_stock")
    stays = await preview(house, order, lines=[{"line": 2, "quantity": 2}])
    assert (stays["reach"], stays["money"]["credited"]) == ([], 1200)
    done = await change(house, order, lines=[{"line": 2, "quantity": 0}])
    assert [(a["sku"], a["warehouse"], a["quantity"]) for a in done["reach"]] == [("MUG", "EAST", 2)]
    await house.labelled(order)
    assert (await house.stock("MUG"), await house.stock("JUG", at="WEST")) == ((10, 2), (1, 0))
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    told = (await house.http.get(f"/v1/orders/{order}")).json()
    assert (told["version"], told["total"], told["money"]["owed"], told["waits"]) == (2, 2900, 0, [])
    late = await apply(house, order, stays["version"], lines=[{"line": 2, "quantity": 2}])
    assert (late.status_code, late.json()["code"]) == (409, "order_moved")


async def test_what_is_added_while_it_waits_is_promised_reserved_and_paid_with_the_rest(house: House) -> None:
    await backordered(house)
    await house.receive("TEE", 1)
    order = await house.place({"MUG": 3})
    await house.until(order, waiting="2 of MUG on backorder")
    added = {"sku": "TEE", "quantity": 1, "unit_price": 1200}
    done = await change(house, order, lines=[{"line": 1, "quantity": 4}], add=[added])
    assert (done["money"]["invoiced"], done["money"]["asked"], done["reach"]) == (2400, 0, [])
    assert done["promised_after"] > done["expected_at"]
    row = await house.until(order, OrderStatus.AWAITING_STOCK, waiting="3 of MUG on backorder")
    assert not row.needs_attention
    assert await house.charges(order) == []
    later = await house.place({"TEE": 1})
    await house.exception(later, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 3)
    await house.labelled(order)
    assert (await house.stock("MUG"), await house.stock("TEE")) == ((4, 4), (1, 1))
    await house.hand_over(order)
    told = (await house.http.get(f"/v1/orders/{order}")).json()
    assert await house.charges(order) == [told["total"]]
    assert (told["version"], told["money"]["owed"], told["waits"]) == (2, 0, [])
    assert "changed" in await house.mails(order)


@pytest.mark.fuzz
async def test_a_promise_that_is_made_smaller_is_others_to_have_and_the_order_waits_on(house: House) -> None:
    await backordered(house, cap=2)
    first = await house.place({"MUG": 3})
    await house.until(first, waiting="2 of MUG on backorder")
    second = await house.place({"MUG": 1})
    await house.exception(second, ExceptionKind.OUT_OF_STOCK)
    assert (await change(house, first, lines=[{"line": 1, "quantity": 2}]))["reach"] == []
    await house.until(first, OrderStatus.AWAITING_STOCK, waiting="1 of MUG on backorder")
    await house.until(second, waiting="on backorder")
    waits = (await house.http.get(f"/v1/orders/{first}")).json()["waits"]
    assert [(wait["units"], wait["missing"], wait["queue"]) for wait in waits] == [(2, 1, "backorder")]
    await house.delivery_comes_in("MUG", 1)
    await house.labelled(first)
    assert await house.stock("MUG") == (2, 2)


@pytest.mark.fuzz
async def test_an_order_that_got_its_units_while_it_was_looked_at_is_not_reduced(house: House) -> None:
    await house.receive("MUG", 1)
    order = await house.place({"MUG": 3})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    shown = await preview(house, order, lines=[{"line": 1, "quantity": 1}])
    await house.delivery_comes_in("MUG", 5)
    await house.labelled(order)
    refused = await apply(house, order, shown["version"], lines=[{"line": 1, "quantity": 1}])
    assert (refused.status_code, refused.json()["code"]) == (409, "order_moved")
    assert await house.stock("MUG") == (6, 3)
