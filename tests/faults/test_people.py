"""People: who cancel, hand over and decide at the same moment, and who end or reset an order's workflow in Temporal."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import httpx2
import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus, workflow_id
from tests.faults import news
from tests.house import House

SLOWLY = {"latency_ms": 700}


async def cancels(house: House, order: str, *, key: str | None = None) -> httpx2.Response:
    """Somebody cancels through the API."""
    return await house.http.post(f"/v1/orders/{order}/cancel", headers={"Idempotency-Key": key} if key else {})


async def hands_over(house: House, order: str) -> httpx2.Response:
    """Somebody in the warehouse scans the parcel out."""
    (fulfilment,) = await house.fulfilments(order)
    return await house.http.post(f"/v1/fulfilments/{fulfilment.id}/hand-over")


async def decides(house: House, exception: str, action: str) -> httpx2.Response:
    """An operator decides through the API."""
    return await house.http.post(f"/v1/exceptions/{exception}/resolve", json={"action": action})


# --- stages ----------------------------------------------------------------------------------------------------------


async def without_stock(house: House) -> str:
    """An order that waits for stock."""
    order = await house.place({"RARE": 2})
    await house.until(order, OrderStatus.AWAITING_STOCK)
    return order


async def at_the_bank(house: House) -> str:
    """An order that waits for the customer's bank."""
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    return order


async def on_the_table(house: House) -> str:
    """An order whose parcel waits, labelled, for the carrier."""
    order = await house.place()
    await house.labelled(order)
    await house.noticed(order, "confirmed")
    return order


async def on_the_road(house: House) -> str:
    """An order whose parcel has left."""
    order = await on_the_table(house)
    await house.hand_over(order)
    await house.noticed(order, "shipped")
    return order


Stage = Callable[[House], Awaitable[str]]


async def stock_up(house: House) -> None:
    """Ten mugs, and one of what is rare."""
    await house.receive("MUG", 10)
    await house.receive("RARE", 1)


async def nothing_is_kept(house: House, order: str) -> None:
    """Money, label and stock of a cancelled order are back where they came from."""
    assert await house.charges(order) == []
    assert {intent["status"] for intent in await house.intents(order)} <= {"canceled"}
    assert await house.mails(order) in (["cancelled"], ["confirmed", "cancelled"])
    assert {label["refund_status"] for label in await house.labels()} <= {"submitted"}
    assert await house.stock("MUG") == (10, 0)


# --- cancel, hand over -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stage", [without_stock, at_the_bank, on_the_table])
async def test_four_people_cancel_at_once_and_again_and_it_is_done_once(house: House, stage: Stage) -> None:
    await stock_up(house)
    order = await stage(house)
    answers = await asyncio.gather(*(cancels(house, order, key=f"key-{n}") for n in range(4)))
    assert {(a.status_code, a.json()["order_id"]) for a in answers} == {(200, order)}
    assert {a.json()["status"] for a in answers} <= {"cancelling", "cancelled"}
    await house.closed(order, OrderStatus.CANCELLED)
    again = await cancels(house, order)
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    await nothing_is_kept(house, order)
    assert await house.deeds("payment_intents.cancel") <= 1
    assert await house.deeds("shipments.refund") <= 1
    assert sum("Cancelled by" in line for line in await house.timeline(order)) == 1


async def test_a_cancel_that_comes_while_a_hand_over_runs_is_refused(house: House) -> None:
    await stock_up(house)
    order = await on_the_table(house)
    await house.stripe(**SLOWLY)
    handing_over = asyncio.create_task(hands_over(house, order))

    async def capturing() -> bool:
        return await house.calls("payment_intents.capture") > 0 or (await pending(house, order))

    await news.eventually(capturing, "the capture to begin")
    refused = await cancels(house, order)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    assert (await handing_over).status_code == 200
    await it_left(house, order)


async def pending(house: House, order: str) -> bool:
    """Whether a capture is intended and not known to be done."""
    query = "SELECT 1 FROM payment_events WHERE kind = 'captured' AND at IS NULL"
    return bool(await news.rows(house, query))


async def it_left(house: House, order: str) -> None:
    """The parcel has left: paid once, its label good, its units out of stock."""
    await house.until(order, OrderStatus.SHIPPED)
    assert await house.charges(order) == [2900]
    assert await house.refunds(order) == []
    assert [label["refund_status"] for label in await house.labels()] == [None]
    assert await house.stock("MUG") == (8, 0)


async def test_a_hand_over_after_an_accepted_cancel_is_refused_while_it_is_unwound_and_afterwards(house: House) -> None:
    await stock_up(house)
    order = await on_the_table(house)
    await house.easypost(**SLOWLY)
    assert (await cancels(house, order)).status_code == 200
    refused = await hands_over(house, order)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    await house.closed(order, OrderStatus.CANCELLED)
    refused = await hands_over(house, order)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    await nothing_is_kept(house, order)


async def race(house: House, *, cancel_first: bool) -> None:
    """One cancels while another hands over: exactly one of them wins, and money, label and stock agree."""
    order = await on_the_table(house)
    before = await house.stock("MUG")
    deeds = [cancels(house, order), hands_over(house, order)]
    first, second = await asyncio.gather(*(deeds if cancel_first else reversed(deeds)))
    cancelled, left = (first, second) if cancel_first else (second, first)
    assert sorted((cancelled.status_code, left.status_code)) == [200, 409]
    (parcel,) = await house.parcels(order)
    (label,) = [found for found in await house.labels() if found["id"] == parcel.shipment]
    if cancelled.is_success:
        await house.closed(order, OrderStatus.CANCELLED)
        (label,) = [found for found in await house.labels() if found["id"] == parcel.shipment]
        assert (await house.charges(order), label["refund_status"]) == ([], "submitted")
        assert await house.stock("MUG") == (before[0], 0)
    else:
        await house.until(order, OrderStatus.SHIPPED)
        assert (await house.charges(order), label["refund_status"]) == ([2900], None)
        assert await house.stock("MUG") == (before[0] - 2, 0)


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_of_a_cancel_and_a_hand_over_at_the_same_moment_exactly_one_wins(
    house: House, cancel_first: bool
) -> None:
    await stock_up(house)
    await race(house, cancel_first=cancel_first)


@pytest.mark.fuzz
async def test_of_many_cancels_and_hand_overs_at_the_same_moment_exactly_one_each_wins(house: House) -> None:
    await house.receive("MUG", 200)
    for number in range(30):
        await race(house, cancel_first=number % 2 == 0)


async def test_a_cancel_while_the_captures_answer_is_lost_comes_too_late(house: House) -> None:
    await stock_up(house)
    order = await on_the_table(house)
    lost = {"operation": "payment_intents.capture", "status": "lost_answer", "times": 2}
    await house.stripe(fail_next=[lost])
    handing_over = asyncio.create_task(hands_over(house, order))
    await news.eventually(lambda: pending(house, order), "the capture to begin")
    refused = await cancels(house, order)
    assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
    assert (await handing_over).status_code == 200
    await it_left(house, order)
    assert await house.deeds("payment_intents.capture") == 1


# --- decide ----------------------------------------------------------------------------------------------------------


async def test_a_decision_made_twice_is_one_and_another_one_is_refused(house: House) -> None:
    await stock_up(house)
    order = await without_stock(house)
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    both = await asyncio.gather(decides(house, exception.id, "cancel"), decides(house, exception.id, "cancel"))
    assert [answer.status_code for answer in both] == [200, 200]
    await house.closed(order, OrderStatus.CANCELLED)
    again, other = await decides(house, exception.id, "cancel"), await decides(house, exception.id, "retry")
    assert (again.status_code, again.json()["status"]) == (200, "cancelled")
    assert (other.status_code, other.json()["detail"]) == (409, "This exception was resolved before: cancel.")
    await nothing_is_kept(house, order)


async def test_two_people_who_decide_differently_at_once_are_told_who_was_first(house: House) -> None:
    await stock_up(house)
    order = await without_stock(house)
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    answers = await asyncio.gather(decides(house, exception.id, "retry"), decides(house, exception.id, "cancel"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    (first,) = [e for e in await house.exceptions(order) if e.id == exception.id]
    assert first.resolution == ("retry" if answers[0].is_success else "cancel")


async def test_a_decision_about_what_has_just_resolved_itself_is_refused_with_the_reason(house: House) -> None:
    await stock_up(house)
    order = await on_the_table(house)
    await house.stripe(fail_next=[{"operation": "payment_intents.capture", "status": 402, "code": "card_declined"}])
    assert (await hands_over(house, order)).status_code == 409
    exception = await house.exception(order, ExceptionKind.CAPTURE_FAILED)
    assert (await hands_over(house, order)).status_code == 200
    await house.until(order, OrderStatus.SHIPPED, waiting="the delivery")
    late = await decides(house, exception.id, "retry")
    assert (late.status_code, late.json()["detail"]) == (409, "This exception was resolved before: resolved_itself.")
    await it_left(house, order)


# --- Temporal --------------------------------------------------------------------------------------------------------


@dataclass
class Terminated:
    """An order whose workflow somebody has ended in Temporal, and the exception that it led to."""

    order: str
    exception: str


async def terminate(house: House, *stages: Stage) -> list[Terminated]:
    """Bring one order to each stage, end all their workflows, and wait for the alarm."""
    orders = [await stage(house) for stage in stages]
    for order in orders:
        await house.handle(order).terminate("an operator's hand slipped")
    return [Terminated(o, (await house.exception(o, ExceptionKind.WORKFLOW_ENDED)).id) for o in orders]


async def is_an_operators(house: House, ended: Terminated) -> None:
    """The order says that it waits for an operator, and the operators were told once."""
    row = await house.record(ended.order)
    assert row.needs_attention
    assert "ended in Temporal" in row.waiting["sentence"]
    assert "ended in Temporal" in await house.operators_letter(ended.exception)
    assert [e.kind for e in await house.exceptions(ended.order)] == ["workflow_ended"]


async def test_the_last_run_of_an_order_is_known_also_when_temporal_has_forgotten_it(house: House) -> None:
    await stock_up(house)
    order = await on_the_table(house)
    assert await house.gateway.end_of(order) is None
    await house.handle(order).terminate()
    ended = await house.gateway.end_of(order)
    assert ended is not None
    assert ended.how == "terminated"
    unknown = await house.gateway.end_of("never-placed")
    assert unknown is not None
    assert (unknown.run_id, unknown.how) == ("", "it is not there any more")


async def test_ended_workflows_are_taken_up_where_they_stood_and_nothing_is_done_twice(house: House) -> None:
    await stock_up(house)
    bank, table, road = await terminate(house, at_the_bank, on_the_table, on_the_road)
    for ended in (bank, table, road):
        await is_an_operators(house, ended)
    assert (await cancels(house, table.order)).status_code == 503, "nobody is there who could cancel it"
    assert (await decides(house, road.exception, "cancel")).status_code == 409, "its parcel has left"
    for ended in (bank, table, road):
        assert (await decides(house, ended.exception, "retry")).status_code == 200
    assert (await cancels(house, road.order)).status_code == 409, "also while it is taken up"
    await house.until(road.order, OrderStatus.SHIPPED, waiting="the delivery")
    assert (await cancels(house, road.order)).status_code == 409
    await house.until(bank.order, waiting="confirm the payment with the bank")
    await house.authenticate(bank.order)
    for ended in (bank, table):
        await house.labelled(ended.order)
        await house.until(ended.order, waiting="hand-over")
        assert (await hands_over(house, ended.order)).status_code == 200
    for ended in (bank, table, road):
        await house.advance(ended.order, 9)
        await house.closed(ended.order, OrderStatus.DELIVERED)
        assert await house.charges(ended.order) == [2900]
        assert await house.mails(ended.order) == ["confirmed", "shipped", "delivered"]
        assert len(await house.intents(ended.order)) == 1
        assert [e.resolution for e in await house.exceptions(ended.order)] == ["retry"]
    assert len(await house.labels()) == 3
    assert await house.stock("MUG") == (4, 0)
    assert await house.deeds("payment_intents.capture") == 3


async def test_ended_workflows_are_cancelled_by_a_decision_and_give_everything_back(house: House) -> None:
    await stock_up(house)
    for ended in await terminate(house, without_stock, at_the_bank, on_the_table):
        assert (await decides(house, ended.exception, "cancel")).status_code == 200
        await house.closed(ended.order, OrderStatus.CANCELLED)
        assert (await decides(house, ended.exception, "cancel")).status_code == 200
        assert (await decides(house, ended.exception, "retry")).status_code == 409
        await nothing_is_kept_of(house, ended.order)
    await nothing_is_kept_of(house, ended.order)
    assert [label["refund_status"] for label in await house.labels()] == ["submitted"]
    assert await house.stock("MUG") == (10, 0)


async def nothing_is_kept_of(house: House, order: str) -> None:
    """Money of a cancelled order is back where it came from."""
    assert await house.charges(order) == []
    assert {intent["status"] for intent in await house.intents(order)} <= {"canceled"}
    assert (await house.mails(order))[-1] == "cancelled"
    assert (await house.mails(order)).count("cancelled") == 1


@pytest.mark.fuzz
async def test_an_order_ended_between_its_two_parcels_sends_the_second_and_is_paid_once(house: House) -> None:
    await house.receive("MUG", 1, at="EAST")
    await house.receive("BOWL", 1, at="WEST")
    order = await house.place({"MUG": 1, "BOWL": 1})
    await house.labelled(order)
    await house.hand_over(order, number=1)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    await house.handle(order).terminate("an operator's hand slipped")
    exception = await house.exception(order, ExceptionKind.WORKFLOW_ENDED)
    assert exception.actions == ["retry"]
    assert (await decides(house, exception.id, "retry")).status_code == 200
    await house.until(order, OrderStatus.PARTLY_SHIPPED, waiting="the hand-over of parcel 2")
    assert (await cancels(house, order)).status_code == 409
    await house.hand_over(order, number=2)
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert len(await house.labels()) == 2
    assert await house.mails(order) == ["confirmed", "shipped", "shipped", "delivered"]


async def reset(house: House, order: str) -> None:
    """Somebody resets the order's workflow to its first task, with the signals and updates that came since."""
    history = (await house.handle(order).fetch_history()).events
    first = next(e for e in history if e.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
    request = ResetWorkflowExecutionRequest(
        namespace=house.client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id(order)),
        reason="an operator's experiment",
        workflow_task_finish_event_id=first.event_id,
        request_id=uuid.uuid4().hex,
    )
    await house.client.workflow_service.reset_workflow_execution(request)


async def test_workflows_that_are_reset_do_nothing_twice_and_end(house: House) -> None:
    await stock_up(house)
    table, road = await on_the_table(house), await on_the_road(house)
    for order in (table, road):
        await reset(house, order)
    for order in (table, road):
        await news.eventually(partial(noted, house, order), "a note of the reset")
    await house.until(road, OrderStatus.SHIPPED, waiting="the delivery")
    assert (await cancels(house, road)).status_code == 409
    await house.until(table, waiting="hand-over")
    assert (await hands_over(house, table)).status_code == 200
    for order in (table, road):
        await house.advance(order, 9)
        await house.closed(order, OrderStatus.DELIVERED)
        assert await house.charges(order) == [2900]
        assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
        (told,) = await house.exceptions(order)
        assert told.kind == ExceptionKind.WORKFLOW_RESET
        assert "does nothing twice" in await house.operators_letter(told.id)
        assert (await decides(house, told.id, "skip")).status_code == 200
        assert not (await house.record(order)).needs_attention
    assert len(await house.labels()) == 2
    assert await house.deeds("payment_intents.capture") == 2
    assert await house.stock("MUG") == (6, 0)


async def noted(house: House, order: str) -> bool:
    """Whether the timeline tells of a reset."""
    return any("was reset in Temporal" in line for line in await house.timeline(order))
