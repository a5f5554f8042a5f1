"""Where several payments of an order meet claims and exchanges: what is settled, what is asked for, what is kept."""

import pytest

from domain.orders import OrderStatus
from tests.house import House
from tests.workflows import test_claims as claims
from tests.workflows import test_exchanges as exchanges
from tests.workflows.test_cancellations import cancelled_as_shown
from tests.workflows.test_differences import BANK, CARD, agrees, ask, awaiting, ends, with_a_jug
from tests.workflows.test_returns import delivered, money

A_MUG_MORE = [{"line": 1, "quantity": 2}]


async def replacement(house: House) -> tuple[str, str]:
    """The claim of a mug, and the order of another one that costs nothing, labelled."""
    name = (await claims.claimed(house, await delivered(house, 2)))["id"]
    linked = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(linked)
    return name, linked


async def with_a_jug_delivered(house: House) -> str:
    """Two mugs, paid by 29.00, and a jug, paid by 12.00 more."""
    order, change = await with_a_jug(house, CARD)
    await ends(house, order, change, "applied")
    await house.shipping_from(order, 2)
    for number in (1, 2):
        await house.hand_over(order, number=number)
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def granted(house: House, order: str, amount: int) -> str:
    body = {"reference": f"of {amount}", "reason": "It came late.", "amount": amount}
    refund = (await house.http.post(f"/v1/orders/{order}/refunds", json=body)).raise_for_status().json()
    return str(refund["id"])


async def refunded(house: House, order: str, times: int) -> None:
    """Wait until the provider has given money back so often, and all of it is on record."""

    async def there() -> bool:
        ours = (await house.http.get(f"/v1/orders/{order}/refunds")).json()["items"]
        paid = [refund for refund in ours if refund["status"] == "paid"]
        return len(await house.refunds(order)) == len(paid) == times

    async def story() -> str:
        return str((await house.http.get(f"/v1/orders/{order}/refunds")).json())

    await house._until(there, story)


async def test_a_replacement_that_comes_to_cost_more_is_paid_for_that_alone(house: House) -> None:
    name, linked = await replacement(house)
    change = await awaiting(house, linked, CARD, lines=A_MUG_MORE)
    told = await ends(house, linked, change["id"], "applied")
    assert (told["total"], told["credit"], told["payment"]["amount"]) == (2400, 1200, 0)
    assert [(p["amount"], p["due"]) for p in told["further_payments"]] == [(1200, 1200)]
    less = await house.http.post(f"/v1/orders/{linked}/changes/preview", json={"lines": [{"line": 1, "quantity": 1}]})
    assert (less.status_code, less.json()["code"]) == (409, "conflict")
    await house.shipping_from(linked, 2)
    for number in (1, 2):
        await house.hand_over(linked, number=number)
        await house.advance(linked, 9, number=number)
    await house.closed(linked, OrderStatus.DELIVERED)
    assert (await claims.ended(house, name))["status"] == "closed"
    sums = await money(house, linked)
    assert [sums[n] for n in ("invoiced", "credited", "captured", "owed", "paid")] == [2400, 1200, 1200, 0, "full"]
    assert await house.charges(linked) == [1200]
    await agrees(house, linked)


@pytest.mark.fuzz
async def test_a_replacement_whose_further_payment_is_awaited_or_held_is_cancelled_whole(house: House) -> None:
    name, linked = await replacement(house)
    change = await awaiting(house, linked, BANK, lines=A_MUG_MORE)
    await house.until(linked, waiting="confirm the payment with the bank, of 12.00 USD for a change")
    await house.cancel(linked)
    await house.closed(linked, OrderStatus.CANCELLED)
    await ends(house, linked, change["id"], "withdrawn")
    await claims.until(house, name, "requested")
    again = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(again)
    change = await awaiting(house, again, CARD, lines=A_MUG_MORE)
    await ends(house, again, change["id"], "applied")
    await house.cancel(again)
    await house.closed(again, OrderStatus.CANCELLED)
    for order in (linked, again):
        sums = await money(house, order)
        assert (sums["owed"], sums["held"], await house.charges(order)) == (0, 0, [])
        await agrees(house, order)
    assert (await house.stock("MUG"))[1] == 0


async def test_what_is_kept_of_a_cancelled_replacement_is_kept_of_what_was_paid_for_more(house: House) -> None:
    name, linked = await replacement(house)
    change = await awaiting(house, linked, CARD, lines=A_MUG_MORE)
    await ends(house, linked, change["id"], "applied")
    await house.shipping_from(linked, 2)
    beyond = await house.http.post(f"/v1/orders/{linked}/cancel/preview", json={"refund": 1201})
    assert (beyond.status_code, beyond.json()["code"]) == (
        409,
        "refund_too_large",
    )  # what the claim settled is no money
    shown = await cancelled_as_shown(house, linked, refund=700)
    assert (shown["released"], shown["refunded"], shown["kept"]) == (700, 0, 500)
    assert await house.charges(linked) == [500]
    await claims.until(house, name, "requested")
    again = (await claims.told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(again)
    sums = await money(house, linked)
    assert [sums[n] for n in ("captured", "refunded", "held", "owed")] == [500, 0, 0, 0]


@pytest.mark.fuzz
async def test_what_is_kept_of_a_cancelled_exchange_leaves_what_came_back_to_be_refunded(house: House) -> None:
    order = await delivered(house, 1)
    exchange = await exchanges.asked(house, order, 3000)
    await exchanges.comes_back(house, exchange)
    linked = (await exchanges.until(house, exchange["id"], "ordered"))["ordered"]["id"]
    await house.labelled(linked)
    shown = await cancelled_as_shown(house, linked, refund=1300)
    assert (shown["released"], shown["refunded"], shown["kept"]) == (1300, 0, 500)
    over = await exchanges.ended(house, exchange["id"])
    refund = (await house.http.get(f"/v1/refunds/{over['refund_id']}")).json()
    assert (over["status"], refund["amount"], refund["status"]) == ("ended", 1200, "granted")
    assert (await house.charges(linked), (await money(house, order))["owed"]) == ([500], -1200)
    (await house.http.post(f"/v1/refunds/{over['refund_id']}/pay")).raise_for_status()
    await refunded(house, order, 1)
    assert (await house.refunds(order), (await money(house, order))["owed"]) == ([1200], 0)
    for each in (order, linked):
        await agrees(house, each)


@pytest.mark.fuzz
async def test_a_replacement_that_was_paid_in_part_is_taken_up_where_it_stood(house: House) -> None:
    _, linked = await replacement(house)
    change = await awaiting(house, linked, CARD, lines=A_MUG_MORE)
    await ends(house, linked, change["id"], "applied")
    await house.shipping_from(linked, 2)
    await house.start_anew(linked)
    await house.until(linked, waiting="the hand-over")
    for number in (1, 2):
        await house.hand_over(linked, number=number)
    assert await house.charges(linked) == [1200]
    await agrees(house, linked)


@pytest.mark.fuzz
async def test_the_order_of_an_exchange_is_changed_before_it_is_paid_and_its_payment_follows(house: House) -> None:
    order = await delivered(house, 1)
    exchange = await exchanges.asked(house, order, 3000, payment=BANK)
    await exchanges.comes_back(house, exchange)
    linked = (await exchanges.until(house, exchange["id"], "ordered"))["ordered"]["id"]
    await house.until(linked, waiting="confirm the payment with the bank")
    more = await ask(house, linked, None, lines=[{"line": 1, "quantity": 2}])
    assert (more.status_code, more.json()["money"]["invoiced"], more.json()["money"]["asked"]) == (200, 3000, 0)
    less = await house.http.post(f"/v1/orders/{linked}/changes/preview", json={"lines": [{"line": 1, "quantity": 1}]})
    assert (less.status_code, less.json()["code"]) == (409, "conflict")

    async def follows() -> bool:
        return [i["amount"] for i in await house.intents(linked)] == [6000 - 1200]

    async def story() -> str:
        return str(await house.intents(linked))

    await house._until(follows, story)
    await house.authenticate(linked)
    await exchanges.arrives(house, linked)
    assert (await exchanges.ended(house, exchange["id"]))["status"] == "completed"
    assert await house.charges(linked) == [4800]
    sums = await money(house, linked)
    assert [sums[n] for n in ("invoiced", "credited", "captured", "owed", "paid")] == [6000, 1200, 4800, 0, "full"]
    await agrees(house, linked)


@pytest.mark.fuzz
async def test_what_an_exchange_keeps_of_two_payments_leaves_a_refund_of_before_its_money(house: House) -> None:
    order = await with_a_jug_delivered(house)
    refund = await granted(house, order, 2500)
    exchange = await exchanges.asked(house, order, 1200)
    await exchanges.comes_back(house, exchange)
    linked = (await exchanges.until(house, exchange["id"], "ordered"))["ordered"]["id"]
    (await house.http.post(f"/v1/refunds/{refund}/pay")).raise_for_status()
    beyond = {"reference": "beyond", "reason": "x", "amount": 4100 - 2500 - 1200 + 1}
    assert (await house.http.post(f"/v1/orders/{order}/refunds", json=beyond)).json()["code"] == "refund_too_large"
    rest = await granted(house, order, 400)
    (await house.http.post(f"/v1/refunds/{rest}/pay")).raise_for_status()
    await exchanges.arrives(house, linked)
    await exchanges.ended(house, exchange["id"])
    await refunded(house, order, 2)
    assert sorted(await house.refunds(order)) == [400, 2500]
    await agrees(house, order)


@pytest.mark.fuzz
async def test_the_letter_about_a_claim_tells_what_both_payments_give_back(house: House) -> None:
    order = await with_a_jug_delivered(house)
    before = await granted(house, order, 1000)
    (await house.http.post(f"/v1/refunds/{before}/pay")).raise_for_status()
    name = (await claims.claimed(house, order, 2))["id"]
    await claims.told(house, name, "approve", remedy="refund")
    closed = await claims.ended(house, name)
    (await house.http.post(f"/v1/refunds/{closed['refund_id']}/pay")).raise_for_status()
    await refunded(house, order, 3)
    assert sorted(await house.refunds(order)) == [500, 1000, 1900]
    assert "$24.00" in await house.letter(order, "claim_refunded")
    await agrees(house, order)
