"""A warehouse rejects while others cancel, hand over, reject too, or end the workflow: nothing is done twice."""

import asyncio
from functools import partial

import httpx2
import pytest

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.faults import news
from tests.faults.test_people import SLOWLY, cancels, decides, reset
from tests.house import House

PLACES = ("EAST", "WEST")


async def on_the_table(house: House, units: int = 10) -> str:
    """A labelled order of two mugs in EAST, which WEST could ship as well."""
    for place in PLACES:
        await house.receive("MUG", units, at=place)
    order = await house.place()
    await house.labelled(order)
    await house.noticed(order, "confirmed")
    await house.until(order, waiting="the hand-over")
    return order


async def rejects(house: House, fulfilment: str, reason: str = "not_found", *, key: str = "") -> httpx2.Response:
    """Somebody in the warehouse rejects a fulfilment."""
    headers = {"Idempotency-Key": key} if key else {}
    return await house.http.post(f"/v1/fulfilments/{fulfilment}/reject", json={"reason": reason}, headers=headers)


async def hands_over(house: House, fulfilment: str) -> httpx2.Response:
    """Somebody in the warehouse scans the parcel out."""
    return await house.http.post(f"/v1/fulfilments/{fulfilment}/hand-over")


async def first(house: House, order: str) -> str:
    """The id of the order's first fulfilment."""
    found: str = (await house.fulfilments(order))[0].id
    return found


async def lies_elsewhere(house: House, order: str) -> bool:
    """Whether the second fulfilment has its label."""
    return [row.status for row in await house.fulfilments(order)] == ["rejected", "labelled"]


async def rejected_once(house: House, order: str) -> None:
    """The units were counted away once, and reserved once where they are now."""
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    assert await house.stock("MUG", at="EAST") == (0, 0)
    assert await house.stock("MUG", at="WEST") == (10, 2)
    assert len((await house.http.get("/v1/rejections")).json()["items"]) == 1
    assert await house.deeds("shipments.refund") == 1
    assert sum("rejected parcel 1" in line for line in await house.timeline(order)) == 1


async def ships_from_elsewhere(house: House, order: str) -> None:
    """The second fulfilment goes its way to the door, paid once."""
    second = (await house.fulfilments(order))[1]
    await house.until(order, waiting="the hand-over of parcel 2")
    assert (await hands_over(house, second.id)).status_code == 200
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    assert await house.stock("MUG", at="WEST") == (8, 0)


# --- two people ------------------------------------------------------------------------------------------------------


async def test_two_people_who_reject_for_the_same_reason_reject_once(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    answers = await asyncio.gather(*(rejects(house, part) for _ in range(2)))
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    again = await rejects(house, part)
    assert (again.status_code, again.json()["id"]) == (200, answers[0].json()["id"])
    await rejected_once(house, order)
    await ships_from_elsewhere(house, order)


async def test_of_two_people_who_reject_for_different_reasons_one_is_told_that_it_is_done(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    answers = await asyncio.gather(rejects(house, part), rejects(house, part, "too_busy"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (listed,) = (await house.http.get("/v1/rejections")).json()["items"]
    (done,) = [answer.json() for answer in answers if answer.is_success]
    assert listed["reason"] == done["reason"]
    late = await rejects(house, part, "damaged")
    assert (late.status_code, late.json()["code"]) == (409, "too_late")
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    assert await house.stock("MUG", at="WEST") == (10, 2)


async def test_one_key_is_one_rejection_and_not_another(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    assert (await rejects(house, part, key="mine")).status_code == 200
    other = await rejects(house, part, "too_busy", key="mine")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    await rejected_once(house, order)


# --- a cancel --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_rejection_that_crosses_a_cancel_leaves_nothing_behind(house: House, cancel_first: bool) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    await house.easypost(latency_ms=300)
    deeds = [cancels(house, order), rejects(house, part)]
    one, other = await asyncio.gather(*(deeds if cancel_first else reversed(deeds)))
    cancelled, rejection = (one, other) if cancel_first else (other, one)
    assert cancelled.status_code == 200, "nothing has left: it can be cancelled in any case"
    assert rejection.status_code in {200, 409}
    await house.closed(order, OrderStatus.CANCELLED)
    on_hand = 0 if rejection.is_success else 10
    assert await house.stock("MUG", at="EAST") == (on_hand, 0), "what was not found is not there, cancelled or not"
    assert await house.stock("MUG", at="WEST") == (10, 0)
    assert {label["refund_status"] for label in await house.labels()} == {"submitted"}
    assert await house.charges(order) == []
    assert await house.mails(order) == ["confirmed", "cancelled"]


async def test_a_cancelled_order_cannot_be_rejected(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    await house.easypost(**SLOWLY)
    assert (await cancels(house, order)).status_code == 200
    refused = await rejects(house, part)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    await house.closed(order, OrderStatus.CANCELLED)
    assert (await rejects(house, part)).status_code == 409
    assert await house.stock("MUG", at="EAST") == (10, 0)


# --- a hand-over -----------------------------------------------------------------------------------------------------


async def race(house: House, order: str, *, reject_first: bool) -> None:
    """One rejects while another hands over: exactly one of them wins, and money, label and stock agree."""
    part = await first(house, order)
    deeds = [rejects(house, part), hands_over(house, part)]
    one, other = await asyncio.gather(*(deeds if reject_first else reversed(deeds)))
    rejection, left = (one, other) if reject_first else (other, one)
    assert sorted((rejection.status_code, left.status_code)) == [200, 409], (rejection.text, left.text)
    if rejection.is_success:
        await rejected_once(house, order)
        assert await house.charges(order) == []
        await ships_from_elsewhere(house, order)
    else:
        await house.until(order, OrderStatus.SHIPPED)
        assert await house.charges(order) == [2900]
        assert await house.stock("MUG", at="EAST") == (8, 0)
        assert await house.stock("MUG", at="WEST") == (10, 0)


@pytest.mark.parametrize("reject_first", [True, False])
async def test_of_a_rejection_and_a_hand_over_at_the_same_moment_exactly_one_wins(
    house: House, reject_first: bool
) -> None:
    await race(house, await on_the_table(house), reject_first=reject_first)


async def test_a_rejection_while_the_money_is_taken_comes_too_late(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    await house.stripe(**SLOWLY)
    handing_over = asyncio.create_task(hands_over(house, part))

    async def capturing() -> bool:
        return bool(await news.rows(house, "SELECT 1 FROM payment_events WHERE kind = 'captured' AND at IS NULL"))

    await news.eventually(capturing, "the capture to begin")
    refused = await rejects(house, part)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    assert (await handing_over).status_code == 200
    await house.until(order, OrderStatus.SHIPPED)
    assert (await rejects(house, part)).status_code == 409
    assert await house.stock("MUG", at="EAST") == (8, 0)


async def test_a_hand_over_while_the_label_is_given_back_is_refused(house: House) -> None:
    order = await on_the_table(house)
    part = await first(house, order)
    await house.easypost(**SLOWLY)
    rejecting = asyncio.create_task(rejects(house, part))
    await house.until(order, waiting="parcel 1 to be taken back")
    refused = await hands_over(house, part)
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await rejecting).status_code == 200
    await rejected_once(house, order)
    assert await house.charges(order) == []
    refused = await hands_over(house, part)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")


# --- the carrier -----------------------------------------------------------------------------------------------------


async def test_a_label_that_was_used_already_refuses_the_rejection_and_the_parcel_goes_on(house: House) -> None:
    await house.easypost(webhooks={"lost_rate": 1})
    order = await on_the_table(house)
    part = await first(house, order)
    await house.advance(order, 2)
    refused = await rejects(house, part)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    assert "has it" in refused.json()["detail"] or "has left" in refused.json()["detail"]
    await house.until(order, OrderStatus.SHIPPED)
    assert await house.charges(order) == [2900]
    assert await house.stock("MUG", at="EAST") == (8, 0)
    assert await house.stock("MUG", at="WEST") == (10, 0)
    await house.easypost(webhooks={"lost_rate": 0})
    await house.advance(order, 7)
    await house.closed(order, OrderStatus.DELIVERED)
    assert (await house.http.get("/v1/rejections")).json()["items"] == []


@pytest.mark.parametrize("status", ["lost_answer", "drop_before", 500])
async def test_a_label_whose_return_gets_no_answer_is_given_back_once(house: House, status: str | int) -> None:
    order = await on_the_table(house)
    await house.easypost(fail_next=[{"operation": "shipments.refund", "status": status}])
    assert (await rejects(house, await first(house, order))).status_code == 200
    await rejected_once(house, order)


async def test_a_rejected_parcel_that_travels_all_the_same_is_an_operators(house: House) -> None:
    order = await on_the_table(house)
    await rejects(house, await first(house, order))
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    await house.advance(order, 2)
    exception = await house.exception(order, ExceptionKind.SHIPPED_AFTER_CANCEL)
    assert "its label was given back" in exception.reason
    assert (await decides(house, exception.id, "skip")).status_code == 200
    (hold,) = await house.holds(order)
    await house.release(order, hold.id)
    await ships_from_elsewhere(house, order)


# --- Temporal --------------------------------------------------------------------------------------------------------


async def test_an_order_ended_after_a_rejection_is_taken_up_where_it_ships_now(house: House) -> None:
    order = await on_the_table(house)
    await rejects(house, await first(house, order))
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    await house.handle(order).terminate("an operator's hand slipped")
    exception = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    assert (await decides(house, exception.id, "retry")).status_code == 200
    await rejected_once(house, order)
    await ships_from_elsewhere(house, order)
    assert len(await house.labels()) == 2


async def test_an_order_ended_while_nothing_has_a_place_goes_on_waiting_and_then_ships(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 1, at="WEST")
    order = await house.place()
    await house.labelled(order)
    await rejects(house, await first(house, order))
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.handle(order).terminate("an operator's hand slipped")
    ended = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    assert (await decides(house, ended.id, "retry")).status_code == 200
    await house.until(order, OrderStatus.FULFILLING, waiting="2 of MUG missing")
    await house.delivery_comes_in("MUG", 10, at="WEST")
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    assert await house.stock("MUG", at="WEST") == (10, 2)
    await ships_from_elsewhere(house, order)
    assert len(await house.intents(order)) == 1


async def test_an_order_reset_after_a_rejection_rejects_nothing_twice(house: House) -> None:
    order = await on_the_table(house)
    await rejects(house, await first(house, order))
    await news.eventually(partial(lies_elsewhere, house, order), "a label from the other warehouse")
    await reset(house, order)

    async def noted() -> bool:
        return any("was reset in Temporal" in line for line in await house.timeline(order))

    await news.eventually(noted, "a note of the reset")
    await rejected_once(house, order)
    await ships_from_elsewhere(house, order)
    assert len(await house.labels()) == 2
