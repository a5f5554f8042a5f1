"""Placing, reading and cancelling orders over HTTP."""

import asyncio

import pytest
from sqlalchemy import func, select

from db import orders
from db.orders import Order, OrderLine
from domain.errors import NotFound, TooLate, Unavailable
from domain.orders import CancelRequest, Customer
from tests.api.conftest import Api, order_body
from tests.api.records import close, fulfilment, payment


async def test_an_order_is_accepted_with_a_number_a_sentence_and_links(api: Api) -> None:
    response = await api.http.post("/v1/orders", json=order_body())
    accepted = response.json()
    assert response.status_code == 202
    assert accepted["number"].startswith("WB-")
    assert accepted["status"] == "accepted"
    assert accepted["waiting"]["sentence"].startswith("Waiting for its turn (on Waybill itself) since ")
    assert response.headers["location"] == accepted["links"]["self"] == f"/v1/orders/{accepted['id']}"


async def test_what_was_accepted_is_readable_at_once(api: Api) -> None:
    accepted = await api.place()
    order = (await api.http.get(accepted["links"]["self"])).json()
    assert order["customer"]["email"] == "margaret.ellery@example.com"
    assert order["lines"] == [
        {
            "number": 1,
            "sku": "KETTLE",
            "name": "Kettle",
            "quantity": 2,
            "unit_price": 6900,
            "discount": 900,
            "tax": 330,
            "total": 13230,
            "parts": [],
        }
    ]
    assert order["payment"]["status"] == "pending"
    assert [entry["kind"] for entry in order["timeline"]] == ["placed"]
    by_number = (await api.http.get(f"/v1/orders/{accepted['number']}")).json()
    assert by_number["id"] == order["id"]


async def test_an_accepted_order_is_started_with_all_that_it_says(api: Api) -> None:
    accepted = await api.place()
    (placed,) = api.gateway.started
    assert placed.id == accepted["id"]
    assert placed.request.customer == Customer("Margaret Ellery", "margaret.ellery@example.com", locale="en-US")
    await api.app.state.services.starts.settled()
    async with api.database.reading() as connection:
        row = await orders.find(connection, placed.id)
    assert row is not None
    assert row.started_at is not None


async def test_an_order_is_accepted_while_temporal_is_away_and_left_to_the_relay(api: Api) -> None:
    api.gateway.away = Unavailable("Temporal does not answer right now.")
    accepted = await api.place()
    async with api.database.reading() as connection:
        waiting = await orders.not_started(connection, older_than_seconds=0, limit=10)
    assert [row.id for row in waiting] == [accepted["id"]]


async def test_the_same_order_again_is_the_same_order(api: Api) -> None:
    first = await api.place()
    again = await api.http.post("/v1/orders", json=dict(reversed(order_body().items())))
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    assert len(api.gateway.started) == 1


async def test_twenty_of_the_same_order_at_once_are_one_order(api: Api) -> None:
    responses = await asyncio.gather(*(api.http.post("/v1/orders", json=order_body()) for _ in range(20)))
    assert {response.status_code for response in responses} == {202}
    assert len({response.json()["id"] for response in responses}) == 1
    assert len({response.json()["number"] for response in responses}) == 1
    async with api.database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(Order))).scalar_one() == 1
        assert (await connection.execute(select(func.count()).select_from(OrderLine))).scalar_one() == 1
    assert len(api.gateway.started) == 1


async def test_the_same_reference_with_another_body_is_refused(api: Api) -> None:
    first = await api.place()
    other = await api.http.post("/v1/orders", json=order_body(shipping_charge=791, total=14021))
    problem = other.json()
    assert (other.status_code, problem["code"], problem["field"]) == (409, "already_placed", "external_reference")
    assert first["number"] in problem["detail"]


async def test_another_channel_may_use_the_same_reference(api: Api) -> None:
    first = await api.place()
    second = await api.place(channel="market")
    assert first["id"] != second["id"]


async def test_a_replayed_key_returns_the_first_order(api: Api) -> None:
    key = {"Idempotency-Key": "4f8d"}
    first = await api.http.post("/v1/orders", json=order_body(), headers=key)
    again = await api.http.post("/v1/orders", json=order_body(), headers=key)
    assert first.json()["id"] == again.json()["id"]


async def test_a_key_used_for_another_body_is_refused(api: Api) -> None:
    key = {"Idempotency-Key": "4f8d"}
    await api.http.post("/v1/orders", json=order_body("1001"), headers=key)
    other = await api.http.post("/v1/orders", json=order_body("1002"), headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_repeats_are_answered_after_the_order_has_closed_and_its_sku_is_gone(api: Api) -> None:
    first = await api.place()
    await close(api.database, first["id"], "delivered")
    async with api.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE skus SET active = false")
    again = await api.http.post("/v1/orders", json=order_body())
    other = await api.http.post("/v1/orders", json=order_body(shipping_charge=791, total=14021))
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (202, first["id"], "delivered")
    assert other.status_code == 409


async def test_a_read_of_an_unknown_order_is_a_404(api: Api) -> None:
    response = await api.http.get("/v1/orders/WB-1")
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_cancel_reaches_the_order_under_a_key_of_its_own(api: Api) -> None:
    accepted = await api.place()
    response = await api.http.post(f"{accepted['links']['cancel']}", json={"reason": "Changed her mind."})
    assert (response.status_code, response.json()["status"]) == (200, "cancelling")
    assert api.gateway.asked == [(accepted["id"], CancelRequest("api:test shop", "Changed her mind."), "cancel")]


async def test_a_cancel_needs_no_body_and_takes_the_callers_key(api: Api) -> None:
    accepted = await api.place()
    await api.http.post(accepted["links"]["cancel"], headers={"Idempotency-Key": "k1"})
    assert [key for _, _, key in api.gateway.asked] == ["cancel:k1"]


async def test_a_cancel_that_comes_too_late_is_refused(api: Api) -> None:
    accepted = await api.place()
    api.gateway.refusals.append(TooLate("The order is shipped: it can no longer be cancelled."))
    response = await api.http.post(accepted["links"]["cancel"])
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


async def test_a_cancel_that_nobody_answers_may_be_repeated(api: Api) -> None:
    accepted = await api.place()
    api.gateway.refusals.append(Unavailable("The order did not answer in time.", retry_after=7))
    response = await api.http.post(accepted["links"]["cancel"])
    assert (response.status_code, response.headers["retry-after"]) == (503, "7")
    assert (await api.http.post(accepted["links"]["cancel"])).status_code == 200


@pytest.mark.parametrize(("status", "answer"), [("cancelled", 200), ("delivered", 409)])
async def test_a_closed_order_answers_a_cancel_from_its_record(api: Api, status: str, answer: int) -> None:
    accepted = await api.place()
    await close(api.database, accepted["id"], status)
    response = await api.http.post(accepted["links"]["cancel"])
    assert response.status_code == answer
    assert api.gateway.asked == []


async def test_a_cancel_starts_an_order_that_temporal_has_not_seen_yet(api: Api) -> None:
    api.gateway.away = Unavailable("Temporal does not answer right now.")
    accepted = await api.place()
    api.gateway.away = None
    api.gateway.refusals.append(NotFound("running workflow of the order", accepted["id"]))
    response = await api.http.post(accepted["links"]["cancel"])
    assert response.status_code == 200
    assert [placed.request.external_reference for placed in api.gateway.started] == ["1001"]


async def test_a_cancel_of_an_order_whose_workflow_is_gone_asks_for_patience(api: Api) -> None:
    accepted = await api.place()
    api.gateway.refusals += [NotFound("running workflow of the order", accepted["id"])] * 2
    response = await api.http.post(accepted["links"]["cancel"])
    assert (response.status_code, response.headers["retry-after"]) == (503, "2")


async def test_an_order_tells_of_its_payment_and_its_parcels(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"], captured=14020, status="captured")
    await fulfilment(api.database, accepted["id"], status="handed_over")
    order = (await api.http.get(accepted["links"]["self"])).json()
    assert (order["payment"]["reference"], order["payment"]["captured"]) == ("pi_1", 14020)
    assert [event["kind"] for event in order["payment"]["events"]] == ["authorise"]
    (part,) = order["fulfilments"]
    assert (part["warehouse"], part["lines"]) == ("EDI", [{"line": 1, "sku": "KETTLE", "quantity": 2}])
    assert [(p["tracking_code"], p["tracking_status"]) for p in part["parcels"]] == [("9400", "in_transit")]
    assert [scan["place"] for scan in part["parcels"][0]["events"]] == ["Newark, NJ"]
