"""One parcel is split, shipped short or moved: previewed, then all of it or nothing, while the order goes on."""

import asyncio
import uuid
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from activities.money_checks import CompareAfter
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House

ONE = [{"line": 1, "quantity": 1}]
MISSING: dict[str, Any] = {"reason": "not_found", "lines": ONE}


async def parcel(house: House, order: str, number: int = 1) -> str:
    """A parcel's fulfilment, by its number."""
    found: str = (await house.fulfilments(order))[number - 1].id
    return found


async def shown(house: House, fulfilment: str, deed: str, **body: Any) -> dict[str, Any]:
    """What it would do."""
    response = await house.http.post(f"/v1/fulfilments/{fulfilment}/{deed}/preview", json=body)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def apply(house: House, fulfilment: str, deed: str, version: str, **body: Any) -> httpx2.Response:
    """Have it so; the answer, whatever it is."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return await house.http.post(
        f"/v1/fulfilments/{fulfilment}/{deed}", json={**body, "version": version}, headers=headers
    )


async def do(house: House, order: str, deed: str, *, number: int = 1, **body: Any) -> dict[str, Any]:
    """Preview and apply: what was shown is what was done."""
    fulfilment = await parcel(house, order, number)
    preview = await shown(house, fulfilment, deed, **body)
    response = await apply(house, fulfilment, deed, preview["version"], **body)
    assert response.status_code == 200, response.text
    done: dict[str, Any] = response.json()
    assert {name: done[name] for name in preview if name in done} == {
        name: preview[name] for name in preview if name in done
    }
    return done


async def at_the_dock(house: House, units: int = 3) -> str:
    """A labelled order of mugs that EAST ships."""
    await house.receive("MUG", 10, at="EAST")
    order = await house.place({"MUG": units})
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    return order


async def to_the_door(house: House, order: str, *numbers: int) -> None:
    """These parcels leave and arrive, and nothing else is to come."""
    for number in numbers:
        await house.shipping_from(order, number)
    for number in numbers:
        await house.hand_over(order, number=number)
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    compared = await house.crew.money_checks.compare(CompareAfter("after parcels", only=order))
    assert (compared.at.orders, compared.at.differences) == (1, 0)


@pytest.mark.fuzz
async def test_a_labelled_parcel_is_split_its_label_given_back_once_and_both_arrive(house: House) -> None:
    order = await at_the_dock(house)
    done = await do(house, order, "split", lines=ONE, reason="too heavy")
    assert (done["said"], done["order_version"]) == (
        "Parcel 1 was split: 1 × MUG in a parcel of their own.",
        2,
    )
    assert [label["replaced"] for label in done["labels"]] == [True]
    await house.shipping_from(order, 2)
    await house.labelled(order)
    weights = [(p.weight_grams, p.void_status) for p in await house.parcels(order)]
    assert weights == [(1200, "submitted"), (800, None), (400, None)]
    assert await house.stock("MUG") == (10, 3)
    await to_the_door(house, order, 1, 2)
    assert (await house.charges(order), await house.stock("MUG")) == ([4100], (7, 0))
    assert "changed" not in await house.mails(order)


@pytest.mark.fuzz
async def test_what_is_missing_is_dropped_and_not_paid_and_the_customer_is_told(house: House) -> None:
    order = await at_the_dock(house)
    done = await do(house, order, "short-ship", **MISSING, rest="drop")
    assert (done["money"]["capture_less"], done["money"]["refund"]) == (1200, 0)
    assert [(s["on_hand_before"], s["on_hand_after"]) for s in done["shelves"]] == [(10, 2)]
    assert await house.stock("MUG") == (2, 2)
    await house.noticed(order, "changed")
    (rejection,) = (await house.http.get("/v1/rejections")).json()["items"]
    assert (rejection["reason"], rejection["rest"], rejection["lines"][0]["quantity"]) == ("not_found", "drop", 1)
    await to_the_door(house, order, 1)
    assert await house.charges(order) == [2900]


@pytest.mark.fuzz
async def test_what_is_missing_ships_from_elsewhere_as_it_was_shown(house: House) -> None:
    await house.receive("MUG", 10, at="WEST")
    order = await at_the_dock(house)
    done = await do(house, order, "short-ship", **MISSING, rest="reroute")
    assert [(r["warehouse"], r["quantity"]) for r in done["reserved"]] == [("WEST", 1)]
    assert (await house.stock("MUG"), await house.stock("MUG", at="WEST")) == ((2, 2), (10, 1))
    await to_the_door(house, order, 1, 2)
    assert await house.charges(order) == [4100]


async def test_what_is_missing_waits_for_stock_where_it_was_missing_and_for_no_other(house: House) -> None:
    await house.receive("MUG", 10, at="WEST")
    order = await at_the_dock(house)
    done = await do(house, order, "short-ship", **MISSING, rest="backorder")
    assert [(w["quantity"], w["at"]) for w in done["waiting"]] == [(1, ["EAST"])]
    await house.shipping_from(order, 1)
    await house.hand_over(order)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    await house.advance(order, 9)
    await house.until(order, waiting="stock of what is backordered to come in: 1 of MUG at EAST")
    assert await house.exceptions(order) == []
    await house.delivery_comes_in("MUG", 3)
    await to_the_door(house, order, 2)
    assert [f.warehouse for f in await house.fulfilments(order)] == ["EAST", "EAST"]
    assert (await house.stock("MUG", at="WEST"), await house.charges(order)) == ((10, 0), [4100])


@pytest.mark.fuzz
async def test_a_parcel_that_is_held_with_its_order_is_moved_to_another_warehouse(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    hold = await house.hold(order)
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the operator hold")
    await house.receive("MUG", 10, at="WEST")
    done = await do(house, order, "move", warehouse="WEST")
    assert (done["ships_from"], done["routed_to"]) == (["EAST"], ["WEST"])
    assert (await house.stock("MUG", at="EAST"), await house.stock("MUG", at="WEST")) == ((10, 0), (10, 2))
    await house.release(order, hold)
    await to_the_door(house, order, 2)
    assert len(await house.labels()) == 1


async def test_of_two_operators_with_one_parcel_one_wins_and_the_other_is_told_what_changed(house: House) -> None:
    order = await at_the_dock(house)
    fulfilment = await parcel(house, order)
    split = await shown(house, fulfilment, "split", lines=ONE)
    short = await shown(house, fulfilment, "short-ship", **MISSING, rest="drop")
    answers = await asyncio.gather(
        apply(house, fulfilment, "split", split["version"], lines=ONE),
        apply(house, fulfilment, "short-ship", short["version"], **MISSING, rest="drop"),
    )
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (won,) = [answer.json()["said"] for answer in answers if answer.status_code == 200]
    again = await apply(house, fulfilment, "split", split["version"], lines=ONE)
    assert (again.status_code, again.json()["code"]) == (409, "order_moved")
    assert won in again.json()["detail"]
    assert (await house.record(order)).version == 2


@pytest.mark.fuzz
async def test_what_is_backordered_is_known_to_an_order_that_is_taken_up_and_asked_about_once_it_is_late(
    house: House,
) -> None:
    await house.receive("MUG", 10, at="WEST")
    order = await at_the_dock(house)
    await do(house, order, "short-ship", **{**MISSING, "lines": [{"line": 1, "quantity": 3}]}, rest="backorder")
    await house.until(order, waiting="stock of what is backordered to come in: 3 of MUG at EAST")
    assert [f.status for f in await house.fulfilments(order)] == ["rejected"]
    await house.start_anew(order)
    await house.until(order, waiting="stock of what is backordered to come in: 3 of MUG at EAST")
    await house.pass_time(order, days=10)
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert exception.reason == (
        "Backordered units are not there: 3 of MUG missing. A receipt of stock at EAST moves it on; "
        "retry looks again now, everywhere."
    )
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.RETRY)
    await house.shipping_from(order, 2)
    assert await house.stock("MUG", at="WEST") == (10, 3)


@pytest.mark.fuzz
async def test_an_order_that_waits_for_what_is_backordered_is_cancelled_and_everything_goes_back(house: House) -> None:
    order = await at_the_dock(house)
    await do(house, order, "short-ship", **MISSING, rest="backorder")
    await house.labelled(order)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await house.stock("MUG"), await house.charges(order)) == ((2, 0), [])
    async with house.database.reading() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM stock_waits"))).scalar_one() == 0


@pytest.mark.fuzz
async def test_a_hold_that_is_placed_on_the_parcel_refuses_and_one_that_has_left_stays_as_it_is(house: House) -> None:
    order = await at_the_dock(house)
    fulfilment = await parcel(house, order)
    split = await shown(house, fulfilment, "split", lines=ONE)
    hold = await house.hold(order, fulfilment=fulfilment)
    refused = await apply(house, fulfilment, "split", split["version"], lines=ONE)
    assert (refused.status_code, refused.json()["code"]) == (409, "on_hold")
    await house.release(order, hold)
    await house.easypost(webhooks={"lost_rate": 1.0})
    await house.advance(order, 2)
    late = await apply(house, fulfilment, "split", split["version"], lines=ONE)
    assert (late.status_code, late.json()["code"]) == (409, "too_late")
    await house.until(order, OrderStatus.SHIPPED)
    assert ((await house.record(order)).version, await house.charges(order)) == (1, [4100])
