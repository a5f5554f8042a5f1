"""Transfers between warehouses, from the draft to the last unit, over real servers."""

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.exceptions import ExceptionKind
from domain.transfers import workflow_id
from tests.house import House


async def drafted(house: House, units: int = 10, **more: Any) -> str:
    """Mugs in the east that are to go west; the transfer's id."""
    body = {"source": "EAST", "destination": "WEST", "reference": uuid.uuid4().hex, **more}
    response = await house.http.post("/v1/transfers", json={**body, "lines": [{"sku": "MUG", "quantity": units}]})
    assert response.status_code == 201, response.text
    transfer: str = response.json()["id"]
    return transfer


async def told(house: House, transfer: str, what: str, *, status: int = 200, **body: Any) -> dict[str, Any]:
    """Somebody does something with a transfer."""
    response = await house.http.post(f"/v1/transfers/{transfer}/{what}", json=body or None)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def read(house: House, transfer: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await house.http.get(f"/v1/transfers/{transfer}")).raise_for_status().json()
    return answer


async def until_late(house: House, transfer: str) -> dict[str, Any]:
    async with asyncio.timeout(15):
        while (found := await read(house, transfer))["late_at"] is None:  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.05)
    return found


async def level(house: House, at: str) -> dict[str, Any]:
    (item,) = (await house.http.get("/v1/stock", params={"sku": "MUG", "warehouse": at})).json()["items"]
    return {name: item[name] for name in ("on_hand", "reserved", "damaged", "incoming")}


async def stocked(house: House, units: int) -> None:
    await house.receive("MUG", units)
    await house.receive("MUG", 0, at="WEST")


async def test_a_transfer_goes_from_its_draft_to_the_last_unit(house: House) -> None:
    await stocked(house, 12)
    transfer = await drafted(house)
    assert "somebody to make 10 units ready at EAST" in (await read(house, transfer))["waiting"]["sentence"]
    assert "10 units to leave EAST" in (await told(house, transfer, "ready"))["waiting"]["sentence"]
    assert await level(house, "EAST") == {"on_hand": 12, "reserved": 10, "damaged": 0, "incoming": 0}
    assert (await told(house, transfer, "send"))["status"] == "in_transit"
    assert await level(house, "EAST") == {"on_hand": 2, "reserved": 0, "damaged": 0, "incoming": 0}
    assert (await level(house, "WEST"))["incoming"] == 10
    first: dict[str, Any] = {"reference": "dock-1", "lines": [{"sku": "MUG", "quantity": 6}]}
    for _ in range(2):
        partly = await told(house, transfer, "receipts", **first)
    assert (partly["status"], partly["waiting"]["on"]) == ("partly_received", "warehouse")
    assert "4 units from EAST to arrive at WEST" in partly["waiting"]["sentence"]
    crushed = {"sku": "MUG", "reason": "damaged", "quantity": 1, "note": "crushed"}
    lost = {"sku": "MUG", "reason": "missing", "quantity": 1, "note": "seal broken"}
    last: dict[str, Any] = {
        "reference": "dock-2",
        "lines": [{"sku": "MUG", "quantity": 2}],
        "discrepancies": [crushed, lost],
    }
    done = await told(house, transfer, "receipts", **last)
    assert (done["status"], done["waiting"]["on"]) == ("received", "nobody")
    assert await level(house, "WEST") == {"on_hand": 9, "reserved": 0, "damaged": 1, "incoming": 0}
    assert (await told(house, transfer, "receipts", **last)) == done
    assert (await told(house, transfer, "cancel", status=409))["code"] == "too_late"
    handle = house.client.get_workflow_handle(workflow_id(transfer))
    assert (await handle.result())["status"] == "received"
    page = (await house.http.get("/v1/stock/MUG/movements", params={"warehouse": "WEST"})).json()["items"]
    assert {item["cause"] for item in page[:-1]} == {f"transfer:{transfer}"}
    assert [item["reason"] for item in page if item["kind"] == "written_off"] == ["missing: seal broken"]


async def test_units_that_stand_ready_are_not_sold_and_those_that_arrive_go_to_the_order_that_waits(
    house: House,
) -> None:
    await stocked(house, 3)
    transfer = await drafted(house, 3)
    await told(house, transfer, "ready")
    order = await house.place({"MUG": 2})
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await told(house, transfer, "send")
    await told(house, transfer, "receipts", reference="dock", lines=[{"sku": "MUG", "quantity": 3}])
    await house.labelled(order)
    assert await house.stock("MUG", at="WEST") == (3, 2)


async def test_too_few_units_leave_a_draft_that_can_be_made_ready_later(house: House) -> None:
    await stocked(house, 4)
    transfer = await drafted(house, 5)
    refused = await told(house, transfer, "ready", status=409)
    assert (refused["code"], refused["field"]) == ("not_enough_units", "lines[0]")
    assert "4 are available, 5 are to leave" in refused["detail"]
    assert (await told(house, transfer, "send", status=409))["code"] == "conflict"
    await house.receive("MUG", 1)
    assert (await told(house, transfer, "ready"))["status"] == "ready"


async def test_more_than_is_on_the_way_is_refused_and_said_to_be_extra_it_is_booked(house: House) -> None:
    await stocked(house, 4)
    transfer = await drafted(house, 4)
    await told(house, transfer, "ready")
    await told(house, transfer, "send")
    found: dict[str, Any] = {"reference": "dock", "lines": [{"sku": "MUG", "quantity": 5}]}
    refused = await told(house, transfer, "receipts", status=409, **found)
    assert (refused["code"], refused["field"]) == ("more_than_sent", "lines[0].quantity")
    assert "of 4 sent 4 are still on the way" in refused["detail"]
    extra = {"sku": "MUG", "reason": "extra", "quantity": 1}
    found = {"reference": "dock", "lines": [{"sku": "MUG", "quantity": 4}], "discrepancies": [extra]}
    assert (await told(house, transfer, "receipts", **found))["status"] == "received"
    assert (await level(house, "WEST"))["on_hand"] == 5


async def test_a_transfer_that_does_not_arrive_is_told_to_a_person_and_can_be_expected_later(house: House) -> None:
    await stocked(house, 4)
    expected = datetime.now(UTC) + timedelta(days=2)
    transfer = await drafted(house, 4, expected_at=expected.isoformat())
    await told(house, transfer, "ready")
    await told(house, transfer, "send")
    handle = house.client.get_workflow_handle(workflow_id(transfer))
    async with asyncio.timeout(30):
        await house.street.temporal.fast_forward(handle, timedelta(days=3))
    late = await until_late(house, transfer)
    assert late["waiting"]["on"] == "operator"
    assert "somebody to look after 4 units from EAST to arrive at WEST" in late["waiting"]["sentence"]
    (alert,) = (await house.http.get("/v1/stock/alerts", params={"kind": "transfer_late"})).json()["items"]
    assert (alert["transfer_id"], alert["sku"], alert["warehouse"]) == (transfer, None, "WEST")
    (item,) = (await house.http.get("/v1/transfers", params={"late": True})).json()["items"]
    assert item["id"] == transfer
    again = (datetime.now(UTC) + timedelta(days=20)).isoformat()
    later = await told(house, transfer, "expect", expected_at=again)
    assert (later["late_at"], later["waiting"]["on"]) == (None, "warehouse")
    assert (await house.http.get("/v1/stock/alerts", params={"kind": "transfer_late"})).json()["items"] == []
    assert (await told(house, transfer, "cancel", status=409))["field"] == "units"
    gone = await told(house, transfer, "cancel", units="write_off", reason="Stolen.")
    assert (gone["status"], gone["lines"][0]["written_off"]) == ("cancelled", 4)
    assert (await level(house, "WEST"))["incoming"] == 0


async def test_a_transfer_whose_workflow_was_terminated_is_taken_up_again_where_it_stood(house: House) -> None:
    await stocked(house, 4)
    transfer = await drafted(house, 4)
    await told(house, transfer, "ready")
    await house.client.get_workflow_handle(workflow_id(transfer)).terminate()
    assert (await told(house, transfer, "send"))["status"] == "in_transit"
    await told(house, transfer, "receipts", reference="dock", lines=[{"sku": "MUG", "quantity": 4}])
    assert (await level(house, "WEST"))["on_hand"] == 4


async def test_a_cancellation_in_temporal_is_followed_until_the_goods_have_left(house: House) -> None:
    await stocked(house, 8)
    still, left = await drafted(house, 4), await drafted(house, 4)
    for transfer in (still, left):
        await told(house, transfer, "ready")
    await told(house, left, "send")
    for transfer in (still, left):
        await house.client.get_workflow_handle(workflow_id(transfer)).cancel()
    assert (await house.client.get_workflow_handle(workflow_id(still)).result())["status"] == "cancelled"
    async with asyncio.timeout(10):
        while "passed over" not in (noted := await read(house, left))["events"][-1]["text"]:  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.05)
    assert noted["status"] == "in_transit"
    assert await level(house, "EAST") == {"on_hand": 4, "reserved": 0, "damaged": 0, "incoming": 0}
