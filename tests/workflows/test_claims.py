"""Claims over real servers: made, refunded, replaced, refused; and a replacement that costs nothing."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

import pytest

from domain.claims import workflow_id
from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows import test_returns as returns
from tests.workflows.test_returns import delivered, money


async def claimed(house: House, order: str, units: int = 1, *, status: int = 201, **more: Any) -> dict[str, Any]:
    """Somebody claims units; the answer."""
    body = {"reference": uuid.uuid4().hex, "kind": "damaged", "evidence": "It came in pieces.", **more}
    lines = [{"line": 1, "quantity": units}]
    response = await house.http.post(f"/v1/orders/{order}/claims", json={"lines": lines, **body})
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def told(house: House, name: str, what: str, *, status: int = 200, **body: Any) -> dict[str, Any]:
    """Somebody does something with a claim."""
    response = await house.http.post(f"/v1/claims/{name}/{what}", json=body or None)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def until(house: House, name: str, status: str) -> dict[str, Any]:
    """The claim, once it stands so."""
    async with asyncio.timeout(20):
        while True:
            found: dict[str, Any] = (await house.http.get(f"/v1/claims/{name}")).json()
            if found["status"] == status:
                return found
            await asyncio.sleep(0.05)


async def ended(house: House, name: str) -> dict[str, Any]:
    """The claim, once nothing of it is left to do and its workflow has ended."""
    await asyncio.wait_for(house.client.get_workflow_handle(workflow_id(name)).result(), 20)
    found: dict[str, Any] = (await house.http.get(f"/v1/claims/{name}")).json()
    assert found["closed_at"] is not None
    return found


async def test_a_claim_is_replaced_by_an_order_that_costs_nothing(house: House) -> None:
    order = await delivered(house, 2)
    name = (await claimed(house, order))["id"]
    assert (await claimed(house, order, 2, status=409))["code"] == "more_than_shipped"
    for _ in range(2):
        replacing = await told(house, name, "approve", remedy="replacement")
    linked = replacing["replacement"]["id"]
    assert (await told(house, name, "approve", status=409, remedy="refund"))["code"] == "conflict"
    await house.labelled(linked)
    await house.advance(linked, 9)
    await house.closed(linked, OrderStatus.DELIVERED)
    assert (await ended(house, name))["status"] == "closed"
    assert await house.intents(linked) == []
    sums = await money(house, linked)
    assert {n: sums[n] for n in ("invoiced", "credited", "captured", "owed", "paid")} == {
        "invoiced": 1200,
        "credited": 1200,
        "captured": 0,
        "owed": 0,
        "paid": "none",
    }
    assert (await money(house, order))["credited"] == 0
    first, second = [(await house.http.get(f"/v1/orders/{each}")).json() for each in (order, linked)]
    assert [each["id"] for each in first["linked_orders"]] == [linked]
    assert second["origin"]["order_id"] == order
    assert [m for m in await house.mails(order) if "claim" in m] == ["claim_received", "claim_replaced"]
    assert "$0.00" in await house.letter(linked, "confirmed")
    assert second["number"] in await house.letter(order, "claim_replaced")
    pages = [(await house.http.get(f"/orders/{each}")).text for each in (order, linked)]
    assert second["number"] in pages[0] and first["number"] in pages[1]


@pytest.mark.fuzz
async def test_a_refund_is_granted_and_never_more_than_is_left(house: House) -> None:
    order = await delivered(house, 2)
    name = (await claimed(house, order, 2, kind="lost"))["id"]
    assert (await told(house, name, "approve", status=422, remedy="refund", amount=9000))["code"] == "invalid_refund"
    await told(house, name, "approve", remedy="refund", amount=2000)
    closed = await ended(house, name)
    refund = (await house.http.get(f"/v1/refunds/{closed['refund_id']}")).json()
    assert (closed["status"], refund["status"], refund["amount"]) == ("closed", "granted", 2000)
    assert "$20.00" in await house.letter(order, "claim_refunded")
    returned = {"reference": "r", "reason": "changed_mind", "lines": [{"line": 1, "quantity": 1}]}
    refused = await house.http.post(f"/v1/orders/{order}/returns", json=returned)
    assert refused.json()["code"] == "more_than_delivered"


@pytest.mark.fuzz
async def test_a_replacement_that_is_never_shipped_leaves_the_claim_to_be_decided_anew(house: House) -> None:
    order = await delivered(house, 1)
    name = (await claimed(house, order))["id"]
    linked = (await told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(linked)
    await house.cancel(linked)
    again = await until(house, name, "requested")
    assert (again["remedy"], again["replacement"]) == (None, None)
    assert (await house.stock("MUG"))[1] == 0
    second = (await told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    assert second != linked
    assert [await house.intents(each) for each in (linked, second)] == [[], []]


@pytest.mark.fuzz
async def test_a_claim_is_refused_with_a_reason_or_withdrawn_and_a_late_one_told_to_a_person(house: House) -> None:
    order = await delivered(house, 2)
    first, second = [(await claimed(house, order))["id"] for _ in range(2)]
    handle = house.client.get_workflow_handle(workflow_id(second))
    async with asyncio.timeout(60):
        await house.street.temporal.fast_forward(handle, timedelta(days=3))
    exception = await house.exception(order, ExceptionKind.CLAIM_LATE)
    decided = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
    assert decided.status_code == 200, decided.text
    for _ in range(2):
        await told(house, first, "refuse", reason="It was signed for.")
    assert (await ended(house, first))["refusal"] == "It was signed for."
    assert "It was signed for." in await house.letter(order, "claim_refused")
    await handle.terminate()
    assert (await told(house, second, "withdraw"))["status"] == "withdrawn"
    await ended(house, second)
    assert (await told(house, second, "approve", status=409, remedy="refund"))["code"] == "too_late"


@pytest.mark.fuzz
async def test_what_was_replaced_is_refunded_by_lines_once_its_replacement_has_come_back(house: House) -> None:
    order = await delivered(house, 1)
    name = (await claimed(house, order))["id"]
    linked = (await told(house, name, "approve", remedy="replacement"))["replacement"]["id"]
    await house.labelled(linked)
    await house.advance(linked, 9)
    await house.closed(linked, OrderStatus.DELIVERED)
    await ended(house, name)
    grant = {"reference": "back", "reason": "It came back.", "lines": [{"line": 1, "quantity": 1}]}
    refused = await house.http.post(f"/v1/orders/{order}/refunds", json=grant)
    assert (refused.status_code, refused.json()["code"]) == (409, "units_replaced")
    back = (await returns.asked(house, linked, 1))["id"]
    await returns.until(house, back, "approved")
    await returns.told(house, back, "receipts", reference="dock", lines=[{"line": 1, "quantity": 1}])
    await returns.told(house, back, "inspections", reference="bench", units=[returns.found("resaleable", 1)])
    assert (await returns.ended(house, back))["settlement"]["amount"] == 0
    granted = await house.http.post(f"/v1/orders/{order}/refunds", json=grant)
    assert (granted.status_code, granted.json()["amount"]) == (201, 1200), granted.text
