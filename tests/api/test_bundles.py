"""Bundles and what may be promised, as the catalogue takes them."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.api.records import wait_for

SET: dict[str, Any] = {
    "name": "Breakfast set",
    "price": 9900,
    "currency": "USD",
    "parts": [{"sku": "KETTLE", "quantity": 1}, {"sku": "MUG", "quantity": 2}],
}
PLAIN: dict[str, Any] = {
    "name": "Lamp",
    "weight_grams": 140,
    "length_mm": 120,
    "width_mm": 100,
    "height_mm": 70,
    "price": 4800,
    "currency": "USD",
}
BACKORDER = {"when_out_of_stock": "backorder", "promise_cap": 5, "restock_days": 14}
RECEIPT = {"warehouse": "EDI", "reference": "first", "lines": [{"sku": "SET", "quantity": 1}]}
ONE_SET: dict[str, Any] = {"lines": [{"sku": "SET", "quantity": 1, "unit_price": 9900}], "total": 10690}


async def test_a_bundle_is_written_read_listed_and_changed(api: Api) -> None:
    created = await api.http.put("/v1/skus/SET", json=SET)
    assert created.status_code == 201, created.text
    assert created.json()["parts"] == SET["parts"]
    assert created.json()["weight_grams"] == 3 * 1180
    assert (await api.http.get("/v1/skus/SET")).json() == created.json()
    bundles = (await api.http.get("/v1/skus", params={"bundle": True})).json()["items"]
    assert [item["sku"] for item in bundles] == ["SET"]
    changed = await api.http.put("/v1/skus/SET", json={**SET, "parts": SET["parts"][:1]})
    assert (changed.status_code, changed.json()["weight_grams"]) == (200, 1180)


async def test_a_bundle_weighs_what_its_parts_weigh_and_is_as_dangerous(api: Api) -> None:
    await api.http.put("/v1/skus/SET", json=SET)
    await api.http.put("/v1/skus/MUG", json={**PLAIN, "weight_grams": 100, "hazardous": True})
    found = (await api.http.get("/v1/skus/SET")).json()
    assert (found["weight_grams"], found["hazardous"]) == (1380, True)


async def test_what_an_order_was_sold_stays_what_it_was(api: Api) -> None:
    await api.http.put("/v1/skus/SET", json=SET)
    accepted = await api.place(**ONE_SET)
    await api.http.put("/v1/skus/SET", json={**SET, "parts": [{"sku": "MUG", "quantity": 1}]})
    (line,) = (await api.http.get(f"/v1/orders/{accepted['id']}")).json()["lines"]
    assert [(part["sku"], part["name"], part["quantity"]) for part in line["parts"]] == [
        ("KETTLE", "Kettle", 1),
        ("MUG", "Mug", 2),
    ]
    (started,) = api.gateway.started
    assert started.request.lines[0].units == {"KETTLE": 1, "MUG": 2}


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"parts": [{"sku": "NO-SUCH", "quantity": 1}]}, "parts[0].sku", "unknown_sku"),
        ({"parts": [{"sku": "INNER", "quantity": 1}]}, "parts[0].sku", "bundle_in_bundle"),
        ({"parts": [{"sku": "SET", "quantity": 1}]}, "parts[0].sku", "bundle_in_bundle"),
        ({"parts": [{"sku": "MUG", "quantity": 0}]}, "parts[0].quantity", "invalid_field"),
        ({"parts": [{"sku": "MUG", "quantity": 1}, {"sku": "MUG", "quantity": 2}]}, "parts", "invalid_field"),
        ({"parts": [{"sku": f"S{n}", "quantity": 1} for n in range(51)]}, "parts", "invalid_field"),
        ({"weight_grams": 5}, "weight_grams", "bundle_of_parts"),
        ({"hazardous": True}, "hazardous", "bundle_of_parts"),
        (BACKORDER, "when_out_of_stock", "bundle_of_parts"),
        ({"parts": []}, "weight_grams", "missing_field"),
    ],
)
async def test_a_bundle_that_cannot_be_is_refused(api: Api, change: dict[str, Any], field: str, code: str) -> None:
    await api.http.put("/v1/skus/INNER", json={**SET, "parts": [{"sku": "MUG", "quantity": 1}]})
    response = await api.http.put("/v1/skus/SET", json={**SET, **change})
    told = response.json()
    assert (response.status_code, told["field"]) == (422, field)
    assert code in {told["code"], *(fault["code"] for fault in told["errors"])}
    assert (await api.http.get("/v1/skus/SET")).status_code == 404


async def test_a_sku_with_stock_cannot_become_a_bundle(api: Api) -> None:
    receipt = {**RECEIPT, "lines": [{"sku": "MUG", "quantity": 1}]}
    await api.http.post("/v1/stock/receipts", json=receipt)
    response = await api.http.put("/v1/skus/MUG", json={**SET, "parts": [{"sku": "KETTLE", "quantity": 1}]})
    assert (response.status_code, response.json()["code"]) == (409, "cannot_be_bundle")


async def test_a_sku_gets_stock_or_becomes_a_bundle_and_never_both(api: Api) -> None:
    for n in range(10):
        await api.http.put(f"/v1/skus/NEW-{n}", json=PLAIN)
        await api.http.put(f"/v1/stock/NEW-{n}/levels/EDI", json={"safety_stock": n % 2})
        receipt = {**RECEIPT, "reference": f"r{n}", "lines": [{"sku": f"NEW-{n}", "quantity": 1}]}
        received, bundled = await asyncio.gather(
            api.http.post("/v1/stock/receipts", json=receipt), api.http.put(f"/v1/skus/NEW-{n}", json=SET)
        )
        assert (received.status_code == 201) is (bundled.status_code == 409), (received.text, bundled.text)


async def test_a_sku_that_an_order_waits_for_cannot_become_a_bundle(api: Api) -> None:
    accepted = await api.place()
    async with api.database.transaction() as connection:
        await wait_for(connection, accepted["id"], "KETTLE", 2)
    response = await api.http.put("/v1/skus/KETTLE", json={**SET, "parts": [{"sku": "MUG", "quantity": 1}]})
    assert (response.status_code, response.json()["code"]) == (409, "cannot_be_bundle")


async def test_a_part_of_a_bundle_cannot_become_a_bundle(api: Api) -> None:
    await api.http.put("/v1/skus/SET", json=SET)
    response = await api.http.put("/v1/skus/MUG", json={**SET, "parts": [{"sku": "OLD-MUG", "quantity": 1}]})
    assert (response.status_code, response.json()["code"]) == (409, "cannot_be_bundle")
    assert "SET" in response.json()["detail"]


async def test_a_bundle_has_no_stock_of_its_own(api: Api) -> None:
    await api.http.put("/v1/skus/SET", json=SET)
    receipt = await api.http.post("/v1/stock/receipts", json=RECEIPT)
    limits = await api.http.put("/v1/stock/SET/levels/EDI", json={"safety_stock": 1})
    for response, field in ((receipt, "lines[0].sku"), (limits, "sku")):
        told = (response.status_code, response.json()["field"], response.json()["code"])
        assert told == (422, field, "bundle_without_stock")
    assert (await api.http.get("/v1/stock", params={"sku": "SET"})).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"when_out_of_stock": "hope"}, "when_out_of_stock"),
        ({**BACKORDER, "promise_cap": 0}, "promise_cap"),
        ({**BACKORDER, "promise_cap": None}, "promise_cap"),
        ({**BACKORDER, "restock_days": -1}, "restock_days"),
        ({**BACKORDER, "ships_on": "2026-12-01"}, "ships_on"),
        ({"promise_cap": 5}, "promise_cap"),
        ({"when_out_of_stock": "pre_order", "promise_cap": 5}, "ships_on"),
        ({"when_out_of_stock": "pre_order", "promise_cap": 5, "ships_on": "soon"}, "ships_on"),
        ({"when_out_of_stock": "pre_order", "ships_on": "2026-12-01"}, "promise_cap"),
    ],
)
async def test_promises_that_make_no_sense_are_refused(api: Api, change: dict[str, Any], field: str) -> None:
    response = await api.http.put("/v1/skus/LAMP", json={**PLAIN, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_what_may_be_promised_is_written_and_read(api: Api) -> None:
    written = (await api.http.put("/v1/skus/LAMP", json={**PLAIN, **BACKORDER})).json()
    assert {name: written[name] for name in BACKORDER} == BACKORDER
    assert written["ships_on"] is None
    plain = (await api.http.get("/v1/skus/MUG")).json()
    assert (plain["when_out_of_stock"], plain["promise_cap"], plain["restock_days"]) == ("deny", None, None)
