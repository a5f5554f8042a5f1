"""API keys: who may do what, and for how long."""

import pytest

from api.first_key import store_first_key
from api.keys import ApiKeys
from domain.errors import Unauthorised
from domain.identity import Scope, new_api_key
from tests.api.conftest import Api, order_body


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer ", "Basic d2I6eA==", "Bearer wb_unknown", "Bearer " + "x" * 5000, "Bearer ä"]
)
async def test_without_a_valid_key_nothing_is_answered(api: Api, header: str | None) -> None:
    headers = [] if header is None else [(b"authorization", header.encode("latin-1"))]
    request = api.http.build_request("GET", "/v1/orders")
    del request.headers["authorization"]
    request.headers.update(headers)
    response = await api.http.send(request)
    assert (response.status_code, response.json()["code"]) == (401, "unauthorised")
    assert response.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("POST", "/v1/orders", Scope.ORDERS_WRITE),
        ("GET", "/v1/orders", Scope.ORDERS_READ),
        ("GET", "/v1/orders/x", Scope.ORDERS_READ),
        ("POST", "/v1/orders/x/cancel", Scope.ORDERS_WRITE),
        ("GET", "/v1/orders/x/packing-slip", Scope.ORDERS_READ),
        ("GET", "/orders/x", Scope.ORDERS_READ),
        ("POST", "/v1/fulfilments/x/hand-over", Scope.FULFILMENTS_WRITE),
        ("GET", "/v1/fulfilments/x/label", Scope.ORDERS_READ),
        ("GET", "/v1/exceptions", Scope.EXCEPTIONS_READ),
        ("GET", "/v1/exceptions/x", Scope.EXCEPTIONS_READ),
        ("POST", "/v1/exceptions/x/resolve", Scope.EXCEPTIONS_WRITE),
        ("GET", "/v1/skus", Scope.CATALOGUE_READ),
        ("GET", "/v1/skus/x", Scope.CATALOGUE_READ),
        ("PUT", "/v1/skus/x", Scope.CATALOGUE_WRITE),
        ("GET", "/v1/warehouses", Scope.CATALOGUE_READ),
        ("GET", "/v1/warehouses/x", Scope.CATALOGUE_READ),
        ("PUT", "/v1/warehouses/x", Scope.CATALOGUE_WRITE),
        ("GET", "/v1/stock", Scope.STOCK_READ),
        ("GET", "/v1/stock/x/movements", Scope.STOCK_READ),
        ("POST", "/v1/stock/receipts", Scope.STOCK_WRITE),
        ("GET", "/v1/keys", Scope.KEYS_WRITE),
        ("POST", "/v1/keys", Scope.KEYS_WRITE),
        ("DELETE", "/v1/keys/x", Scope.KEYS_WRITE),
    ],
)
async def test_every_operation_needs_its_scope(api: Api, method: str, path: str, scope: Scope) -> None:
    headers = await api.key(*(other for other in Scope if other is not scope))
    response = await api.http.request(method, path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
    assert scope.value in response.json()["detail"]


async def test_a_new_key_works_with_its_scopes_until_it_is_revoked(api: Api) -> None:
    made = await api.http.post("/v1/keys", json={"name": "webshop", "scopes": ["orders:write"]})
    assert made.status_code == 201
    key = {"Authorization": f"Bearer {made.json()['key']}"}
    assert (await api.http.post("/v1/orders", json=order_body(), headers=key)).status_code == 202
    assert (await api.http.get("/v1/orders", headers=key)).status_code == 403
    assert (await api.http.delete(f"/v1/keys/{made.json()['id']}")).status_code == 204
    assert (await api.http.post("/v1/orders", json=order_body(), headers=key)).status_code == 401
    assert (await api.http.delete(f"/v1/keys/{made.json()['id']}")).status_code == 404


async def test_keys_are_listed_without_their_secrets(api: Api) -> None:
    made = (await api.http.post("/v1/keys", json={"name": "webshop", "scopes": ["orders:read"]})).json()
    page = await api.http.get("/v1/keys")
    assert made["key"] not in page.text
    assert [item["name"] for item in page.json()["items"]] == ["test shop", "webshop"]


async def test_nobody_gives_away_more_than_they_have(api: Api) -> None:
    headers = await api.key(Scope.KEYS_WRITE, Scope.ORDERS_READ)
    body = {"name": "more", "scopes": ["orders:read", "stock:write"]}
    response = await api.http.post("/v1/keys", json=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize("body", [{"name": "x", "scopes": []}, {"name": "x", "scopes": ["everything"]}, {"name": ""}])
async def test_a_key_that_cannot_be_is_refused(api: Api, body: dict[str, object]) -> None:
    assert (await api.http.post("/v1/keys", json=body)).status_code == 422


async def test_the_first_key_is_stored_once_and_stays_revoked(api: Api, database_url: str) -> None:
    key = new_api_key()
    await store_first_key(database_url, key)
    await store_first_key(database_url, key)
    first = await ApiKeys(api.database).caller(key)
    assert first.scopes == frozenset(Scope)
    await api.http.delete(f"/v1/keys/{first.key_id}")
    await store_first_key(database_url, key)
    with pytest.raises(Unauthorised):
        await ApiKeys(api.database).caller(key)
