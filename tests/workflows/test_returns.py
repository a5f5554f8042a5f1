"""Returns over real servers: asked for, received, inspected, put back on the shelf, and the money granted."""

import asyncio
import uuid
from datetime import timedelta
from typing import Any

from domain.exceptions import ExceptionKind
from domain.orders import OrderStatus
from domain.returns import workflow_id
from tests.house import House

BROUGHT = {"label": False}
"""the customer brings it himself"""


async def delivered(house: House, units: int = 2) -> str:
    """A closed order of mugs at 12.00 each; 10 more are on the shelf."""
    await house.receive("MUG", 10 + units)
    order = await house.place({"MUG": units})
    await house.labelled(order)
    await house.advance(order, 9)
    await house.closed(order, OrderStatus.DELIVERED)
    return order


async def rules(house: House, **rule: Any) -> None:
    (await house.http.put("/v1/return-rules", json={"rules": [rule]})).raise_for_status()


async def asked(house: House, order: str, units: int = 2, *, status: int = 201, **more: Any) -> dict[str, Any]:
    """Somebody asks for a return; the answer."""
    lines = [{"line": 1, "quantity": units}]
    body = {"reference": uuid.uuid4().hex, "reason": "changed_mind", "lines": lines, **BROUGHT, **more}
    response = await house.http.post(f"/v1/orders/{order}/returns", json=body)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def told(house: House, name: str, what: str, *, status: int = 200, **body: Any) -> dict[str, Any]:
    """Somebody does something with a return."""
    response = await house.http.post(f"/v1/returns/{name}/{what}", json=body or None)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def until(house: House, name: str, status: str) -> dict[str, Any]:
    """The return, once it stands so."""
    async with asyncio.timeout(20):
        while True:
            found: dict[str, Any] = (await house.http.get(f"/v1/returns/{name}")).json()
            if found["status"] == status:
                return found
            await asyncio.sleep(0.03)


async def ended(house: House, name: str) -> dict[str, Any]:
    """The return, once nothing of it is left to do and its workflow has ended."""
    await asyncio.wait_for(house.client.get_workflow_handle(workflow_id(name)).result(), 20)
    found: dict[str, Any] = (await house.http.get(f"/v1/returns/{name}")).json()
    assert found["closed_at"] is not None
    return found


async def pass_time(house: House, name: str, *, days: int) -> None:
    handle = house.client.get_workflow_handle(workflow_id(name))
    await house.street.temporal.fast_forward(handle, timedelta(days=days))


def found(condition: str, units: int, **more: Any) -> dict[str, Any]:
    return {"line": 1, "condition": condition, "quantity": units, **more}


async def shelf(house: House) -> dict[str, Any]:
    (item,) = (await house.http.get("/v1/stock", params={"sku": "MUG", "warehouse": "EAST"})).json()["items"]
    return {name: item[name] for name in ("on_hand", "damaged", "available")}


async def money(house: House, order: str) -> dict[str, Any]:
    answer: dict[str, Any] = (await house.http.get(f"/v1/orders/{order}")).json()["money"]
    return answer


async def test_a_return_goes_from_the_wish_to_the_money(house: House) -> None:
    await rules(house, fee_percent=10)
    order = await delivered(house, 3)
    opened = await asked(house, order, 3)
    name = opened["id"]
    assert (opened["status"], opened["waiting"]["on"], opened["warehouse"]) == ("approved", "customer", "EAST")
    partly = await told(house, name, "receipts", reference="dock-1", lines=[{"line": 1, "quantity": 2}])
    assert (partly["status"], partly["waiting"]["what"]) == (
        "partly_received",
        "the rest, 1 unit, to arrive at EAST",
    )
    looked: dict[str, Any] = {
        "reference": "bench-1",
        "units": [found("resaleable", 1), found("damaged", 1, note="no handle")],
    }
    for _ in range(2):
        await told(house, name, "inspections", **looked)
    assert await shelf(house) == {"on_hand": 12, "damaged": 1, "available": 11}
    await told(house, name, "inspections", reference="bench-2", units=[found("missing", 1)])
    closed = await ended(house, name)
    (line,) = closed["lines"]
    assert {n: line[n] for n in ("received", "missing", "refunded", "kept")} == {
        "received": 2,
        "missing": 1,
        "refunded": 1,
        "kept": 1,
    }
    sums = {"worth": 1200, "fee": 120, "label": 0, "amount": 1080, "exchanged": 0}
    assert closed["settlement"] == {"currency": "USD", **sums}
    assert (await money(house, order))["owed"] == -1080
    refund = (await house.http.get(f"/v1/refunds/{closed['refund_id']}")).json()
    assert (refund["status"], refund["amount"], closed["number"] in refund["reason"]) == ("granted", 1080, True)
    (await house.http.post(f"/v1/refunds/{refund['id']}/pay")).raise_for_status()
    await house.noticed(order, "refunded")
    assert await house.given_back() == 1080
    mails = await house.mails(order)
    assert [m for m in mails if "return" in m] == ["return_approved", "return_received", "return_settled"]
    assert "$10.80" in await house.letter(order, "return_settled")
    page = (await house.http.get("/v1/stock/MUG/movements", params={"warehouse": "EAST"})).json()["items"]
    back = [(m["kind"], m["cause"], m["reason"]) for m in page if m["cause"] == f"return:{name}"]
    assert back == [
        ("returned", f"return:{name}", "damaged: no handle"),
        ("returned", f"return:{name}", "resaleable"),
    ]
    again = await asked(house, order, 1)  # the one that was missing is still the customer's
    assert again["status"] == "approved"
    assert (await asked(house, order, 1, status=409))["code"] == "more_than_delivered"


async def test_what_the_rules_let_is_paid_without_a_person_and_damage_by_us_is_refunded_whole(house: House) -> None:
    await rules(house, pay=True, fee_percent=50)
    order = await delivered(house)
    name = (await asked(house, order, reason="damaged"))["id"]
    await told(house, name, "receipts", reference="dock", lines=[{"line": 1, "quantity": 2}])
    await told(house, name, "inspections", reference="bench", units=[found("damaged", 2)])
    assert (await ended(house, name))["settlement"]["amount"] == 2400
    await house.noticed(order, "refunded")
    assert await house.given_back() == 2400
    assert (await money(house, order))["owed"] == 0


async def test_what_needs_approval_is_refused_with_a_reason_or_approved_by_a_person(house: House) -> None:
    order = await delivered(house)
    first, second = [(await asked(house, order, 1, reason="other"))["id"] for _ in range(2)]
    assert (await until(house, first, "requested"))["waiting"]["on"] == "operator"
    early = await told(house, first, "receipts", status=409, reference="dock", lines=[{"line": 1, "quantity": 1}])
    assert early["code"] == "conflict"
    for _ in range(2):
        refused = await told(house, first, "refuse", reason="It was worn.")
    assert (refused["status"], refused["refusal"]) == ("refused", "It was worn.")
    await ended(house, first)
    assert "It was worn." in await house.letter(order, "return_refused")
    assert first != second and "return_requested" in await house.mails(order)
    assert (await told(house, first, "approve", status=409))["code"] == "too_late"
    assert (await told(house, second, "approve"))["status"] == "approved"
    withdrawn = await told(house, second, "withdraw", reason="She keeps it.")
    assert (withdrawn["status"], (await ended(house, second))["refund_id"]) == ("withdrawn", None)
    assert (await asked(house, order, 2))["status"] == "approved"


async def test_what_nobody_sends_expires_and_what_nobody_looks_at_is_told_to_a_person(house: House) -> None:
    order = await delivered(house)
    unsent, unseen = [(await asked(house, order, 1))["id"] for _ in range(2)]
    await told(house, unseen, "receipts", reference="dock", lines=[{"line": 1, "quantity": 1}])
    async with asyncio.timeout(60):
        await pass_time(house, unseen, days=4)
        exception = await house.exception(order, ExceptionKind.RETURN_LATE)
        assert "the inspection of 1 unit at EAST" in exception.reason
        decided = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
        assert decided.status_code == 200, decided.text
        assert not (await house.record(order)).needs_attention
        await pass_time(house, unsent, days=15)
    assert (await ended(house, unsent))["status"] == "expired"
    assert "return_expired" in await house.mails(order)
    await told(house, unseen, "inspections", reference="bench", units=[found("resaleable", 1)])
    assert (await ended(house, unseen))["settlement"]["amount"] == 1200


async def test_a_return_whose_workflow_was_terminated_is_taken_up_again_where_it_stood(house: House) -> None:
    order = await delivered(house)
    name = (await asked(house, order))["id"]
    handle = house.client.get_workflow_handle(workflow_id(name))
    await handle.terminate()
    await told(house, name, "receipts", reference="dock", lines=[{"line": 1, "quantity": 2}])
    await handle.terminate()
    await told(house, name, "inspections", reference="bench", units=[found("resaleable", 2)])
    assert (await ended(house, name))["settlement"]["amount"] == 2400
    assert await shelf(house) == {"on_hand": 12, "damaged": 0, "available": 12}


async def test_a_letter_that_cannot_be_sent_holds_nothing_up_and_is_told_to_a_person(house: House) -> None:
    order = await delivered(house)
    await house.mail_server(refuse_recipients=["margaret.ellery@example.com"])
    name = (await asked(house, order))["id"]
    exception = await house.exception(order, ExceptionKind.RETURN_UNTOLD)
    await told(house, name, "receipts", reference="dock", lines=[{"line": 1, "quantity": 2}])
    await told(house, name, "inspections", reference="bench", units=[found("resaleable", 2)])
    await until(house, name, "closed")
    assert (await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})).is_success


async def test_two_who_ask_at_once_are_not_both_given_the_same_units(house: House) -> None:
    order = await delivered(house)
    lines = [{"line": 1, "quantity": 2}]
    bodies = [{"reference": str(n), "reason": "changed_mind", "lines": lines, **BROUGHT} for n in range(4)]
    answers = await asyncio.gather(*(house.http.post(f"/v1/orders/{order}/returns", json=b) for b in bodies))
    assert sorted(a.status_code for a in answers) == [201, 409, 409, 409]
