"""Refunds end to end: granted, paid by a workflow of their own, told to the customer, reopened when they fail."""

import asyncio
from typing import Any

import pytest

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House


async def delivered(house: House, method: str = "pm_card_visa") -> str:
    """A closed order of 29.00."""
    await house.receive("MUG", 10)
    order = await house.place(method=method)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def refund(house: House, order: str, amount: int = 500, *, reference: str = "t-1") -> str:
    """Somebody grants a refund, and somebody has it paid; its id."""
    body = {"reference": reference, "reason": "Dented.", "amount": amount}
    granted = await house.http.post(f"/v1/orders/{order}/refunds", json=body)
    assert granted.status_code == 201, granted.text
    name = str(granted.json()["id"])
    assert (await house.http.post(f"/v1/refunds/{name}/pay")).status_code == 202
    return name


async def until(house: House, name: str, status: str) -> dict[str, Any]:
    """The refund, once it stands so."""
    async with asyncio.timeout(30):
        while True:
            found: dict[str, Any] = (await house.http.get(f"/v1/refunds/{name}")).json()
            if found["status"] == status:
                return found
            await asyncio.sleep(0.05)


async def test_a_closed_order_is_refunded_in_part_and_the_customer_told(house: House) -> None:
    order = await delivered(house)
    name = await refund(house, order)
    paid = await until(house, name, "paid")
    assert (paid["granted_by"], paid["paid_by"], paid["failure"]) == ("api:test shop", "api:test shop", None)
    await house.noticed(order, "refunded")
    assert "$5.00" in await house.letter(order, "refunded")
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["refunded"], money["credited"], money["owed"], money["paid"]) == (500, 500, 0, "full")
    assert await house.deeds("refunds.create") == 1


async def test_the_order_goes_on_while_it_is_refunded_in_part(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place()
    await house.labelled(order)
    await house.hand_over(order)
    await until(house, await refund(house, order), "paid")
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert not (await house.record(order)).needs_attention


async def test_a_cancelled_order_whose_shop_took_the_money_gets_back_what_remains(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    order = await house.place(intent=intent)
    await house.labelled(order)
    await until(house, await refund(house, order, 900), "paid")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["refunded"], money["credited"], money["owed"]) == (2900, 2900, 0)
    assert await house.deeds("refunds.create") == 2


@pytest.mark.parametrize("fault", [{"status": "lost_answer"}, {"status": 500, "deed": True}, {"status": 500}])
async def test_whatever_happens_to_the_answer_the_money_goes_back_once(house: House, fault: dict[str, Any]) -> None:
    order = await delivered(house)
    await house.stripe(fail_next=[{"operation": "refunds.create", **fault}])
    await until(house, await refund(house, order), "paid")
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert money["refunded"] == 500
    assert await house.given_back() == 500


async def test_a_refund_that_the_bank_sends_back_is_an_exception_and_can_be_paid_anew(house: House) -> None:
    order = await delivered(house, "pm_card_refundFail")
    name = await refund(house, order)
    exception = await house.exception(order, ExceptionKind.REFUND_FAILED)
    assert (await until(house, name, "failed"))["failure"] == "expired_or_canceled_card"
    money = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["refunded"], money["owed"], money["paid"]) == (0, -500, "overpaid")
    answer = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "withdraw"})
    assert answer.status_code == 200, answer.text
    assert not (await house.record(order)).needs_attention


async def test_a_refund_that_the_provider_refuses_is_an_exception(house: House) -> None:
    order = await delivered(house)
    await house.stripe(fail_next=[{"operation": "refunds.create", "status": 400}])
    name = await refund(house, order)
    exception = await house.exception(order, ExceptionKind.REFUND_FAILED)
    answer = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
    assert answer.status_code == 200, answer.text
    await until(house, name, "paid")
    assert await house.given_back() == 500


async def test_a_decision_that_was_taken_while_temporal_was_away_is_started_by_the_relay(house: House) -> None:
    order = await delivered(house)
    body = {"reference": "t-1", "reason": "Dented.", "amount": 500}
    name = (await house.http.post(f"/v1/orders/{order}/refunds", json=body)).json()["id"]
    async with house.database.transaction() as connection:
        statement = (
            "UPDATE refunds SET status = 'paying', decision = 1, paid_by = 'x', asked_at = now() - interval '1 minute'"
        )
        await connection.exec_driver_sql(statement)
    await until(house, name, "paid")
