"""Routing rules: drafted, tried, simulated, activated; and what they decide."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from activities.stock import Reserve, StockKeeper
from db.orders import Order
from domain.identity import Scope
from tests.api.conftest import Api, order_body

RULES: dict[str, Any] = {
    "channel": "webshop",
    "name": "Nearest first",
    "rules": [{"kind": "ships_complete"}, {"kind": "nearest"}, {"kind": "priority"}],
}
RENO: dict[str, Any] = {
    "name": "Reno",
    "address": {"street1": "5300 Mill St", "city": "Reno", "state": "NV", "postal_code": "89502", "country": "US"},
    "priority": 0,
}
REGIONS = {
    "maine": {"country": "US", "prefixes": ["04"], "latitude": 43.7, "longitude": -70.3},
    "new-jersey": {"country": "US", "prefixes": ["08"], "latitude": 40.5, "longitude": -74.4},
    "nevada": {"country": "US", "prefixes": ["89"], "latitude": 39.5, "longitude": -119.8},
}
PREVIEW: dict[str, Any] = {
    "channel": "webshop",
    "shipping_address": order_body()["shipping_address"],
    "lines": [{"sku": "KETTLE", "quantity": 2}],
}


async def furnish(api: Api) -> None:
    """Two warehouses with kettles, and the regions in which they and the customer are."""
    assert (await api.http.put("/v1/warehouses/RNO", json=RENO)).status_code == 201
    for warehouse in ("EDI", "RNO"):
        receipt = {"warehouse": warehouse, "reference": warehouse, "lines": [{"sku": "KETTLE", "quantity": 5}]}
        assert (await api.http.post("/v1/stock/receipts", json=receipt)).status_code == 201
    for region, body in REGIONS.items():
        assert (await api.http.put(f"/v1/routing/regions/{region}", json=body)).status_code == 200


async def draft(api: Api, **changes: Any) -> dict[str, Any]:
    response = await api.http.post("/v1/routing/rule-sets", json={**RULES, **changes})
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def activate(api: Api, id: str) -> int:
    return (await api.http.post(f"/v1/routing/rule-sets/{id}/activate")).status_code


async def preview(api: Api, **changes: Any) -> dict[str, Any]:
    response = await api.http.post("/v1/routing/preview", json={**PREVIEW, **changes})
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def reserve(api: Api, order_id: str) -> None:
    """The order is routed, as its workflow does it."""
    placed = next(p for p in api.gateway.started if p.id == order_id)
    at = placed.placed_at + timedelta(seconds=2)
    wish = Reserve(order_id, 1, placed.request.lines, placed.request.shipping_address, at, at + timedelta(hours=1))
    assert (await StockKeeper(api.database).reserve(wish)).allocations


async def test_until_rules_are_activated_those_that_come_along_decide(api: Api) -> None:
    await furnish(api)
    await draft(api)
    decision = (await preview(api))["decision"]
    assert (decision["warehouses"], decision["rule_set"], decision["version"]) == (["RNO"], None, 0)


async def test_activated_rules_decide_for_their_channel_and_for_no_other(api: Api) -> None:
    await furnish(api)
    rules = await draft(api)
    assert await activate(api, rules["id"]) == 200
    decision = (await preview(api))["decision"]
    assert (decision["warehouses"], decision["rule_set"], decision["version"]) == (["EDI"], rules["id"], 1)
    assert decision["decided_by"] == "nearest"
    assert decision["sentences"][1].startswith("RNO: 2nd by distance (")
    assert (await preview(api, channel="market"))["decision"]["warehouses"] == ["RNO"]


async def test_rules_for_every_channel_serve_those_without_their_own(api: Api) -> None:
    await furnish(api)
    general = await draft(api, channel=None)
    own = await draft(api, rules=[{"kind": "priority"}])
    await activate(api, general["id"])
    await activate(api, own["id"])
    assert (await preview(api, channel="market"))["decision"]["rule_set"] == general["id"]
    assert (await preview(api))["decision"]["rule_set"] == own["id"]


async def test_a_draft_can_be_tried_before_it_is_activated_and_nothing_is_reserved(api: Api) -> None:
    await furnish(api)
    rules = await draft(api)
    found = await preview(api, rule_set=rules["id"])
    assert found["decision"]["warehouses"] == ["EDI"]
    assert found["promised_at"] is not None
    levels = (await api.http.get("/v1/stock")).json()["items"]
    assert [level["reserved"] for level in levels] == [0, 0]


async def test_the_body_of_an_order_can_be_previewed_as_it_is(api: Api) -> None:
    await furnish(api)
    response = await api.http.post("/v1/routing/preview", json=order_body())
    assert (response.status_code, response.json()["decision"]["warehouses"]) == (200, ["RNO"])


async def test_one_version_is_in_force_and_the_one_before_is_retired_for_good(api: Api) -> None:
    first, second = await draft(api), await draft(api)
    assert (first["version"], second["version"]) == (1, 2)
    assert [await activate(api, id) for id in (first["id"], first["id"], second["id"])] == [200, 200, 200]
    listed = (await api.http.get("/v1/routing/rule-sets", params={"channel": "webshop"})).json()["items"]
    assert [item["status"] for item in listed] == ["retired", "active"]
    response = await api.http.post(f"/v1/routing/rule-sets/{first['id']}/activate")
    assert (response.status_code, response.json()["code"]) == (409, "conflict")


async def test_of_versions_activated_at_once_exactly_one_is_in_force(api: Api) -> None:
    made = await asyncio.gather(*(draft(api) for _ in range(4)))
    assert sorted(item["version"] for item in made) == [1, 2, 3, 4]
    assert await asyncio.gather(*(activate(api, item["id"]) for item in made)) == [200] * 4
    active = (await api.http.get("/v1/routing/rule-sets", params={"status": "active"})).json()["items"]
    assert len(active) == 1


async def test_rule_sets_and_regions_are_paged(api: Api) -> None:
    await furnish(api)
    for _ in range(3):
        await draft(api)
    for path, name, expected in (("rule-sets", "version", [1, 2, 3]), ("regions", "region", sorted(REGIONS))):
        first = (await api.http.get(f"/v1/routing/{path}", params={"limit": 2})).json()
        rest = (await api.http.get(f"/v1/routing/{path}", params={"cursor": first["next_cursor"]})).json()
        assert [item[name] for item in first["items"] + rest["items"]] == expected
        assert rest["next_cursor"] is None


async def test_an_order_names_the_version_that_routed_it_and_tells_why_each_loser_lost(api: Api) -> None:
    await furnish(api)
    rules = await draft(api)
    await activate(api, rules["id"])
    order_id = (await api.place())["id"]
    before = (await api.http.get(f"/v1/orders/{order_id}/routing")).json()
    assert (before["decision"], before["sentences"]) == (None, [])
    await reserve(api, order_id)
    routing = (await api.http.get(f"/v1/orders/{order_id}/routing")).json()
    order = (await api.http.get(f"/v1/orders/{order_id}")).json()
    assert routing["decision"]["rule_set"] == order["rule_set_id"] == rules["id"]
    assert routing["sentences"] == routing["decision"]["sentences"] == order["routing"]
    assert [(c["warehouse"], c["fate"]) for c in routing["decision"]["candidates"]] == [
        ("EDI", "chosen"),
        ("RNO", "outranked"),
    ]
    assert (await api.http.get("/v1/orders/no-such/routing")).status_code == 404


async def test_a_warehouse_that_is_full_for_today_takes_no_more_orders(api: Api) -> None:
    await furnish(api)
    await api.http.put("/v1/warehouses/RNO", json={**RENO, "capacity_per_day": 1})
    rules = await draft(api, rules=[{"kind": "capacity_per_day"}, {"kind": "priority"}])
    await activate(api, rules["id"])
    first, second = (await api.place("1"))["id"], (await api.place("2"))["id"]
    await reserve(api, first)
    await reserve(api, second)
    told = [(await api.http.get(f"/v1/orders/{id}/routing")).json()["decision"] for id in (first, second)]
    assert [decision["warehouses"] for decision in told] == [["RNO"], ["EDI"]]
    assert told[1]["candidates"][-1]["reason"] == "RNO: is full for today (1 of 1 orders)."


async def test_hazardous_goods_ship_only_from_where_they_may(api: Api) -> None:
    await furnish(api)
    sku = (await api.http.get("/v1/skus/KETTLE")).json()
    body = {name: sku[name] for name in sku if name not in {"sku", "created_at", "updated_at"}}
    await api.http.put("/v1/skus/KETTLE", json={**body, "hazardous": True})
    decision = (await preview(api))["decision"]
    assert decision["warehouses"] == []
    assert decision["sentences"][0] == "No warehouse that may ship has 2 of KETTLE."
    await api.http.put("/v1/warehouses/RNO", json={**RENO, "hazardous_allowed": True})
    assert (await preview(api))["decision"]["warehouses"] == ["RNO"]


async def test_a_simulation_tells_what_would_have_been_otherwise(api: Api) -> None:
    await furnish(api)
    await api.http.put("/v1/warehouses/RNO", json={**RENO, "handling_days": 3})
    rules = await draft(api)
    for reference in ("1", "2", "3"):
        await api.place(reference)
    response = await api.http.post(f"/v1/routing/rule-sets/{rules['id']}/simulate", json={"last": 2})
    assert response.status_code == 200, response.text
    found = response.json()
    assert (found["rule_set"], found["against"], found["stock"]) == (rules["id"], None, "unlimited")
    assert (found["changed"], found["promised_earlier"], found["promised_later"]) == (2, 2, 0)
    assert (found["draft"]["orders"], found["draft"]["split_rate"]) == (2, 0)
    assert found["draft"]["mean_km"] < 600 < 3000 < found["active"]["mean_km"]
    assert found["draft"]["costs"] == []


async def test_a_simulation_with_the_stock_of_now_finds_orders_short(api: Api) -> None:
    await furnish(api)
    rules = await draft(api)
    await api.place("1", lines=[{"sku": "KETTLE", "quantity": 7, "unit_price": 100}], total=1490)
    await api.place("2", lines=[{"sku": "KETTLE", "quantity": 70, "unit_price": 100}], total=7790)
    found = (await api.http.post(f"/v1/routing/rule-sets/{rules['id']}/simulate", json={"stock": "now"})).json()
    assert (found["draft"]["short"], found["draft"]["split"], found["draft"]["split_rate"]) == (1, 1, 1.0)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{"kind": "nearest"}, {"kind": "nearest"}]}, "rules"),
        ({"rules": [{"kind": "by the moon"}]}, "rules[0].kind"),
        ({"rules": [{"kind": "excluded_regions"}]}, "rules[0]"),
        ({"rules": [{"kind": "nearest", "exclusions": [{"country": "US"}]}]}, "rules[0]"),
        (
            {"rules": [{"kind": "excluded_regions", "exclusions": [{"country": "XX"}]}]},
            "rules[0].exclusions[0].country",
        ),
        (
            {"rules": [{"kind": "excluded_regions", "exclusions": [{"country": "US", "warehouse": "NO"}]}]},
            "rules[0].exclusions[0].warehouse",
        ),
        ({"split_above": -1, "currency": "USD"}, "split_above"),
        ({"split_above": 10**15, "currency": "USD"}, "split_above"),
        ({"split_above": 5, "currency": "EUX"}, "currency"),
        ({"split_above": 5}, None),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_rules_that_cannot_be_are_refused(api: Api, change: dict[str, Any], field: str | None) -> None:
    response = await api.http.post("/v1/routing/rule-sets", json={**RULES, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert (await api.http.get("/v1/routing/rule-sets")).json()["items"] == []


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"lines": []}, 422, "lines"),
        ({"lines": [{"sku": "NO-SUCH", "quantity": 1}]}, 422, "lines[0].sku"),
        ({"lines": [{"sku": "KETTLE", "quantity": -1}]}, 422, "lines[0].quantity"),
        ({"lines": [{"sku": "KETTLE", "quantity": 10**12}]}, 422, "lines[0].quantity"),
        ({"shipping_service": "by pigeon"}, 422, "shipping_service"),
        ({"currency": "EUX"}, 422, "currency"),
        ({"rule_set": "no-such"}, 404, None),
    ],
)
async def test_a_preview_that_cannot_be_is_refused(
    api: Api, change: dict[str, Any], status: int, field: str | None
) -> None:
    response = await api.http.post("/v1/routing/preview", json={**PREVIEW, **change})
    assert (response.status_code, response.json()["field"]) == (status, field)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"latitude": 91}, "latitude"),
        ({"longitude": -181}, "longitude"),
        ({"prefixes": []}, "prefixes"),
        ({"prefixes": ["0 4"]}, "prefixes[0]"),
        ({"country": "XX"}, "country"),
        ({"prefixes": ["08"]}, "prefixes"),
    ],
)
async def test_a_region_that_cannot_be_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    await api.http.put("/v1/routing/regions/new-jersey", json=REGIONS["new-jersey"])
    response = await api.http.put("/v1/routing/regions/maine", json={**REGIONS["maine"], **change})
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_a_region_can_be_changed_and_taken_out(api: Api) -> None:
    for prefixes in (["04"], ["04", "05"]):
        await api.http.put("/v1/routing/regions/maine", json={**REGIONS["maine"], "prefixes": prefixes})
    (region,) = (await api.http.get("/v1/routing/regions")).json()["items"]
    assert region["prefixes"] == ["04", "05"]
    assert (await api.http.delete("/v1/routing/regions/maine")).status_code == 204
    assert (await api.http.delete("/v1/routing/regions/maine")).status_code == 404


@pytest.mark.parametrize("last", [0, 201, "all"])
async def test_a_simulation_of_too_many_orders_or_none_is_refused(api: Api, last: Any) -> None:
    rules = await draft(api)
    response = await api.http.post(f"/v1/routing/rule-sets/{rules['id']}/simulate", json={"last": last})
    assert (response.status_code, response.json()["field"]) == (422, "last")


async def test_rules_that_do_not_exist_are_not_found(api: Api) -> None:
    for response in (
        await api.http.get("/v1/routing/rule-sets/no-such"),
        await api.http.post("/v1/routing/rule-sets/no-such/activate"),
        await api.http.post("/v1/routing/rule-sets/no-such/simulate", json={}),
    ):
        assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_who_may_only_read_the_catalogue_changes_no_rules(api: Api) -> None:
    rules, reader = await draft(api), await api.key(Scope.CATALOGUE_READ)
    assert (await api.http.get("/v1/routing/rule-sets", headers=reader)).status_code == 200
    for path in ("/v1/routing/rule-sets", f"/v1/routing/rule-sets/{rules['id']}/activate"):
        response = await api.http.post(path, json=RULES, headers=reader)
        assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"capacity_per_day": -1}, "capacity_per_day"),
        ({"cut_off": "25:00"}, "cut_off"),
        ({"cut_off": "15:00+02:00"}, "cut_off"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "../../etc/passwd"}, "time_zone"),
        ({"holidays": ["Christmas"]}, "holidays[0]"),
        ({"closed_weekdays": [8]}, "closed_weekdays[0]"),
        ({"closed_weekdays": [1, 2, 3, 4, 5, 6, 7]}, "closed_weekdays"),
        ({"handling_days": 61}, "handling_days"),
    ],
)
async def test_a_warehouse_that_could_not_work_so_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    response = await api.http.put("/v1/warehouses/RNO", json={**RENO, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_a_promise_is_made_at_acceptance_and_told_again_by_where_it_ships_from(api: Api) -> None:
    await furnish(api)
    await api.http.put("/v1/warehouses/RNO", json={**RENO, "handling_days": 3, "priority": 50})
    order_id = (await api.place())["id"]
    placed = next(p for p in api.gateway.started if p.id == order_id)
    assert placed.promised_at == placed.placed_at + timedelta(days=3 + 7)
    await reserve(api, order_id)
    promise = (await api.http.get(f"/v1/orders/{order_id}")).json()["promise"]
    assert promise["first"].startswith(f"{placed.promised_at:%Y-%m-%dT%H:%M}")
    assert promise["current"].startswith(f"{placed.placed_at + timedelta(days=1 + 7):%Y-%m-%dT%H:%M}")
    assert promise["standing"] == "within"


@pytest.mark.parametrize(("hours", "standing"), [(48, "within"), (5, "nearing"), (-1, "past")])
async def test_open_orders_are_listed_by_how_they_stand_to_their_promise(api: Api, hours: int, standing: str) -> None:
    order_id, closed = (await api.place("1"))["id"], (await api.place("2"))["id"]
    async with api.database.transaction() as connection:
        now = api.gateway.started[0].placed_at
        await connection.execute(update(Order).values(promised_first=now + timedelta(hours=hours)))
        await connection.execute(update(Order).where(Order.id == closed).values(closed_at=now))
    for wanted in ("within", "nearing", "past"):
        items = (await api.http.get("/v1/orders", params={"promise": wanted})).json()["items"]
        assert [item["id"] for item in items] == ([order_id] if wanted == standing else [])
    assert (await api.http.get(f"/v1/orders/{order_id}")).json()["promise"]["standing"] == standing


async def test_a_standing_that_there_is_not_is_refused(api: Api) -> None:
    response = await api.http.get("/v1/orders", params={"promise": "soon"})
    assert (response.status_code, response.json()["field"]) == (422, "promise")
