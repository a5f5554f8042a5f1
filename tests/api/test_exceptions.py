"""Exceptions and decisions."""

import asyncio

import pytest
from sqlalchemy import text

from db import exceptions, orders
from domain.errors import Conflict, NotFound, TooEarly
from domain.exceptions import Action, Resolution
from tests.api.conftest import Api
from tests.api.records import close, exception


async def test_open_exceptions_are_listed_with_their_order(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    (item,) = (await api.http.get("/v1/exceptions")).json()["items"]
    assert (item["id"], item["order_number"], item["actions"]) == (found, accepted["number"], ["retry", "cancel"])
    assert (await api.http.get(f"/v1/exceptions/{found}")).json() == item
    assert (await api.http.get("/v1/exceptions", params={"kind": "no_rate"})).json()["items"] == []
    (order,) = (await api.http.get("/v1/orders", params={"needs_attention": True})).json()["items"]
    assert order["id"] == accepted["id"]


async def test_exceptions_are_paged(api: Api) -> None:
    accepted = await api.place()
    opened = [await exception(api.database, accepted["id"], name=str(number)) for number in range(3)]
    first = (await api.http.get("/v1/exceptions", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/exceptions", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert sorted(opened) == [item["id"] for item in first["items"] + rest["items"]]


async def test_a_decision_reaches_the_order_under_a_key_of_its_own(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    decision = {"action": "retry", "note": "Twenty came in."}
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json=decision)
    assert response.status_code == 200
    resolution = Resolution(found, Action.RETRY, "api:test shop", "Twenty came in.")
    assert api.gateway.asked == [(accepted["id"], resolution, f"resolve:{found}:retry")]


async def test_an_action_that_is_not_offered_is_refused(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "skip"})
    assert (response.status_code, response.json()["field"]) == (409, "action")
    assert api.gateway.asked == []


async def test_a_decision_that_the_order_refuses_is_a_conflict(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    api.gateway.refusals.append(Conflict("The exception is no longer open."))
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"})
    assert response.status_code == 409


async def test_a_decision_that_comes_before_its_order_knows_the_exception_again_is_to_be_repeated(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    api.gateway.refusals.append(TooEarly("The order is taking note of this exception. Repeat the decision."))
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"})
    assert response.status_code == 503
    assert "nothing was decided" in response.json()["detail"]


@pytest.mark.parametrize(("action", "status"), [("retry", 200), ("cancel", 409)])
async def test_a_resolved_exception_accepts_only_the_same_decision_again(api: Api, action: str, status: int) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    await close(api.database, accepted["id"], "delivered")
    await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"})
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": action})
    assert response.status_code == status


async def test_an_exception_of_a_closed_order_is_resolved_in_its_record(api: Api) -> None:
    accepted = await api.place()
    first = await exception(api.database, accepted["id"], name="first")
    second = await exception(api.database, accepted["id"], name="second")
    await close(api.database, accepted["id"], "delivered")
    await api.http.post(f"/v1/exceptions/{first}/resolve", json={"action": "retry", "note": "seen"})
    item = (await api.http.get(f"/v1/exceptions/{first}")).json()
    assert (item["status"], item["resolution"], item["note"]) == ("resolved", "retry", "seen")
    assert (await api.http.get(accepted["links"]["self"])).json()["needs_attention"] is True
    await api.http.post(f"/v1/exceptions/{second}/resolve", json={"action": "retry"})
    assert (await api.http.get(accepted["links"]["self"])).json()["needs_attention"] is False
    assert api.gateway.asked == []


async def test_a_decision_and_the_orders_own_record_wait_for_each_other_and_not_in_a_ring(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    await close(api.database, accepted["id"], "delivered")
    async with api.database.transaction() as record:  # the order first, as the record of its workflow does
        await orders.lock(record, accepted["id"])
        decided = asyncio.create_task(api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"}))
        async with api.database.reading() as look, asyncio.timeout(10):
            while not (await look.execute(_WAITS)).scalar_one():  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.01)
        await exceptions.mark_told(record, found)
    assert (await decided).status_code == 200


_WAITS = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")


async def test_an_order_whose_workflow_was_ended_from_outside_is_taken_up_again_with_the_decision(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"], kind="workflow_ended")
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"})
    assert response.status_code == 200
    (placed,) = api.gateway.restarted
    assert (placed.id, placed.number) == (accepted["id"], accepted["number"])
    assert placed.restart == Resolution(found, Action.RETRY, "api:test shop", "")
    assert placed.request == api.gateway.started[0].request


async def test_an_order_that_has_just_ended_asks_for_patience(api: Api) -> None:
    accepted = await api.place()
    found = await exception(api.database, accepted["id"])
    api.gateway.refusals.append(NotFound("running workflow of the order", accepted["id"]))
    response = await api.http.post(f"/v1/exceptions/{found}/resolve", json={"action": "retry"})
    assert response.status_code == 503


async def test_an_unknown_exception_is_a_404(api: Api) -> None:
    assert (await api.http.get("/v1/exceptions/nothing")).status_code == 404
    assert (await api.http.post("/v1/exceptions/nothing/resolve", json={"action": "retry"})).status_code == 404
