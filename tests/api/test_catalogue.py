"""SKUs and warehouses."""

from typing import Any

import pytest

from db import portals
from tests.api.conftest import Api

SKU: dict[str, Any] = {
    "name": "Lamp",
    "weight_grams": 140,
    "length_mm": 120,
    "width_mm": 100,
    "height_mm": 70,
    "price": 4800,
    "currency": "USD",
}
WAREHOUSE: dict[str, Any] = {
    "name": "Reno",
    "address": {
        "street1": "9460 N Virginia St",
        "city": "Reno",
        "state": "NV",
        "postal_code": "89506",
        "country": "US",
    },
    "priority": 20,
}


async def test_a_sku_is_created_then_changed(api: Api) -> None:
    created = await api.http.put("/v1/skus/LAMP", json=SKU)
    changed = await api.http.put("/v1/skus/LAMP", json={**SKU, "price": 4900})
    assert (created.status_code, changed.status_code) == (201, 200)
    assert created.json()["active"] is True
    assert (await api.http.get("/v1/skus/LAMP")).json()["price"] == 4900


async def test_a_newcomer_can_order_an_item_of_their_own(api: Api) -> None:
    await api.http.put("/v1/skus/LAMP", json=SKU)
    await api.http.put("/v1/warehouses/RNO", json=WAREHOUSE)
    receipt = {"warehouse": "RNO", "reference": "first", "lines": [{"sku": "LAMP", "quantity": 3}]}
    assert (await api.http.post("/v1/stock/receipts", json=receipt)).status_code == 201
    await api.place(lines=[{"sku": "LAMP", "quantity": 1, "unit_price": 4800}], total=5590)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"weight_grams": 0}, "weight_grams"),
        ({"price": -1}, "price"),
        ({"currency": "EUX"}, "currency"),
        ({"active": "yes"}, "active"),
        ({"colour": "red"}, "colour"),
        ({"name": ""}, "name"),
    ],
)
async def test_a_sku_that_cannot_be_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    response = await api.http.put("/v1/skus/LAMP", json={**SKU, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert (await api.http.get("/v1/skus/LAMP")).status_code == 404


async def test_a_code_that_no_address_can_hold_is_refused(api: Api) -> None:
    response = await api.http.put("/v1/skus/LA MP", json=SKU)
    assert (response.status_code, response.json()["field"]) == (422, "sku")


async def test_skus_are_listed_by_code_and_found_by_text(api: Api) -> None:
    first = (await api.http.get("/v1/skus", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/skus", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["sku"] for item in first["items"] + rest["items"]] == ["KETTLE", "MUG", "OLD-MUG"]
    assert [item["sku"] for item in (await api.http.get("/v1/skus", params={"q": "old"})).json()["items"]] == [
        "OLD-MUG"
    ]


async def test_a_warehouse_is_created_changed_and_listed(api: Api) -> None:
    created = await api.http.put("/v1/warehouses/RNO", json=WAREHOUSE)
    changed = await api.http.put("/v1/warehouses/RNO", json={**WAREHOUSE, "active": False})
    assert (created.status_code, changed.status_code, changed.json()["active"]) == (201, 200, False)
    codes = [item["code"] for item in (await api.http.get("/v1/warehouses")).json()["items"]]
    assert codes == ["EDI", "RNO"]
    assert (await api.http.get("/v1/warehouses/RNO")).json()["address"]["city"] == "Reno"
    assert (await api.http.get("/v1/warehouses/XXX")).status_code == 404


async def test_a_supplier_with_a_portal_is_a_warehouse_that_names_it(api: Api) -> None:
    unknown = await api.http.put("/v1/warehouses/RNO", json={**WAREHOUSE, "portal": "northgate"})
    assert (unknown.status_code, unknown.json()["code"]) == (409, "unknown_portal")
    assert "'northgate'" in unknown.json()["detail"]
    assert (await api.http.get("/v1/warehouses/RNO")).status_code == 404
    async with api.database.transaction() as connection:
        await portals.introduce(connection, ["northgate"])
    known = await api.http.put("/v1/warehouses/RNO", json={**WAREHOUSE, "portal": "northgate"})
    assert (known.status_code, known.json()["portal"]) == (201, "northgate")
    assert (await api.http.put("/v1/warehouses/RNO", json=WAREHOUSE)).json()["portal"] is None
