"""Refunds by the API: granted, paid, withdrawn, each with its scope."""

import asyncio
from typing import Any

import httpx2
import pytest

from activities.refund_grants import failure_id
from activities.refunds import open_failed
from db import refunds
from domain.errors import Unavailable
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.records import close, payment

GRANT: dict[str, Any] = {"reference": "t-1", "reason": "One kettle arrived dented.", "amount": 500}


async def paid_order(api: Api, reference: str = "1001") -> str:
    """An order whose 140.20 were captured."""
    accepted = await api.place(reference)
    await payment(api.database, accepted["id"], status="captured", authorised=0, captured=14020, refunded=0)
    return str(accepted["id"])


async def grant(api: Api, order: str, **changes: Any) -> httpx2.Response:
    body = {name: value for name, value in {**GRANT, **changes}.items() if value is not None}
    return await api.http.post(f"/v1/orders/{order}/refunds", json=body)


async def test_a_refund_is_granted_once_and_credited(api: Api) -> None:
    order = await paid_order(api)
    first, again = await grant(api, order), await grant(api, order)
    assert (first.status_code, again.status_code) == (201, 200), first.text
    assert first.json() == again.json()
    assert (first.json()["status"], first.json()["granted_by"]) == ("granted", "api:test shop")
    money = (await api.http.get(f"/v1/orders/{order}")).json()["money"]
    assert (money["credited"], money["owed"], money["paid"]) == (500, -500, "overpaid")


async def test_the_idempotency_key_can_be_the_reference(api: Api) -> None:
    order = await paid_order(api)
    body = {"reason": "Late.", "amount": 100}
    sent = [
        await api.http.post(f"/v1/orders/{order}/refunds", json=body, headers={"Idempotency-Key": "k-1"})
        for _ in range(2)
    ]
    assert [response.status_code for response in sent] == [201, 200]
    assert sent[0].json()["reference"] == "k-1"


async def test_lines_and_shipping_tell_the_amount(api: Api) -> None:
    order = await paid_order(api)
    lines = [{"line": 1, "quantity": 1}]
    first = await grant(api, order, amount=None, lines=lines)
    second = await grant(api, order, amount=None, lines=lines, shipping=True, reference="t-2")
    assert [r.json()["amount"] for r in (first, second)] == [6615, 6615 + 790]


async def test_a_closed_order_can_be_refunded(api: Api) -> None:
    order = await paid_order(api)
    await close(api.database, order, "delivered")
    assert (await grant(api, order)).status_code == 201


@pytest.mark.parametrize(
    ("changes", "status", "code", "field"),
    [
        ({"reference": None}, 422, "missing_field", "reference"),
        ({"reason": None}, 422, "missing_field", "reason"),
        ({"reason": ""}, 422, "invalid_field", "reason"),
        ({"reason": "a\nb"}, 422, "invalid_field", "reason"),
        ({"amount": 0}, 422, "invalid_field", "amount"),
        ({"amount": -5}, 422, "invalid_field", "amount"),
        ({"amount": 5.5}, 422, "invalid_field", "amount"),
        ({"amount": "500"}, 422, "invalid_field", "amount"),
        ({"amount": None}, 422, "invalid_refund", "amount"),
        ({"amount": 14021}, 409, "refund_too_large", "amount"),
        ({"lines": [{"line": 2, "quantity": 1}]}, 422, "invalid_refund", "lines[0].line"),
        ({"lines": [{"line": 1, "quantity": 3}]}, 422, "invalid_refund", "lines[0].quantity"),
        ({"lines": [{"line": 1, "quantity": 0}]}, 422, "invalid_field", "lines[0].quantity"),
        ({"lines": [{"line": 1, "quantity": 1}] * 2}, 422, "invalid_refund", "lines"),
        ({"lines": [{"line": 1, "quantity": 1}], "amount": 6616}, 422, "invalid_refund", "amount"),
        ({"lines": [{"quantity": 1}]}, 422, "missing_field", "lines[0].line"),
        ({"shipping": "yes please"}, 422, "invalid_field", "shipping"),
        ({"currency": "EUR"}, 422, "unknown_field", "currency"),
    ],
)
async def test_a_bad_grant_says_what_is_wrong(
    api: Api, changes: dict[str, Any], status: int, code: str, field: str
) -> None:
    response = await grant(api, await paid_order(api), **changes)
    problem = response.json()
    assert (response.status_code, problem["code"], problem["field"]) == (status, code, field), problem


async def test_the_reference_of_another_refund_is_refused(api: Api) -> None:
    order = await paid_order(api)
    await grant(api, order)
    response = await grant(api, order, amount=501)
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")


async def test_units_are_refunded_once(api: Api) -> None:
    order = await paid_order(api)
    await grant(api, order, amount=None, lines=[{"line": 1, "quantity": 2}])
    response = await grant(api, order, amount=None, lines=[{"line": 1, "quantity": 1}], reference="t-2")
    problem = response.json()
    assert (response.status_code, problem["code"], problem["field"]) == (409, "refund_too_large", "lines[0].quantity")


async def test_of_two_that_come_at_once_only_what_there_is_is_granted(api: Api) -> None:
    order = await paid_order(api)
    both = await asyncio.gather(*(grant(api, order, amount=8000, reference=f"t-{n}") for n in range(2)))
    assert sorted(response.status_code for response in both) == [201, 409]


async def test_before_anything_is_captured_nothing_can_be_refunded(api: Api) -> None:
    accepted = await api.place()
    assert (await grant(api, accepted["id"])).json()["code"] == "refund_too_large"
    await payment(api.database, accepted["id"])
    assert (await grant(api, accepted["id"])).json()["code"] == "refund_too_large"


async def test_paying_is_decided_once_and_started(api: Api) -> None:
    refund = (await grant(api, await paid_order(api))).json()["id"]
    answers = [await api.http.post(f"/v1/refunds/{refund}/pay") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].json()["status"] == "paying"
    assert [(paid.refund_id, paid.decision, paid.amount) for paid in api.money.paid] == [(refund, 1, "5.00 USD")]


async def test_while_temporal_is_away_the_decision_stands_and_is_started_later(api: Api) -> None:
    refund = (await grant(api, await paid_order(api))).json()["id"]
    api.money.refusals.append(Unavailable("Temporal does not answer right now."))
    assert (await api.http.post(f"/v1/refunds/{refund}/pay")).status_code == 202
    async with api.database.reading() as connection:
        row = await refunds.find(connection, refund)
    assert row is not None
    assert (row.status, row.started_at) == ("paying", None)


async def test_what_is_being_paid_cannot_be_withdrawn(api: Api) -> None:
    refund = (await grant(api, await paid_order(api))).json()["id"]
    await api.http.post(f"/v1/refunds/{refund}/pay")
    response = await api.http.post(f"/v1/refunds/{refund}/withdraw")
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


async def test_what_was_withdrawn_cannot_be_paid(api: Api) -> None:
    refund = (await grant(api, await paid_order(api))).json()["id"]
    answers = [await api.http.post(f"/v1/refunds/{refund}/withdraw") for _ in range(2)]
    assert [(a.status_code, a.json()["status"]) for a in answers] == [(200, "withdrawn")] * 2
    response = await api.http.post(f"/v1/refunds/{refund}/pay")
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/orders/{order}/refunds", Scope.REFUNDS_PAY),
        ("POST", "/v1/refunds/{refund}/pay", Scope.REFUNDS_GRANT),
        ("POST", "/v1/refunds/{refund}/withdraw", Scope.REFUNDS_PAY),
        ("GET", "/v1/refunds/{refund}", Scope.REFUNDS_PAY),
        ("GET", "/v1/refunds", Scope.REFUNDS_GRANT),
        ("GET", "/v1/orders/{order}/refunds", Scope.REFUNDS_GRANT),
    ],
)
async def test_each_step_has_a_scope_of_its_own(api: Api, method: str, path: str, scope: Scope) -> None:
    order = await paid_order(api)
    refund = (await grant(api, order)).json()["id"]
    url, headers = path.format(order=order, refund=refund), await api.key(scope)
    response = await api.http.request(method, url, headers=headers, json=GRANT if "orders" in path else None)
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/orders/WB-1/refunds"),
        ("GET", "/v1/orders/WB-1/refunds"),
        ("GET", "/v1/refunds/nothing"),
        ("POST", "/v1/refunds/nothing/pay"),
        ("POST", "/v1/refunds/nothing/withdraw"),
    ],
)
async def test_what_is_not_there_is_not_found(api: Api, method: str, path: str) -> None:
    response = await api.http.request(method, path, json=GRANT if "WB" in path and method == "POST" else None)
    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_refunds_are_listed_oldest_first_page_by_page(api: Api) -> None:
    order = await paid_order(api)
    made = [(await grant(api, order, reference=f"t-{n}")).json()["id"] for n in range(3)]
    await api.http.post(f"/v1/refunds/{made[1]}/withdraw")
    first = (await api.http.get("/v1/refunds", params={"limit": "2"})).json()
    rest = (await api.http.get("/v1/refunds", params={"limit": "2", "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == made
    granted = (await api.http.get("/v1/refunds", params={"status": "granted"})).json()["items"]
    assert [item["id"] for item in granted] == [made[0], made[2]]
    assert len((await api.http.get(f"/v1/orders/{order}/refunds")).json()["items"]) == 3


@pytest.mark.parametrize("params", [{"status": "lost"}, {"limit": "0"}, {"cursor": "x"}])
async def test_a_list_that_is_asked_for_badly_says_what_is_wrong(api: Api, params: dict[str, str]) -> None:
    response = await api.http.get("/v1/refunds", params=params)
    assert (response.status_code, response.json()["field"]) == (422, next(iter(params)))


async def test_whoever_only_decides_exceptions_cannot_have_refunds_paid(api: Api) -> None:
    order = await paid_order(api)
    refund = (await grant(api, order)).json()["id"]
    await api.http.post(f"/v1/refunds/{refund}/pay")
    name = await failed(api, refund)
    headers = await api.key(Scope.EXCEPTIONS_WRITE)
    for action, scope in (("retry", "refunds:pay"), ("withdraw", "refunds:grant")):
        url = f"/v1/exceptions/{name}/resolve"
        response = await api.http.post(url, json={"action": action}, headers=headers)
        assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
        assert scope in response.json()["detail"]


@pytest.mark.parametrize(("action", "status", "paid"), [("retry", "paying", 2), ("withdraw", "withdrawn", 1)])
async def test_a_refund_that_failed_is_decided_on_the_record(api: Api, action: str, status: str, paid: int) -> None:
    order = await paid_order(api)
    refund = (await grant(api, order)).json()["id"]
    await api.http.post(f"/v1/refunds/{refund}/pay")
    name = await failed(api, refund)
    response = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": action})
    assert response.status_code == 200, response.text
    assert (await api.http.get(f"/v1/refunds/{refund}")).json()["status"] == status
    assert [told.decision for told in api.money.paid] == [1, 2][:paid]
    assert (await api.http.get(f"/v1/exceptions/{name}")).json()["resolution"] == action


async def failed(api: Api, refund: str) -> str:
    """The refund fails; the exception's id."""
    async with api.database.transaction() as connection:
        row = await refunds.find(connection, refund)
        assert row is not None
        await open_failed(connection, row, "expired_or_canceled_card")
        found = await refunds.find(connection, refund)
        assert found is not None
        return failure_id(found)
