"""Cancelling as a preview has shown it: what was shown is what is given back, or nothing is."""

import asyncio
import uuid
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from activities.money_checks import CompareAfter
from db import ledger
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_changes import change, waits_for_the_carrier
from tests.workflows.test_differences import CARD, JUG, awaiting, ends, with_a_jug


async def preview(house: House, order: str, **wish: Any) -> dict[str, Any]:
    """What cancelling would do."""
    response = await house.http.post(f"/v1/orders/{order}/cancel/preview", json=wish)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def cancel(house: House, order: str, version: str, *, key: str = "", **wish: Any) -> httpx2.Response:
    """Have it so; the answer, whatever it is."""
    headers = {"Idempotency-Key": key or uuid.uuid4().hex}
    return await house.http.post(f"/v1/orders/{order}/cancel", json={**wish, "version": version}, headers=headers)


async def cancelled_as_shown(house: House, order: str, **wish: Any) -> dict[str, Any]:
    """Preview and cancel: what was shown is what everybody's books say afterwards."""
    shown = await preview(house, order, **wish)
    intents = {intent["id"]: intent for intent in await house.intents(order)}
    assert (await cancel(house, order, shown["version"], **wish)).status_code == 200
    await house.closed(order, OrderStatus.CANCELLED)
    refunds = await house.given_back()
    released = sum(
        intents[intent["id"]]["amount_capturable"]
        for intent in await house.intents(order)
        if intent["status"] in {"canceled", "succeeded"} and intent["id"] in intents
    )
    charged = sum(await house.charges(order))
    took = charged - sum(intent["amount_received"] for intent in intents.values())
    assert (shown["released"], shown["refunded"], shown["kept"]) == (released - took, refunds, charged - refunds)
    async with house.database.reading() as connection:
        now = await ledger.balance_now(connection, order)
    assert (now.due, now.captured - now.refunded, now.held, now.owed, now.fault) == (shown["kept"],) * 2 + (0, 0, None)
    compared = (await house.crew.money_checks.compare(CompareAfter("afterwards", only=order))).at
    assert (compared.orders, compared.differences, compared.busy) == (1, 0, 0)
    async with house.database.reading() as connection:
        moved = await released_units(connection, order)
    assert sorted((u["sku"], u["warehouse"], u["quantity"]) for u in shown["stock"]) == moved
    off = await written_off(house, order)
    assert sorted((u["sku"], u["warehouse"], u["written_off"]) for u in shown["stock"] if u["written_off"]) == off
    voided = sum(label["refund_status"] == "submitted" for label in await house.labels())
    assert sum(parcel["becomes"] == "label_given_back" for parcel in shown["parcels"]) == voided
    assert ("cancelled" in await house.mails(order)) is (shown["mail"] == "cancelled")
    return shown


async def released_units(connection: Any, order: str) -> list[tuple[str, str, int]]:
    """What the stock ledger says was given back for an order."""
    query = text("SELECT sku, warehouse, -reserved_change FROM movements WHERE kind = 'released' AND cause = :cause")
    return sorted(tuple(row) for row in await connection.execute(query, {"cause": f"order:{order}"}))


async def written_off(house: House, order: str) -> list[tuple[str, str, int]]:
    """What the stock ledger says was taken off the shelf since an order was cancelled."""
    query = text("SELECT sku, warehouse, -on_hand_change FROM movements WHERE kind = 'written_off' AND cause = :cause")
    async with house.database.reading() as connection:
        found = await connection.execute(query, {"cause": f"cancellation:{order}"})
        return sorted(tuple(row) for row in found)


async def test_a_cancelled_order_gives_back_what_its_newest_preview_has_shown(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place({"MUG": 2}, method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    early = await preview(house, order)
    await house.authenticate(order)
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    refused = await cancel(house, order, early["version"])
    assert (refused.status_code, refused.json()["code"]) == (409, "order_moved")
    assert "Parcel 1 has a label now" in refused.json()["detail"]
    shown = await cancelled_as_shown(house, order, reason="ticket 9", restock=False, refund=1900)
    assert (shown["released"], shown["refunded"], shown["kept"], len(shown["parcels"])) == (1900, 0, 1000, 1)
    assert await house.stock("MUG") == (8, 0)
    assert await house.charges(order) == [1000]
    assert "We have charged $10.00. What else your bank had set aside" in await house.letter(order, "cancelled")


async def test_what_is_kept_of_an_order_that_two_payments_pay_for_is_taken_of_both(house: House) -> None:
    order, paid = await with_a_jug(house, CARD)
    await ends(house, order, paid, "applied")
    await house.shipping_from(order, 2)
    shown = await cancelled_as_shown(house, order, refund=900)
    assert [(p["released"], p["refunded"], p["kept"]) for p in shown["payments"]] == [(0, 0, 2900), (900, 0, 300)]
    assert sorted(await house.charges(order)) == [300, 2900]
    assert [p["becomes"] for p in shown["parcels"]] == ["label_given_back"] * 2
    assert "We have charged $32.00." in await house.letter(order, "cancelled")


@pytest.mark.fuzz
async def test_what_is_kept_of_two_payments_is_kept_of_the_one_that_was_taken_first(house: House) -> None:
    await house.receive("MUG", 10)
    await house.receive("JUG", 1, at="WEST")
    intent = await house.shop_makes_intent(2900, capture="automatic")
    order = await house.place({"MUG": 2}, method=None, intent=intent)
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    change = await awaiting(house, order, CARD, add=[JUG])
    await ends(house, order, change["id"], "applied")
    await house.shipping_from(order, 2)
    shown = await cancelled_as_shown(house, order, refund=1500)
    assert [(p["released"], p["refunded"], p["kept"]) for p in shown["payments"]] == [(0, 300, 2600), (1200, 0, 0)]
    assert (await house.charges(order), await house.given_back()) == ([2900], 300)


@pytest.mark.fuzz
async def test_an_order_paid_before_it_was_placed_is_refunded_and_nobody_need_be_told(house: House) -> None:
    await house.receive("MUG", 10)
    intent = await house.shop_makes_intent(2900, capture="automatic")
    order = await house.place({"MUG": 2}, method=None, intent=intent)
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    too_much = await house.http.post(f"/v1/orders/{order}/cancel", json={"refund": 2901})
    assert (too_much.status_code, too_much.json()["code"]) == (409, "refund_too_large")
    shown = await cancelled_as_shown(house, order, tell_customer=False, refund=2000)
    assert (shown["released"], shown["refunded"], shown["kept"], shown["mail"]) == (0, 2000, 900, None)


@pytest.mark.fuzz
async def test_an_order_that_was_changed_since_its_preview_is_not_cancelled(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house, {"MUG": 3})
    shown = await preview(house, order)
    await change(house, order, lines=[{"line": 1, "unit_price": 1000}])
    refused = await cancel(house, order, shown["version"])
    assert "another price for MUG" in refused.json()["detail"]
    shown = await preview(house, order)
    other = await cancel(house, order, shown["version"], tell_customer=False)
    assert "another than was previewed" in other.json()["detail"]
    assert (await house.record(order)).status == OrderStatus.FULFILLING


async def test_of_two_who_cancel_as_shown_one_wins_and_its_repetition_gets_the_same_answer(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    shown = await preview(house, order)
    await house.easypost(latency_ms=400)
    answers = await asyncio.gather(*(cancel(house, order, shown["version"], key=key) for key in ("a", "b")))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    won, lost = sorted(answers, key=lambda answer: answer.status_code)
    assert "has cancelled the order meanwhile" in lost.json()["detail"]
    winner = "a" if answers[0] is won else "b"
    assert (await cancel(house, order, shown["version"], key=winner)).status_code == 200
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await cancel(house, order, shown["version"], key=winner)).status_code == 200
    assert not [e for e in await house.exceptions(order) if e.kind == ExceptionKind.UNWIND_FAILED]


@pytest.mark.fuzz
async def test_a_hold_of_which_nothing_can_be_captured_is_released_if_a_person_decides_so(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}])
    assert (await house.http.post(f"/v1/orders/{order}/cancel", json={"refund": 0})).status_code == 200
    otherwise = await house.http.post(f"/v1/orders/{order}/cancel", json={"restock": False})
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "order_moved")
    await house.resolve(order, ExceptionKind.UNWIND_FAILED, Action.SKIP)
    await house.closed(order, OrderStatus.CANCELLED)
    assert await house.charges(order) == []
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    async with house.database.reading() as connection:
        now = await ledger.balance_now(connection, order)
    assert (now.due, now.held, now.owed) == (0, 0, 0)
