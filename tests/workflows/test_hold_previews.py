"""Holds placed and released as a preview has shown it."""

import asyncio
import uuid
from typing import Any

import httpx2
import pytest

from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_changes import waits_for_the_carrier

WISH = {"reason": "customer", "note": "on holiday"}


async def preview(house: House, path: str, wish: dict[str, Any] | None = None) -> dict[str, Any]:
    """What it would do."""
    response = await house.http.post(f"/v1/{path}/preview", json=wish)
    assert response.status_code == 200, response.text
    told: dict[str, Any] = response.json()
    return told


async def do(house: House, path: str, version: str, **wish: Any) -> httpx2.Response:
    """Have it so; the answer, whatever it is."""
    headers = {"Idempotency-Key": uuid.uuid4().hex}
    return await house.http.post(f"/v1/{path}", json={**wish, "version": version}, headers=headers)


@pytest.mark.fuzz
async def test_a_hold_stops_what_its_preview_has_shown_and_its_release_lets_that_go_on(house: House) -> None:
    await house.receive("MUG", 10)
    order = await house.place(method="pm_card_authenticationRequired")
    await house.until(order, waiting="confirm the payment with the bank")
    path = f"orders/{order}/holds"
    shown = await preview(house, path, WISH)
    assert (shown["said"], shown["goes_on"]) == ("It stops the label of every parcel.", ["payment"])
    hold = (await do(house, path, shown["version"], **WISH)).json()["id"]
    await house.authenticate(order)
    await house.until(order, OrderStatus.FULFILLING, waiting="the release of the customer hold")
    assert await house.labels() == []
    path = f"holds/{hold}/release"
    shown = await preview(house, path)
    assert shown["said"] == "It goes on with the label of parcel 1."
    assert shown["money_held_until"] is not None
    assert (await do(house, path, shown["version"])).status_code == 200
    await house.labelled(order)


async def test_of_two_who_hold_as_shown_one_wins_and_the_other_is_told_of_it(house: House) -> None:
    await house.receive("MUG", 10)
    order = await waits_for_the_carrier(house)
    path = f"orders/{order}/holds"
    shown = await preview(house, path, WISH)
    assert shown["said"] == "It stops the hand-over of parcel 1."
    answers = await asyncio.gather(*(do(house, path, shown["version"], **WISH) for _ in range(2)))
    assert sorted(answer.status_code for answer in answers) == [201, 409]
    late = await do(house, path, shown["version"], **WISH)
    assert (late.status_code, late.json()["code"]) == (409, "order_moved")
    assert "the customer hold (on holiday)" in late.json()["detail"]
    (hold,) = [row.id for row in await house.holds(order)]
    release = await preview(house, f"holds/{hold}/release")
    other = (await do(house, path, (await preview(house, path, WISH))["version"], **WISH)).json()["id"]
    assert (await do(house, f"holds/{hold}/release", release["version"])).json()["code"] == "order_moved"
    release = await preview(house, f"holds/{hold}/release")
    assert release["parcels"][0]["held_by"] == [other]
    assert release["said"].startswith("Nothing stands still that did not before")
    assert (await do(house, f"holds/{hold}/release", release["version"])).status_code == 200
    await house.until(order, waiting="the release of the customer hold")
