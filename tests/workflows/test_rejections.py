"""A warehouse rejects what it cannot ship: its shelf is put right, and another place ships it."""

import asyncio
import uuid
from typing import Any

import pytest

from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from local.loopback import loopback_client
from tests.house import House

BOTH = ("EAST", "WEST")


async def reject(
    house: House, order: str, reason: str, *lines: dict[str, int], number: int = 1, key: str | None = None
) -> Any:
    """The warehouse says no; the API's answer, whatever it is."""
    fulfilment = (await house.fulfilments(order))[number - 1]
    body: dict[str, Any] = {"reason": reason}
    if lines:
        body["lines"] = list(lines)
    headers = {"Idempotency-Key": key or uuid.uuid4().hex} if lines or key else {}
    return await house.http.post(f"/v1/fulfilments/{fulfilment.id}/reject", json=body, headers=headers)


async def rejected(house: House, order: str, reason: str, *lines: dict[str, int], number: int = 1) -> dict[str, Any]:
    """The same, and it must succeed."""
    response = await reject(house, order, reason, *lines, number=number)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def statuses(house: House, order: str) -> list[tuple[str, str]]:
    """Warehouse and status of every fulfilment, by number."""
    return [(row.warehouse, row.status) for row in await house.fulfilments(order)]


async def in_two_places(house: House) -> str:
    """A labelled order of two mugs that EAST ships, and WEST could."""
    for place in BOTH:
        await house.receive("MUG", 10, at=place)
    order = await house.place()
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    return order


async def damaged(house: House, sku: str, *, at: str = "EAST") -> int:
    """Units on hand that cannot be sold."""
    (level,) = (await house.http.get("/v1/stock", params={"sku": sku, "warehouse": at})).json()["items"]
    units: int = level["damaged"]
    return units


async def test_what_was_not_found_is_counted_away_and_shipped_from_the_other_warehouse(house: House) -> None:
    order = await in_two_places(house)
    told = await rejected(house, order, "not_found")
    assert (told["warehouse"], told["round"], told["actor"]) == ("EAST", 2, "api:test shop")
    assert told["lines"] == [{"line": 1, "sku": "MUG", "quantity": 2, "counted": None}]
    await house.shipping_from(order, 2)
    assert await statuses(house, order) == [("EAST", "rejected"), ("WEST", "labelled")]
    assert await house.stock("MUG", at="EAST") == (0, 0)
    assert await house.stock("MUG", at="WEST") == (10, 2)
    assert sorted(str(label["refund_status"]) for label in await house.labels()) == ["None", "submitted"]
    await house.hand_over(order, number=2)
    await house.advance(order, 9, number=2)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]
    assert await house.mails(order) == ["confirmed", "shipped", "delivered"]
    assert await house.stock("MUG", at="WEST") == (8, 0)


async def test_the_second_round_of_routing_names_who_rejected_it_and_why(house: House) -> None:
    order = await in_two_places(house)
    await rejected(house, order, "not_found")
    routing = (await house.http.get(f"/v1/orders/{order}/routing")).json()
    assert [(r["round"], r["decision"]["warehouses"]) for r in routing["rounds"]] == [(1, ["EAST"]), (2, ["WEST"])]
    losers = {c["warehouse"]: (c["fate"], c["reason"]) for c in routing["decision"]["candidates"]}
    assert losers["EAST"] == ("removed", "EAST: is left out: it did not find MUG.")
    assert any("rejected parcel 1 (2 × MUG), not found" in line for line in await house.timeline(order))
    movements = (await house.http.get("/v1/stock/MUG/movements", params={"warehouse": "EAST"})).json()["items"]
    fulfilment = (await house.fulfilments(order))[0]
    assert [(m["kind"], m["cause"]) for m in movements[:2]] == [
        ("counted", f"fulfilment:{fulfilment.id}"),
        ("released", f"fulfilment:{fulfilment.id}"),
    ]
    details = await house.current_details(order)
    assert "Parcel 1 was rejected" in details


@pytest.mark.parametrize(
    ("reason", "line", "left"),
    [
        ("damaged", {"line": 1, "quantity": 2}, (10, 0, 2)),
        ("mismatch", {"line": 1, "quantity": 2, "counted": 1}, (1, 0, 0)),
        ("too_busy", {"line": 1, "quantity": 2}, (10, 0, 0)),
    ],
)
async def test_the_reason_decides_what_becomes_of_the_stock(
    house: House, reason: str, line: dict[str, int], left: tuple[int, int, int]
) -> None:
    order = await in_two_places(house)
    await rejected(house, order, reason, line)
    assert (*await house.stock("MUG", at="EAST"), await damaged(house, "MUG")) == left
    assert await house.stock("MUG", at="WEST") == (10, 2)
    await house.shipping_from(order, 2)


async def test_one_of_three_units_is_rejected_and_the_others_stay_under_a_new_label(house: House) -> None:
    for place in BOTH:
        await house.receive("MUG", 10, at=place)
    order = await house.place({"MUG": 3})
    await house.labelled(order)
    await house.until(order, waiting="the hand-over")
    await rejected(house, order, "not_found", {"line": 1, "quantity": 1})
    await house.shipping_from(order, 1)
    await house.shipping_from(order, 2)
    assert await statuses(house, order) == [("EAST", "labelled"), ("WEST", "labelled")]
    assert await house.stock("MUG", at="EAST") == (2, 2)
    assert await house.stock("MUG", at="WEST") == (10, 1)
    weights = [(p.weight_grams, p.void_status) for p in await house.parcels(order)]
    assert weights == [(1200, "submitted"), (800, None), (400, None)]
    await house.hand_over(order, number=1)
    row = await house.until(order, OrderStatus.PARTLY_SHIPPED)
    assert row.closed_at is None
    await house.hand_over(order, number=2)
    for number in (1, 2):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [4100]
    assert await house.stock("MUG", at="EAST") == (0, 0)
    assert await house.stock("MUG", at="WEST") == (9, 0)
    letter = await house.letter(order, "shipped")
    assert (await house.parcels(order))[0].tracking_code not in letter


async def test_what_no_other_warehouse_has_waits_for_stock_elsewhere(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 10, at="WEST")
    order = await house.place()
    await house.labelled(order)
    await rejected(house, order, "too_busy")
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert "A warehouse rejected it, and no other has it: 2 of MUG missing." in exception.reason
    assert "also at EAST, which rejected it" in exception.reason
    assert (await house.record(order)).status == OrderStatus.FULFILLING
    await house.delivery_comes_in("MUG", 5, at="WEST")
    await house.shipping_from(order, 2)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"
    assert await house.stock("MUG", at="WEST") == (5, 2)
    assert await house.stock("MUG", at="EAST") == (10, 0)


async def test_it_never_goes_back_to_where_it_was_rejected_unless_a_person_decides_so(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    order = await house.place()
    await house.labelled(order)
    await rejected(house, order, "too_busy")
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    await house.delivery_comes_in("MUG", 5, at="EAST")
    await asyncio.sleep(0.5)
    assert await statuses(house, order) == [("EAST", "rejected")]
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.RETRY)
    await house.shipping_from(order, 2)
    assert await statuses(house, order) == [("EAST", "rejected"), ("EAST", "labelled")]
    await house.hand_over(order, number=2)
    assert await house.stock("MUG", at="EAST") == (13, 0)


async def test_what_two_warehouses_reject_goes_to_neither(house: House) -> None:
    order = await in_two_places(house)
    await rejected(house, order, "too_busy")
    await house.shipping_from(order, 2)
    await rejected(house, order, "damaged", number=2)
    exception = await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert "also at EAST and WEST" in exception.reason
    assert await house.stock("MUG", at="EAST") == (10, 0)
    assert (*await house.stock("MUG", at="WEST"), await damaged(house, "MUG", at="WEST")) == (10, 0, 2)
    await house.cancel(order)
    await house.closed(order, OrderStatus.CANCELLED)
    assert [intent["status"] for intent in await house.intents(order)] == ["canceled"]
    assert {label["refund_status"] for label in await house.labels()} == {"submitted"}


async def test_of_two_rejected_lines_one_ships_from_elsewhere_and_only_the_other_waits(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 10, at="EAST")
    await house.receive("JUG", 10, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.labelled(order)
    await rejected(house, order, "not_found")
    await house.exception(order, ExceptionKind.OUT_OF_STOCK)
    assert await house.stock("JUG", at="WEST") == (10, 1)
    await house.until(order, waiting="1 of MUG missing")
    routing = (await house.http.get(f"/v1/orders/{order}/routing")).json()
    assert [r["round"] for r in routing["rounds"]] == [1, 2, 3]
    await house.hand_over(order, number=2)
    row = await house.until(order, OrderStatus.PARTLY_SHIPPED)
    assert "rest of your order" in await _shipped_letter(house, order)
    assert row.closed_at is None
    await house.delivery_comes_in("MUG", 1, at="WEST")
    await house.shipping_from(order, 3)
    await house.hand_over(order, number=3)
    for number in (2, 3):
        await house.advance(order, 9, number=number)
    await house.closed(order, OrderStatus.DELIVERED)
    assert await house.charges(order) == [2900]


async def _shipped_letter(house: House, order: str) -> str:
    await house.noticed(order, "shipped")
    return await house.letter(order, "shipped")


async def test_a_part_that_comes_back_to_a_warehouse_is_a_parcel_of_its_own(house: House) -> None:
    await house.receive("MUG", 10, at="EAST")
    await house.receive("JUG", 1, at="EAST")
    await house.receive("JUG", 10, at="WEST")
    order = await house.place({"MUG": 1, "JUG": 1})
    await house.labelled(order)
    await rejected(house, order, "too_busy", {"line": 2, "quantity": 1})
    await house.shipping_from(order, 2)
    await rejected(house, order, "not_found", number=2)
    await house.resolve(order, ExceptionKind.OUT_OF_STOCK, Action.RETRY)
    await house.shipping_from(order, 3)
    assert [w for w, _ in await statuses(house, order)] == ["EAST", "WEST", "EAST"]
    await house.hand_over(order, number=1)
    await house.until(order, OrderStatus.PARTLY_SHIPPED)
    assert await house.stock("MUG", at="EAST") == (9, 0)
    assert await house.stock("JUG", at="EAST") == (1, 1), "the other parcel is still here"
    await house.hand_over(order, number=3)
    assert await house.stock("JUG", at="EAST") == (0, 0)


async def test_before_there_is_a_label_a_rejection_is_taken_all_the_same(house: House) -> None:
    for place in BOTH:
        await house.receive("MUG", 10, at=place)
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422}])
    order = await house.place()
    await house.exception(order, ExceptionKind.CARRIER_REFUSED)
    await rejected(house, order, "not_found")
    await house.shipping_from(order, 2)
    (exception,) = await house.exceptions(order)
    assert exception.resolution == "resolved_itself"
    assert await house.stock("MUG", at="EAST") == (0, 0)


async def test_the_customer_sees_one_parcel_and_nothing_alarming(house: House) -> None:
    order = await in_two_places(house)
    await rejected(house, order, "damaged")
    await house.shipping_from(order, 2)
    link = (await house.http.get(f"/v1/orders/{order}")).json()["links"]["page"]
    async with loopback_client() as customer:
        page = (await customer.get(link)).text
    assert "reject" not in page.lower()
    assert "damaged" not in page.lower()
    codes = {p.fulfilment_id: p.tracking_code for p in await house.parcels(order)}
    first, second = await house.fulfilments(order)
    assert codes[second.id] in page
    assert codes[first.id] not in page


async def test_rejections_are_listed_and_counted(house: House) -> None:
    order = await in_two_places(house)
    await rejected(house, order, "damaged")
    listed = (await house.http.get("/v1/rejections", params={"order": order, "warehouse": "EAST"})).json()["items"]
    assert [(r["reason"], r["fulfilment_id"]) for r in listed] == [("damaged", (await house.fulfilments(order))[0].id)]
    assert (await house.http.get("/v1/rejections", params={"reason": "too_busy"})).json()["items"] == []
    metrics = (await house.http.get("/metrics")).text
    assert 'waybill_rejections_total{reason="damaged",warehouse="EAST"} 1.0' in metrics
