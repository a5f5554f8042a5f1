"""The customer pays late, otherwise, wrongly or never; or has paid in the shop already."""

import asyncio

import pytest
from sqlalchemy import text

from domain.errors import TooLate
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.stories import cancelled_expiring


async def test_a_customer_whose_card_is_declined_pays_with_another(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    row = await house.until(order, OrderStatus.AWAITING_PAYMENT, waiting="another way to pay")
    assert "declined" in row.waiting["sentence"]
    assert await house.stock("MUG") == (10, 2)
    await house.pay(order, "pm_card_mastercard")
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]


async def test_a_card_that_is_declined_twice_is_told_once_and_waited_for_further(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pay(order, "pm_card_visa_chargeDeclinedInsufficientFunds")
    row = await house.until(order, waiting="insufficient funds")
    assert row.status == OrderStatus.AWAITING_PAYMENT
    await house.pass_time(order, hours=13)
    assert sum("declined" in line for line in await house.timeline(order)) == 2
    await house.pay(order)
    await house.labelled(order)


async def test_an_order_that_is_never_paid_expires_and_gives_its_stock_back(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pass_time(order, hours=25)
    await house.closed(order, OrderStatus.EXPIRED)
    assert await house.stock("MUG") == (10, 0)
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert await house.mails(order) == ["expired"]


async def test_a_cancel_that_is_accepted_while_the_unpaid_payment_is_closed_is_heeded(house: House) -> None:
    order = await cancelled_expiring(house)
    assert await house.stock("MUG") == (10, 0)
    assert await house.mails(order) == ["cancelled"]


async def test_an_order_that_was_not_paid_in_time_cannot_be_cancelled_any_more(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    async with house.database.transaction() as connection:
        await connection.execute(text("LOCK stock_levels IN EXCLUSIVE MODE"))
        passing = asyncio.create_task(house.pass_time(order, hours=25))
        await house.until(order, waiting="labels, payment and stock to be given back")
        with pytest.raises(TooLate, match="The order is expired"):
            await house.cancel(order)
    await passing
    await house.closed(order, OrderStatus.EXPIRED)
    assert await house.mails(order) == ["expired"]


async def test_a_payment_that_nobody_told_of_is_found_when_the_window_closes(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(webhooks={"lost_rate": 1})
    order = await house.place(method="pm_card_chargeDeclined")
    await house.until(order, waiting="another way to pay")
    await house.pay(order)
    await house.pass_time(order, hours=13)
    await house.labelled(order)


async def test_a_customer_passes_the_banks_check(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    assert await house.charges(order) == []


async def test_a_customer_who_fails_the_banks_check_may_pay_otherwise(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order, succeed=False)
    await house.until(order, waiting="another way to pay")
    await house.pay(order)
    await house.labelled(order)


async def test_a_hold_that_the_shop_has_placed_is_adopted(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900)
    order = await house.place(intent=intent)
    await house.labelled(order)
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    assert await house.deeds("payment_intents.create") == 1


async def test_money_that_the_shop_has_taken_is_not_taken_again(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    order = await house.place(intent=intent)
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.deeds("payment_intents.capture") == 0


async def test_an_adopted_payment_that_the_bank_confirms_late_stays_quiet_afterwards(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, method="pm_card_authenticationRequired", capture="automatic")
    order = await house.place(intent=intent)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    await house.all_heard()
    before = await house.events(order)
    await house.until(order, waiting="the hand-over")
    await house.pass_time(order, hours=1)
    assert await house.events(order) - before < 20  # one that asks again and again writes hundreds


async def test_an_adopted_payment_of_another_amount_is_an_operators_to_settle(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(1900)
    order = await house.place(intent=intent)
    exception = await house.exception(order, ExceptionKind.PAYMENT_MISMATCH)
    assert "19.00 USD" in exception.reason
    assert "29.00 USD" in exception.reason
    await house.resolve(order, ExceptionKind.PAYMENT_MISMATCH, Action.CANCEL)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [i["status"] for i in await house.intents(order)] == ["canceled"]
    assert await house.stock("MUG") == (10, 0)


async def test_too_much_that_the_shop_has_taken_is_given_back_whole(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(9900, capture="automatic")
    order = await house.place(intent=intent)
    await house.resolve(order, ExceptionKind.PAYMENT_MISMATCH, Action.CANCEL)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.refunds(order) == [9900]


async def test_another_orders_payment_is_neither_used_nor_touched(house: House) -> None:
    await house.receive("MUG", 10)
    first = await house.place()
    await house.labelled(first)
    second = await house.place(intent=await house.intent_id(first))
    exception = await house.exception(second, ExceptionKind.PAYMENT_MISMATCH)
    assert "another order" in exception.reason
    await house.cancel(second)
    await house.closed(second, OrderStatus.CANCELLED)
    assert [i["status"] for i in await house.intents(first)] == ["requires_capture"]
    await house.hand_over(first)
    assert await house.charges(first) == [2900]


async def test_money_that_the_shop_has_taken_pays_for_one_order(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    first = await house.place(intent=intent)
    await house.labelled(first)
    second = await house.place(intent=intent)
    exception = await house.exception(second, ExceptionKind.PAYMENT_MISMATCH)
    assert "another order" in exception.reason
    await house.cancel(second)
    await house.closed(second, OrderStatus.CANCELLED)
    assert await house.refunds(first) == []
    await house.advance(first, 9)
    await house.closed(first, OrderStatus.DELIVERED)


async def test_a_payment_cancelled_at_the_provider_is_authorised_again_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    await house.somebody_cancels_payment(order)
    await house.resolve(order, ExceptionKind.PAYMENT_REFUSED, Action.RETRY)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.labelled(order)
    assert [i["status"] for i in await house.intents(order)] == ["requires_capture", "canceled"]


async def test_a_payment_that_the_provider_refuses_to_make_is_tried_again_by_a_decision(house: House) -> None:
    await house.receive("MUG", 10)
    await house.stripe(fail_next=[{"operation": "payment_intents.create", "status": 403}])
    order = await house.place()
    await house.resolve(order, ExceptionKind.PAYMENT_REFUSED, Action.RETRY)
    await house.labelled(order)
    assert len(await house.intents(order)) == 1
