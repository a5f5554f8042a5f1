"""A change that costs more: the customer pays the difference in a payment of its own, or the order stays as it was."""

import uuid
from typing import Any

import httpx2
import pytest

from activities.money_checks import CompareAfter
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_changes import apply, preview, waits_for_the_carrier

JUG = {"sku": "JUG", "quantity": 1, "unit_price": 1200}
CARD = {"provider": "stripe", "method": "pm_card_visa"}
BANK = {"provider": "stripe", "method": "pm_card_authenticationRequired"}


async def ask(house: House, order: str, payment: dict[str, Any] | None, **edits: Any) -> httpx2.Response:
    """Preview a change and have it so; the answer."""
    wish = {**edits, **({} if payment is None else {"payment": payment})}
    shown = await preview(house, order, **wish)
    return await apply(house, order, shown["version"], **wish)


async def awaiting(house: House, order: str, payment: dict[str, Any], **edits: Any) -> dict[str, Any]:
    """A change that waits for its payment."""
    answer = await ask(house, order, payment, **edits)
    assert answer.status_code == 202, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def with_a_jug(house: House, payment: dict[str, Any], **more: Any) -> tuple[str, str]:
    """An order of two mugs, labelled, that shall have a jug besides; its id and the change's."""
    await house.receive("MUG", 10)
    await house.receive("JUG", 1, at="WEST")
    order = await waits_for_the_carrier(house)
    change = await awaiting(house, order, payment, add=[JUG], **more)
    return order, change["id"]


async def ends(house: House, order: str, change: str, status: str) -> dict[str, Any]:
    """Wait until the change has come to this."""

    async def there() -> bool:
        told = (await house.http.get(f"/v1/orders/{order}")).json()
        (found,) = [awaited for awaited in told["awaited_changes"] if awaited["id"] == change]
        return bool(found["status"] == status)

    async def story() -> str:
        return str((await house.http.get(f"/v1/orders/{order}")).json()["awaited_changes"])

    await house._until(there, story)
    told: dict[str, Any] = (await house.http.get(f"/v1/orders/{order}")).json()
    return told


async def agrees(house: House, order: str) -> None:
    """Our ledger and the provider say the same."""
    compared = await house.crew.money_checks.compare(CompareAfter(f"after {uuid.uuid4().hex}", only=order))
    assert (compared.at.orders, compared.at.differences, compared.at.busy) == (1, 0, 0)


async def test_a_jug_more_is_paid_by_a_second_payment_and_leaves_in_a_parcel_of_its_own(house: House) -> None:
    order, change = await with_a_jug(house, CARD)
    told = await ends(house, order, change, "applied")
    assert (told["version"], told["total"], told["money"]["invoiced"], told["money"]["held"]) == (2, 4100, 4100, 4100)
    assert [(line["number"], line["sku"], line["name"]) for line in told["lines"]] == [
        (1, "MUG", told["lines"][0]["name"]),
        (2, "JUG", told["lines"][1]["name"]),
    ]
    assert [(p["change_id"], p["amount"], p["due"]) for p in told["further_payments"]] == [(change, 1200, 1200)]
    await house.shipping_from(order, 2)
    await house.hand_over(order, number=1)
    assert await house.charges(order) == [2900]
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    await house.hand_over(order, number=2)
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (sorted(await house.charges(order)), await house.given_back()) == ([1200, 2900], 0)
    await agrees(house, order)


async def test_the_customer_confirms_with_the_bank_and_the_units_are_held_meanwhile(house: House) -> None:
    order, change = await with_a_jug(house, BANK)
    await house.until(order, waiting="confirm the payment with the bank, of 12.00 USD for a change")
    assert (await house.stock("JUG", at="WEST"), (await house.record(order)).version) == ((1, 1), 1)
    refused = await house.http.post(f"/v1/orders/{order}/changes/preview", json={"shipping_charge": 0})
    assert (refused.status_code, refused.json()["code"]) == (409, "change_awaits_payment")
    await house.hand_over(order, number=1)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    await house.authenticate(order, change=change)
    await ends(house, order, change, "applied")
    await house.shipping_from(order, 2)
    await house.hand_over(order, number=2)
    assert sorted(await house.charges(order)) == [1200, 2900]
    await house.until(order, OrderStatus.SHIPPED)
    await agrees(house, order)


async def test_what_is_not_paid_in_time_is_withdrawn_and_the_order_goes_on(house: House) -> None:
    order, change = await with_a_jug(house, BANK)
    await house.until(order, waiting="then the change is withdrawn")
    await house.pass_time(order, hours=25)
    told = await ends(house, order, change, "withdrawn")
    assert told["awaited_changes"][0]["why"] == "12.00 USD was not paid in time."
    assert (await house.stock("JUG", at="WEST"), told["version"], told["money"]["held"]) == ((1, 0), 1, 2900)
    assert "The change was withdrawn, and the order stays as it was. 12.00 USD was not paid in time." in (
        await house.timeline(order)
    )
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order)
    assert await house.charges(order) == [2900]
    await house.until(order, OrderStatus.SHIPPED)
    await agrees(house, order)


async def withdraw(house: House, order: str, change: str, **body: Any) -> httpx2.Response:
    """Somebody at the desk withdraws a change that waits; the answer."""
    return await house.http.post(f"/v1/orders/{order}/changes/{change}/withdraw", json=body)


@pytest.mark.parametrize("capture", ["manual", pytest.param("automatic", marks=pytest.mark.fuzz)])
async def test_a_change_is_called_off_in_the_second_in_which_it_is_paid(house: House, capture: str) -> None:
    await house.stripe(webhooks={"lost_rate": 1})
    intent = await house.shop_makes_intent(1200, method="pm_card_authenticationRequired", capture=capture)
    order, change = await with_a_jug(house, {"provider": "stripe", "intent": intent})
    await house.until(order, waiting="confirm the payment with the bank")
    await house.plays(f"stripe/payment_intents/{intent}/complete_action", succeed=True)
    answers = [await withdraw(house, order, change, reason="ticket 8") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200], answers[0].text
    told = answers[0].json()
    assert (told["status"], told["why"], told["order_status"]) == (
        "withdrawn",
        "It was called off. ticket 8",
        "fulfilling",
    )
    assert await house.given_back() == (0 if capture == "manual" else 1200)
    assert (await house.stock("JUG", at="WEST"), (await house.record(order)).version) == ((1, 0), 1)
    assert not [line for line in await house.timeline(order) if "ticket 8" in line]
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order)
    assert await house.charges(order) == ([2900] if capture == "manual" else [1200, 2900])
    assert "change_called_off" in await house.mails(order)
    await agrees(house, order)


@pytest.mark.fuzz
async def test_a_change_that_is_made_cannot_be_called_off(house: House) -> None:
    order, change = await with_a_jug(house, CARD)
    await ends(house, order, change, "applied")
    late = await withdraw(house, order, change)
    assert (late.status_code, late.json()["code"]) == (409, "too_late")
    assert (await withdraw(house, order, str(uuid.uuid4()))).status_code == 404


@pytest.mark.fuzz
async def test_a_declined_difference_is_withdrawn_at_once(house: House) -> None:
    order, change = await with_a_jug(house, {"provider": "stripe", "method": "pm_card_chargeDeclined"})
    told = await ends(house, order, change, "withdrawn")
    assert "declined" in told["awaited_changes"][0]["why"]
    assert (await house.stock("JUG", at="WEST"), told["version"]) == ((1, 0), 1)
    again = await ask(house, order, CARD, add=[JUG])
    assert again.status_code == 202, again.text
    await ends(house, order, again.json()["id"], "applied")


async def test_a_shop_has_the_difference_paid_itself(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    wish = {"lines": [{"line": 1, "quantity": 3}]}
    missing = await ask(house, order, None, **wish)
    assert (missing.status_code, missing.json()["code"], missing.json()["field"]) == (409, "payment_missing", "payment")
    short = {"provider": "stripe", "intent": await house.shop_makes_intent(1100)}
    wrong = await awaiting(house, order, short, **wish)
    told = await ends(house, order, wrong["id"], "withdrawn")
    assert "The payment is for 11.00 USD" in told["awaited_changes"][0]["why"]
    intent = {"provider": "stripe", "intent": await house.shop_makes_intent(1200)}
    right = await awaiting(house, order, intent, **wish)
    await ends(house, order, right["id"], "applied")
    await house.shipping_from(order, 2)
    await house.until(order, waiting="the hand-over")
    twice = await ask(house, order, intent, lines=[{"line": 1, "quantity": 4}])
    assert (twice.status_code, twice.json()["field"]) == (422, "payment.intent")
    await house.hand_over(order, number=1)
    assert sorted(await house.charges(order)) == [1200, 1700]  # what the shop has held can only be taken whole
    await house.hand_over(order, number=2)
    assert sorted(await house.charges(order)) == [1200, 2900]
    await agrees(house, order)


@pytest.mark.fuzz
async def test_a_cancel_gives_both_payments_back(house: House) -> None:
    order, change = await with_a_jug(house, CARD)
    await ends(house, order, change, "applied")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await house.charges(order), [i["status"] for i in await house.intents(order)]) == ([], ["canceled"] * 2)
    assert (await house.stock("MUG"), await house.stock("JUG", at="WEST")) == ((10, 0), (1, 0))
    await agrees(house, order)


async def test_a_cancel_while_the_difference_is_awaited_withdraws_it_first(house: House) -> None:
    order, change = await with_a_jug(house, BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    told = await ends(house, order, change, "withdrawn")
    assert told["money"]["owed"] == 0
    assert (await house.stock("MUG"), await house.stock("JUG", at="WEST")) == ((10, 0), (1, 0))
    assert [i["status"] for i in await house.intents(order)] == ["canceled"] * 2


@pytest.mark.fuzz
async def test_a_jug_less_again_is_a_hold_released_and_later_a_refund_over_both_payments(house: House) -> None:
    order, change = await with_a_jug(house, CARD)
    await ends(house, order, change, "applied")
    await house.shipping_from(order, 2)
    less = await ask(house, order, None, lines=[{"line": 2, "quantity": 0}])
    assert (less.status_code, less.json()["money"]["capture_less"]) == (200, 1200)
    await house.until(order, waiting="the hand-over")
    more = await awaiting(house, order, CARD, lines=[{"line": 1, "quantity": 4}])
    told = await ends(house, order, more["id"], "applied")
    # What is still held for the jug is taken for a mug: only the rest is asked for.
    assert [(p["amount"], p["due"]) for p in told["further_payments"]] == [(1200, 1200)] * 2
    await house.shipping_from(order, 3)
    await house.hand_over(order, number=1)
    assert await house.charges(order) == [2900]
    await house.hand_over(order, number=3)
    assert sorted(await house.charges(order)) == [1200, 1200, 2900]
    body = {"reference": "all of it", "reason": "broken", "amount": 5000}
    refund = (await house.http.post(f"/v1/orders/{order}/refunds", json=body)).raise_for_status().json()
    listed = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
    assert sorted((one["amount"], one["part_of"]) for one in listed) == [
        (900, refund["id"]),
        (1200, refund["id"]),
        (2900, None),
    ]
    await house.http.post(f"/v1/refunds/{refund['id']}/pay")

    async def paid() -> bool:
        found = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
        return [one["status"] for one in found] == ["paid"] * 3

    async def story() -> str:
        return str((await house.http.get(f"/v1/orders/{order}/refunds")).json())

    await house._until(paid, story)
    assert sorted(await house.refunds(order)) == [900, 1200, 2900]
    await agrees(house, order)


@pytest.mark.fuzz
async def test_an_order_ended_while_a_difference_is_awaited_is_taken_up_and_asks_for_it_once(house: House) -> None:
    order, change = await with_a_jug(house, BANK)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.start_anew(order)
    await house.until(order, waiting="confirm the payment with the bank, of 12.00 USD for a change")
    await house.authenticate(order, change=change)
    await ends(house, order, change, "applied")
    assert len(await house.intents(order)) == 2
    await house.shipping_from(order, 2)
    await house.start_anew(order)
    await house.until(order, waiting="the hand-over")
    for number in (1, 2):
        await house.hand_over(order, number=number)
    assert sorted(await house.charges(order)) == [1200, 2900]
    await agrees(house, order)


async def test_what_is_added_before_the_payment_is_paid_with_it(house: House) -> None:
    await house.receive("MUG", 10)
    await house.receive("JUG", 1)
    order = await house.place(method=BANK["method"])
    await house.until(order, waiting="confirm the payment with the bank")
    none = await house.http.post(f"/v1/orders/{order}/changes/preview", json={"add": [{**JUG, "quantity": 2}]})
    assert (none.status_code, none.json()["code"]) == (409, "not_in_stock")
    more = await ask(house, order, None, add=[JUG], lines=[{"line": 1, "quantity": 3}])
    assert (more.status_code, more.json()["money"]["invoiced"], more.json()["money"]["asked"]) == (200, 2400, 0)
    assert (await house.stock("MUG"), await house.stock("JUG")) == ((10, 3), (1, 1))
    less = await ask(house, order, None, lines=[{"line": 1, "quantity": 1}])
    assert (less.status_code, less.json()["money"]["credited"]) == (200, 2400)
    await house.until(order, waiting="confirm the payment with the bank")
    await house.authenticate(order)
    await house.shipping_from(order, 1)
    assert (await house.stock("MUG"), await house.stock("JUG")) == ((10, 1), (1, 1))
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order)
    assert (await house.charges(order), len(await house.intents(order))) == ([2900], 1)
    await agrees(house, order)


async def test_a_shops_intent_follows_an_order_that_is_changed_before_it_is_paid(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, method="pm_card_authenticationRequired")
    order = await house.place(intent=intent)
    await house.until(order, waiting="confirm the payment with the bank")
    more = await ask(house, order, None, lines=[{"line": 1, "quantity": 3}])
    assert more.status_code == 200, more.text

    async def follows() -> bool:
        return [i["amount"] for i in await house.intents(order)] == [4100]

    async def story() -> str:
        return str(await house.intents(order))

    await house._until(follows, story)
    await house.authenticate(order)
    await house.until(order, waiting="the hand-over")
    await house.hand_over(order)
    assert await house.charges(order) == [4100]
    await agrees(house, order)


@pytest.mark.fuzz
async def test_an_order_changed_before_its_payment_and_never_paid_gives_everything_back(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method=BANK["method"])
    await house.until(order, waiting="confirm the payment with the bank")
    assert (await ask(house, order, None, lines=[{"line": 1, "quantity": 5}])).status_code == 200
    await house.start_anew(order)
    await house.until(order, waiting="confirm the payment with the bank")
    assert (await house.stock("MUG"), [i["amount"] for i in await house.intents(order)]) == ((10, 5), [6500])
    await house.pass_time(order, hours=25)
    await house.closed(order, OrderStatus.EXPIRED)
    assert (await house.stock("MUG"), [i["status"] for i in await house.intents(order)]) == ((10, 0), ["canceled"])
    await agrees(house, order)
