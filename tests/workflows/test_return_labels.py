"""Labels of returns over real servers: bought once, followed, given back where nobody needs them."""

from typing import Any

import pytest

from domain.exceptions import ExceptionKind
from tests.house import House
from tests.workflows.test_returns import asked, delivered, ended, found, pass_time, rules, told, until


async def labelled(house: House, name: str) -> dict[str, Any]:
    return await until(house, name, "labelled")


async def return_labels(house: House) -> list[dict[str, Any]]:
    """The labels of returns on the carrier's own books."""
    return [shipment for shipment in await house.labels() if shipment["is_return"]]


async def carrier(house: House, opened: dict[str, Any], what: str, **body: Any) -> None:
    """The carrier does something with the return's parcel."""
    path = f"/control/easypost/trackers/{opened['parcel']['tracking_code']}/{what}"
    (await house.street.sandbox.post(path, json=body)).raise_for_status()


async def test_a_return_travels_under_one_label_that_its_customer_pays(house: House) -> None:
    await rules(house, label="customer")
    order = await delivered(house)
    name = (await asked(house, order, label=True))["id"]
    opened = await labelled(house, name)
    (label,) = await return_labels(house)
    assert (label["from_address"]["city"], label["to_address"]["city"]) == ("San Francisco", "Portland")
    await house.noticed(order, "return_approved")
    assert opened["parcel"]["label_url"] in await house.letter(order, "return_approved")
    await carrier(house, opened, "advance", steps=2)
    assert (await until(house, name, "in_transit"))["waiting"]["on"] == "carrier"
    assert (await told(house, name, "withdraw", status=409))["code"] == "conflict"
    await carrier(house, opened, "advance", steps=7)
    await told(house, name, "receipts", reference="dock", lines=[{"line": 1, "quantity": 2}])
    await told(house, name, "inspections", reference="bench", units=[found("resaleable", 2)])
    settlement = (await ended(house, name))["settlement"]
    price = opened["parcel"]["price"]
    assert (settlement["label"], settlement["amount"]) == (price, 2400 - price)
    assert price > 0


@pytest.mark.parametrize("fault", [{"status": "lost_answer"}, {"status": 500, "deed": True}])
@pytest.mark.parametrize("operation", ["shipments.create", "shipments.buy"])
async def test_whatever_happens_to_the_answer_one_label_is_bought(
    house: House, operation: str, fault: dict[str, Any]
) -> None:
    order = await delivered(house)
    await house.easypost(fail_next=[{"operation": operation, **fault}])
    name = (await asked(house, order, label=True))["id"]
    await labelled(house, name)
    assert len(await return_labels(house)) == 1


async def test_a_carrier_who_refuses_is_an_exception_and_the_customer_can_send_it_himself(house: House) -> None:
    order = await delivered(house)
    await house.easypost(fail_next=[{"operation": "shipments.buy", "status": 422, "times": 2}])
    name = (await asked(house, order, label=True))["id"]
    for action in ("retry", "skip"):
        exception = await house.exception(order, ExceptionKind.RETURN_LABEL_FAILED)
        decided = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": action})
        assert decided.status_code == 200, decided.text
    alone = await until(house, name, "approved")
    assert (alone["label"], alone["parcel"], alone["waiting"]["on"]) == ("none", None, "customer")
    await house.noticed(order, "return_approved")
    assert await return_labels(house) == []


async def test_a_label_that_nobody_uses_is_given_back_and_one_that_was_scanned_is_not_taken_for_unsent(
    house: House,
) -> None:
    order = await delivered(house)
    dropped, sent = [(await asked(house, order, 1, label=True))["id"] for _ in range(2)]
    await labelled(house, dropped)
    await told(house, dropped, "withdraw")
    over = await ended(house, dropped)
    assert (over["label"], over["parcel"]["void_status"]) == ("given_back", "submitted")
    opened = await labelled(house, sent)
    await house.easypost(webhooks={"lost_rate": 1})
    await carrier(house, opened, "advance", steps=2)
    await pass_time(house, sent, days=15)
    assert (await until(house, sent, "in_transit"))["status"] == "in_transit"


async def test_a_return_that_the_carrier_loses_is_told_to_a_person_who_gives_it_up(house: House) -> None:
    order = await delivered(house)
    name = (await asked(house, order, label=True))["id"]
    opened = await labelled(house, name)
    await carrier(house, opened, "set", status="failure")
    exception = await house.exception(order, ExceptionKind.RETURN_LOST)
    decided = await house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "skip"})
    assert decided.status_code == 200, decided.text
    over = await ended(house, name)
    assert (over["lines"][0]["missing"], over["refund_id"]) == (2, None)
    assert not (await house.record(order)).needs_attention
