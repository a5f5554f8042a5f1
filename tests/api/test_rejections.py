"""Rejecting a fulfilment through the API: what is refused, what is passed on, and what is told of it."""

from typing import Any

import pytest

from db import rejections
from domain.errors import NotFound, TooEarly, TooLate
from domain.identity import Scope
from domain.rejections import RejectedLine, Rejection, RejectionReason
from tests.api.conftest import Api
from tests.api.records import AT, close, fulfilment

KEY = {"Idempotency-Key": "k-1"}


def carries_out(api: Api, order: str) -> None:
    """Let the order's workflow do what it does: write the rejection down."""

    async def write(rejection: Rejection) -> None:
        values = {
            "id": rejection.id,
            "order_id": order,
            "fulfilment_id": rejection.fulfilment_id,
            "warehouse": "EDI",
            "reason": rejection.reason.value,
            "note": rejection.note,
            "actor": rejection.by,
            "body_hash": rejection.body_hash,
            "round": 2,
            "at": AT,
        }
        line = {"line": 1, "sku": "KETTLE", "quantity": 2, "counted": None}
        async with api.database.transaction() as connection:
            if await rejections.find(connection, rejection.id) is None:
                await rejections.add(connection, values, [line])

    api.gateway.rejects = write


async def ready(api: Api, **state: Any) -> str:
    """A fulfilment of two kettles; its id."""
    accepted = await api.place()
    carries_out(api, accepted["id"])
    return await fulfilment(api.database, accepted["id"], **state)


async def test_a_rejection_reaches_the_order_with_whose_key_it_was(api: Api) -> None:
    part = await ready(api)
    response = await api.http.post(
        f"/v1/fulfilments/{part}/reject", json={"reason": "not_found", "note": "Shelf C4 is empty."}
    )
    assert response.status_code == 200, response.text
    told = response.json()
    assert (told["reason"], told["warehouse"], told["note"]) == ("not_found", "EDI", "Shelf C4 is empty.")
    assert told["lines"] == [{"line": 1, "sku": "KETTLE", "quantity": 2, "counted": None}]
    ((_, request, key),) = api.gateway.asked
    assert isinstance(request, Rejection)
    assert (request.reason, request.by, request.lines) == (RejectionReason.NOT_FOUND, "api:test shop", ())
    assert key == f"reject:{told['id']}"


async def test_the_same_rejection_again_is_answered_from_the_record(api: Api) -> None:
    part = await ready(api)
    body = {"reason": "mismatch", "lines": [{"line": 1, "quantity": 1, "counted": 4}]}
    answers = [await api.http.post(f"/v1/fulfilments/{part}/reject", json=body, headers=KEY) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
    ((_, request, _),) = api.gateway.asked
    assert isinstance(request, Rejection)
    assert request.lines == (RejectedLine(1, 1, 4),)
    other = await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "too_busy"}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "reason", "missing_field"),
        ({"reason": "bored"}, "reason", "invalid_field"),
        ({"reason": "damaged", "why": "?"}, "why", "unknown_field"),
        ({"reason": "damaged", "note": "two\nlines"}, "note", "invalid_field"),
        ({"reason": "damaged", "lines": []}, "lines", "invalid_field"),
        ({"reason": "mismatch"}, "lines", "invalid_field"),
        ({"reason": "mismatch", "lines": [{"line": 1, "quantity": 1}]}, "lines[0].counted", "invalid_field"),
        (
            {"reason": "mismatch", "lines": [{"line": 1, "quantity": 1, "counted": 0}]},
            "lines[0].counted",
            "invalid_field",
        ),
        (
            {"reason": "damaged", "lines": [{"line": 1, "quantity": 1, "counted": 3}]},
            "lines[0].counted",
            "invalid_field",
        ),
        ({"reason": "damaged", "lines": [{"line": 7, "quantity": 1}]}, "lines[0].line", "invalid_field"),
        ({"reason": "damaged", "lines": [{"line": 1, "quantity": 3}]}, "lines[0].quantity", "invalid_field"),
        ({"reason": "damaged", "lines": [{"line": 1, "quantity": 0}]}, "lines[0].quantity", "invalid_field"),
        ({"reason": "damaged", "lines": [{"line": 1, "quantity": 1}] * 2}, "lines[1].line", "invalid_field"),
    ],
)
async def test_what_cannot_be_so_is_refused_naming_the_field(
    api: Api, body: dict[str, Any], field: str, code: str
) -> None:
    part = await ready(api)
    response = await api.http.post(f"/v1/fulfilments/{part}/reject", json=body, headers=KEY)
    assert (response.status_code, response.json()["field"], response.json()["code"]) == (422, field, code)
    assert api.gateway.asked == []


async def test_single_lines_need_a_key_since_a_second_unit_is_no_repetition(api: Api) -> None:
    part = await ready(api)
    body = {"reason": "damaged", "lines": [{"line": 1, "quantity": 1}]}
    response = await api.http.post(f"/v1/fulfilments/{part}/reject", json=body)
    assert (response.status_code, response.json()["code"]) == (422, "missing_field")
    assert response.json()["field"] == "Idempotency-Key"


@pytest.mark.parametrize("status", ["handed_over", "delivered", "returned", "cancelled", "rejected"])
async def test_what_has_left_or_ships_no_more_cannot_be_rejected(api: Api, status: str) -> None:
    part = await ready(api, status=status)
    response = await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "not_found"})
    assert (response.status_code, response.json()["code"]) == (409, "too_late")
    assert api.gateway.asked == []


async def test_a_closed_order_has_nothing_to_reject(api: Api) -> None:
    accepted = await api.place()
    part = await fulfilment(api.database, accepted["id"])
    await close(api.database, accepted["id"], "cancelled")
    response = await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "not_found"})
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


async def test_the_orders_own_refusal_is_passed_on(api: Api) -> None:
    part = await ready(api)
    for refusal, status in (
        (TooLate("The parcel has left."), 409),
        (TooEarly("The order has no such fulfilment ready."), 503),
        (NotFound("running workflow of the order", "x"), 503),
    ):
        api.gateway.refusals.append(refusal)
        response = await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "not_found"})
        assert response.status_code == status, response.text
    metrics = (await api.http.get("/metrics")).text
    assert "waybill_rejections_total{" not in metrics


async def test_an_unknown_fulfilment_is_a_404_and_a_key_without_the_scope_a_403(api: Api) -> None:
    unknown = await api.http.post("/v1/fulfilments/nothing/reject", json={"reason": "not_found"})
    assert unknown.status_code == 404
    part = await ready(api)
    reader = await api.key(Scope.ORDERS_READ)
    refused = await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "not_found"}, headers=reader)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")


async def test_rejections_are_listed_in_pages_and_by_warehouse_reason_and_order(api: Api) -> None:
    for reference in ("1", "2", "3"):
        accepted = await api.place(reference)
        carries_out(api, accepted["id"])
        part = await fulfilment(api.database, accepted["id"])
        assert (await api.http.post(f"/v1/fulfilments/{part}/reject", json={"reason": "damaged"})).is_success
    first = (await api.http.get("/v1/rejections", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/rejections", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert (len(first["items"]), len(rest["items"]), rest["next_cursor"]) == (2, 1, None)
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 3
    number = first["items"][0]["order_number"]
    (one,) = (await api.http.get("/v1/rejections", params={"order": number})).json()["items"]
    assert one["order_number"] == number
    for wanted in ({"warehouse": "RNO"}, {"reason": "too_busy"}, {"order": "WB-0"}):
        assert (await api.http.get("/v1/rejections", params=wanted)).json()["items"] == []
    assert (await api.http.get("/v1/rejections", params={"reason": "bored"})).status_code == 422
