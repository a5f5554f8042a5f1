"""What may be sold in a channel."""

from typing import Any

import pytest

from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.records import wait_for
from tests.api.test_bundles import BACKORDER, PLAIN, SET

RENO = {
    "name": "Reno",
    "address": {
        "street1": "9460 N Virginia St",
        "city": "Reno",
        "state": "NV",
        "postal_code": "89506",
        "country": "US",
    },
}


async def receive(api: Api, sku: str, units: int, *, at: str = "EDI") -> None:
    body = {"warehouse": at, "reference": f"{sku}-{at}", "lines": [{"sku": sku, "quantity": units}]}
    assert (await api.http.post("/v1/stock/receipts", json=body)).status_code == 201


async def sellable(api: Api, sku: str, **wanted: Any) -> dict[str, Any]:
    response = await api.http.get("/v1/stock/sellable", params={"sku": sku, **wanted})
    assert response.status_code == 200, response.text
    (found,) = response.json()["items"]
    return dict(found)


async def test_safety_stock_and_what_others_wait_for_is_not_sold(api: Api) -> None:
    await receive(api, "KETTLE", 10)
    await api.http.put("/v1/stock/KETTLE/levels/EDI", json={"safety_stock": 2})
    accepted = await api.place()
    async with api.database.transaction() as connection:
        await wait_for(connection, accepted["id"], "KETTLE", 3, queue="backorder")
    found = await sellable(api, "KETTLE")
    assert (found["units"], found["more"], found["sellable"]) == (5, 0, 5)
    assert found["warehouses"] == [{"warehouse": "EDI", "units": 5}]


async def test_what_may_be_promised_is_told_beside_what_is_there(api: Api) -> None:
    await api.http.put("/v1/skus/MUG", json={**PLAIN, **BACKORDER})
    await receive(api, "MUG", 3)
    found = await sellable(api, "MUG")
    assert (found["units"], found["more"], found["sellable"]) == (3, 5, 8)
    assert found["expected_at"] is not None


async def test_a_bundle_is_sold_as_often_as_its_parts_allow(api: Api) -> None:
    await api.http.put("/v1/skus/SET", json=SET)
    await receive(api, "KETTLE", 4)
    await receive(api, "MUG", 5)
    found = await sellable(api, "SET")
    assert (found["bundle"], found["units"], found["warehouses"]) == (True, 2, [{"warehouse": "EDI", "units": 2}])


async def test_a_channel_sells_only_what_lies_where_its_rules_let_it_ship_from(api: Api) -> None:
    await api.http.put("/v1/warehouses/RNO", json=RENO)
    await receive(api, "MUG", 3)
    await receive(api, "MUG", 4, at="RNO")
    exclusions = [{"warehouse": "EDI"}, {"warehouse": "RNO", "country": "CA"}]
    rules = {
        "channel": "market",
        "name": "Reno only",
        "rules": [{"kind": "excluded_regions", "exclusions": exclusions}, {"kind": "priority"}],
    }
    drafted = await api.http.post("/v1/routing/rule-sets", json=rules)
    assert drafted.status_code == 201, drafted.text
    await api.http.post(f"/v1/routing/rule-sets/{drafted.json()['id']}/activate")
    assert (await sellable(api, "MUG", channel="market"))["units"] == 4
    assert (await sellable(api, "MUG", channel="market", country="CA"))["units"] == 0
    assert (await sellable(api, "MUG", channel="webshop"))["units"] == 7


async def test_hazardous_goods_are_sold_where_they_may_be_shipped(api: Api) -> None:
    await api.http.put("/v1/skus/MUG", json={**PLAIN, "hazardous": True})
    await receive(api, "MUG", 3)
    assert (await sellable(api, "MUG"))["units"] == 0


async def test_what_is_sold_is_paged_by_code(api: Api) -> None:
    first = (await api.http.get("/v1/stock/sellable", params={"limit": 1})).json()
    more = (await api.http.get("/v1/stock/sellable", params={"cursor": first["next_cursor"]})).json()
    assert [item["sku"] for item in first["items"] + more["items"]] == ["KETTLE", "MUG"]


@pytest.mark.parametrize(
    ("wanted", "field"),
    [({"country": "XX"}, "country"), ({"postal_code": "04101"}, "country"), ({"cursor": "nonsense"}, "cursor")],
)
async def test_a_question_that_makes_no_sense_is_refused(api: Api, wanted: dict[str, str], field: str) -> None:
    response = await api.http.get("/v1/stock/sellable", params=wanted)
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_only_who_may_read_stock_is_told(api: Api) -> None:
    stranger = await api.key(Scope.ORDERS_READ)
    for path in ("sellable", "queues", "queues/backorder"):
        assert (await api.http.get(f"/v1/stock/{path}", headers=stranger)).status_code == 403
