"""Orders that cannot be: each gets a clear answer that names the field, and leaves nothing behind."""

import json
from typing import Any

import pytest
from sqlalchemy import func, select

from db.orders import Order
from tests.api.conftest import Api, order_body

LINE = {"sku": "KETTLE", "quantity": 1, "unit_price": 100}
CUSTOMER = order_body()["customer"]
ADDRESS = order_body()["shipping_address"]

INVALID: list[tuple[str, dict[str, Any], str, str]] = [
    ("an unknown SKU", {"lines": [{**LINE, "sku": "NO-SUCH"}], "total": 890}, "lines[0].sku", "unknown_sku"),
    ("a SKU no longer sold", {"lines": [{**LINE, "sku": "OLD-MUG"}], "total": 890}, "lines[0].sku", "unknown_sku"),
    ("a wrong total", {"total": 14021}, "total", "wrong_total"),
    (
        "a discount above the price",
        {"lines": [{**LINE, "discount": 101}], "total": 789},
        "lines[0].discount",
        "wrong_total",
    ),
    ("a currency that is none", {"currency": "USX"}, "currency", "unknown_currency"),
    ("a currency in small letters", {"currency": "usd"}, "currency", "unknown_currency"),
    ("a quantity of 0", {"lines": [{**LINE, "quantity": 0}]}, "lines[0].quantity", "invalid_field"),
    ("a negative quantity", {"lines": [{**LINE, "quantity": -1}]}, "lines[0].quantity", "invalid_field"),
    ("half a unit", {"lines": [{**LINE, "quantity": 1.5}]}, "lines[0].quantity", "invalid_field"),
    ("a quantity as text", {"lines": [{**LINE, "quantity": "2"}]}, "lines[0].quantity", "invalid_field"),
    ("a quantity beyond reason", {"lines": [{**LINE, "quantity": 10**30}]}, "lines[0].quantity", "invalid_field"),
    ("an amount with decimals", {"shipping_charge": 7.9}, "shipping_charge", "invalid_field"),
    ("an amount that is true", {"shipping_charge": True}, "shipping_charge", "invalid_field"),
    ("no lines", {"lines": []}, "lines", "invalid_field"),
    ("too many lines", {"lines": [LINE] * 501}, "lines", "invalid_field"),
    ("a total of 0", {"total": 0}, "total", "invalid_field"),
    ("an unknown field", {"coupon": "X"}, "coupon", "unknown_field"),
    ("an unknown field within a line", {"lines": [{**LINE, "gift": True}]}, "lines[0].gift", "unknown_field"),
    ("an e-mail that is none", {"customer": {**CUSTOMER, "email": "nobody"}}, "customer.email", "invalid_field"),
    ("a name of two lines", {"customer": {**CUSTOMER, "name": "A\nBcc: b"}}, "customer.name", "invalid_field"),
    ("a name with a NUL", {"customer": {**CUSTOMER, "name": "A\0"}}, "customer.name", "invalid_field"),
    ("an empty name", {"customer": {**CUSTOMER, "name": "  "}}, "customer.name", "invalid_field"),
    ("half a character", {"customer": {**CUSTOMER, "name": "\ud800"}}, "customer.name", "invalid_field"),
    (
        "a country that is none",
        {"shipping_address": {**ADDRESS, "country": "XX"}},
        "shipping_address.country",
        "invalid_field",
    ),
    ("a shipping service that nobody offers", {"shipping_service": "drone"}, "shipping_service", "invalid_field"),
    (
        "a payment provider that is none",
        {"payment": {"provider": "cash", "method": "x"}},
        "payment.provider",
        "invalid_order",
    ),
    ("neither method nor intent", {"payment": {"provider": "stripe"}}, "payment", "invalid_field"),
    (
        "both method and intent",
        {"payment": {"provider": "stripe", "method": "pm_1", "intent": "pi_1"}},
        "payment",
        "invalid_field",
    ),
    ("a list instead of a customer", {"customer": []}, "customer", "invalid_field"),
]


@pytest.mark.parametrize(
    ("changes", "field", "code"), [case[1:] for case in INVALID], ids=[case[0] for case in INVALID]
)
async def test_an_order_that_cannot_be_is_refused_by_field(
    api: Api, changes: dict[str, Any], field: str, code: str
) -> None:
    body = json.dumps(order_body(**changes))
    response = await api.http.post("/v1/orders", content=body, headers={"Content-Type": "application/json"})
    problem = response.json()
    assert response.status_code == 422, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert (problem["field"], problem["code"]) == (field, code)
    assert problem["request_id"] == response.headers["x-request-id"]
    await assert_nothing_was_written(api)


async def test_a_missing_field_is_named(api: Api) -> None:
    body = order_body()
    del body["customer"]
    problem = (await api.http.post("/v1/orders", json=body)).json()
    assert (problem["status"], problem["field"], problem["code"]) == (422, "customer", "missing_field")


async def test_several_faults_are_listed_together(api: Api) -> None:
    body = order_body(lines=[{**LINE, "sku": "A"}, {**LINE, "sku": "B"}], total=1, currency="ZZZ")
    problem = (await api.http.post("/v1/orders", json=body)).json()
    assert [(fault["field"], fault["code"]) for fault in problem["errors"]] == [
        ("lines[0].sku", "unknown_sku"),
        ("lines[1].sku", "unknown_sku"),
        ("currency", "unknown_currency"),
    ]


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b'{"channel": ', "application/json", 400, "invalid_json"),
        (b"\xff\xfe\x00", "application/json", 400, "bad_request"),
        (b"[" * 100_000, "application/json", 400, "bad_request"),
        (b"", "application/json", 422, "missing_field"),
        (b"[]", "application/json", 422, "invalid_field"),
        (b"null", "application/json", 422, "invalid_field"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"channel=webshop", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
    ],
    ids=["cut off", "no UTF-8", "too deep", "empty", "a list", "null", "another media type", "a form"],
)
async def test_a_body_that_is_no_json_object_is_refused(
    api: Api, body: bytes, kind: str, status: int, code: str
) -> None:
    response = await api.http.post("/v1/orders", content=body, headers={"Content-Type": kind})
    assert (response.status_code, response.json()["code"]) == (status, code)
    await assert_nothing_was_written(api)


async def test_a_body_of_10_mb_is_refused_by_its_announced_length(api: Api) -> None:
    body = json.dumps(order_body(coupon="x" * 10_000_000)).encode()
    response = await api.http.post("/v1/orders", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    assert response.headers["content-type"] == "application/problem+json"


async def test_a_body_of_unknown_length_is_refused_once_it_is_too_long(api: Api) -> None:
    sent = 0

    async def endless() -> Any:
        nonlocal sent
        while sent < 50_000_000:
            sent += 65536
            yield b" " * 65536

    response = await api.http.post("/v1/orders", content=endless(), headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["code"]) == (413, "payload_too_large")
    await assert_nothing_was_written(api)


@pytest.mark.parametrize("path", ["/v1/orders/a%00b", "/v1/orders?q=%00"])
async def test_an_address_with_a_nul_is_refused(api: Api, path: str) -> None:
    assert (await api.http.get(path)).status_code == 400


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/v1/nothing", 404, "not_found"), ("DELETE", "/v1/orders", 405, "method_not_allowed")],
)
async def test_addresses_that_are_not_there_are_problems_too(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    response = await api.http.request(method, path)
    assert (response.status_code, response.json()["code"]) == (status, code)


async def assert_nothing_was_written(api: Api) -> None:
    async with api.database.reading() as connection:
        assert (await connection.execute(select(func.count()).select_from(Order))).scalar_one() == 0
    assert api.gateway.started == []
