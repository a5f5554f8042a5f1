"""Holds and hold rules, as callers see them."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.projections import hold_row
from db import holds
from domain.errors import TooLate
from domain.holds import Hold, HoldReason, ReleaseHold
from domain.identity import Scope
from tests.api.conftest import Api, order_body
from tests.api.records import close

RULE = {"kind": "total_over", "reason": "fraud", "amount": 10000, "currency": "USD"}


async def held(api: Api, order: str, name: str = "1", **more: Any) -> str:
    """A hold as the workflow writes it."""
    hold = Hold(f"hold-{name}", HoldReason.OPERATOR, "api:test shop", datetime.now(UTC), **more)
    async with api.database.transaction() as connection:
        await holds.place(connection, [hold_row(order, hold)])
    return hold.id


async def test_a_hold_reaches_the_order_once_for_its_key(api: Api) -> None:
    accepted = await api.place()
    url, body = f"/v1/orders/{accepted['number']}/holds", {"reason": "address", "note": "Which floor?"}
    response = await api.http.post(url, json=body, headers={"Idempotency-Key": "a"})
    assert response.status_code == 404  # nobody has written it down: this gateway only remembers
    ((order, hold, key),) = api.gateway.asked
    assert isinstance(hold, Hold)
    assert (order, hold.reason, hold.note, hold.by) == (accepted["id"], "address", "Which floor?", "api:test shop")
    assert key == f"hold:{hold.id}"
    async with api.database.transaction() as connection:
        await holds.place(connection, [hold_row(accepted["id"], hold)])
    again = await api.http.post(url, json=body, headers={"Idempotency-Key": "a"})
    assert (again.status_code, again.json()["id"], again.json()["status"]) == (201, hold.id, "standing")
    other = await api.http.post(url, json={**body, "note": "Which door?"}, headers={"Idempotency-Key": "a"})
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert len(api.gateway.asked) == 1


async def test_an_order_shows_its_holds_and_lists_show_them_with_their_order(api: Api) -> None:
    accepted = await api.place()
    await held(api, accepted["id"])
    await held(api, accepted["id"], "2", until=datetime.now(UTC) - timedelta(seconds=1))
    first, second = (await api.http.get(accepted["links"]["self"])).json()["holds"]
    assert [first["status"], second["status"]] == ["standing", "released"]
    (item,) = (await api.http.get("/v1/holds")).json()["items"]
    assert (item["id"], item["order_number"]) == ("hold-1", accepted["number"])
    (ended,) = (await api.http.get("/v1/holds", params={"status": "released"})).json()["items"]
    assert ended["released_at"] == ended["until"]
    assert (await api.http.get("/v1/holds", params={"reason": "fraud"})).json()["items"] == []
    assert (await api.http.get("/v1/holds/hold-1")).json() == item


async def test_holds_are_paged(api: Api) -> None:
    accepted = await api.place()
    for name in "123":
        await held(api, accepted["id"], name)
    first = (await api.http.get("/v1/holds", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/holds", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ["hold-1", "hold-2", "hold-3"]


async def test_a_release_reaches_the_order_under_the_name_of_who_agrees(api: Api) -> None:
    accepted = await api.place()
    hold = await held(api, accepted["id"])
    response = await api.http.post(f"/v1/holds/{hold}/release", json={"note": "fine"})
    assert response.status_code == 200
    wish = ReleaseHold(hold, "api:test shop", "fine")
    assert api.gateway.asked == [(accepted["id"], wish, f"release:{hold}:api:test shop")]


async def test_agreeing_again_changes_nothing_and_a_released_hold_cannot_be_released(api: Api) -> None:
    accepted = await api.place()
    mine, gone = await held(api, accepted["id"]), await held(api, accepted["id"], "2")
    async with api.database.transaction() as connection:
        at = datetime.now(UTC)
        await holds.approve(connection, mine, by="api:test shop", note="", at=at, released=False)
        await holds.approve(connection, gone, by="somebody else", note="", at=at, released=True)
    again = await api.http.post(f"/v1/holds/{mine}/release")
    assert (again.status_code, [entry["by"] for entry in again.json()["approved"]]) == (200, ["api:test shop"])
    assert (await api.http.post(f"/v1/holds/{gone}/release")).status_code == 409
    assert api.gateway.asked == []


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "reason"),
        ({"reason": "boredom"}, 422, "reason"),
        ({"reason": "fraud", "who": "me"}, 422, "who"),
        ({"reason": "fraud", "note": "x" * 1001}, 422, "note"),
        ({"reason": "fraud", "until": "2020-01-01T00:00:00Z"}, 422, "until"),
        ({"reason": "fraud", "until": "soon"}, 422, "until"),
        ({"reason": "fraud", "fulfilment_id": "nobody-knows"}, 422, "fulfilment_id"),
    ],
)
async def test_a_hold_that_cannot_be_names_what_is_wrong(api: Api, body: Any, status: int, field: str) -> None:
    accepted = await api.place()
    response = await api.http.post(f"/v1/orders/{accepted['id']}/holds", json=body)
    problem = response.json()
    assert response.status_code == status
    assert field in {problem["field"], *(error["field"] for error in problem["errors"])}
    assert api.gateway.asked == []


async def test_what_is_closed_refuses_or_is_not_there_cannot_be_held(api: Api) -> None:
    accepted, other = await api.place(), await api.place("1002")
    assert (await api.http.post("/v1/orders/WB-9/holds", json={"reason": "fraud"})).status_code == 404
    assert (await api.http.post("/v1/holds/no-such/release")).status_code == 404
    api.gateway.refusals.append(TooLate("Nothing is left to do that a hold could stop."))
    assert (await api.http.post(f"/v1/orders/{other['id']}/holds", json={"reason": "fraud"})).status_code == 409
    await close(api.database, accepted["id"], "delivered")
    response = await api.http.post(f"/v1/orders/{accepted['id']}/holds", json={"reason": "fraud"})
    assert (response.status_code, response.json()["code"]) == (409, "too_late")


async def test_holds_and_rules_have_scopes_of_their_own(api: Api) -> None:
    accepted = await api.place()
    hold = await held(api, accepted["id"])
    header = await api.key(Scope.ORDERS_READ, Scope.ORDERS_WRITE)
    for method, url, body in (
        ("POST", f"/v1/orders/{accepted['id']}/holds", {"reason": "fraud"}),
        ("POST", f"/v1/holds/{hold}/release", {}),
        ("PUT", "/v1/hold-rules", {"rules": []}),
    ):
        response = await api.http.request(method, url, json=body, headers=header)
        assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


async def test_rules_hold_orders_from_their_placement_on(api: Api) -> None:
    assert (await api.http.get("/v1/hold-rules")).json()["version"] == 0
    put = await api.http.put("/v1/hold-rules", json={"rules": [RULE]})
    assert (put.status_code, put.json()["version"], put.json()["made_by"]) == (200, 1, "api:test shop")
    accepted = await api.place()
    order = (await api.http.get(accepted["links"]["self"])).json()
    (hold,) = order["holds"]
    assert (hold["reason"], hold["note"]) == ("fraud", "the total is over 100.00 USD")
    assert hold["placed_by"] == "hold rules, version 1"
    assert "Held: fraud hold (the total is over 100.00 USD)." in [entry["text"] for entry in order["timeline"]]
    (placed,) = api.gateway.started
    assert [held.id for held in placed.holds] == [hold["id"]]


async def test_the_order_that_is_one_too_many_is_held_also_when_all_come_at_once(api: Api) -> None:
    rule = {"kind": "velocity", "reason": "fraud", "orders": 3, "hours": 1}
    await api.http.put("/v1/hold-rules", json={"rules": [rule]})
    accepted = await asyncio.gather(*(api.place(str(number)) for number in range(5)))
    found = [(await api.http.get(order["links"]["self"])).json()["holds"] for order in accepted]
    assert sorted(len(holds) for holds in found) == [0, 0, 0, 1, 1]


async def test_only_the_first_order_of_a_customer_is_held_as_a_first_order(api: Api) -> None:
    rule = {"kind": "first_order_over", "reason": "fraud", "amount": 100, "currency": "USD"}
    await api.http.put("/v1/hold-rules", json={"rules": [rule]})
    first, second = await api.place("1"), await api.place("2")
    assert len((await api.http.get(first["links"]["self"])).json()["holds"]) == 1
    assert (await api.http.get(second["links"]["self"])).json()["holds"] == []
    await close(api.database, first["id"], "cancelled")
    await close(api.database, second["id"], "expired")
    third = await api.place("3")
    assert len((await api.http.get(third["links"]["self"])).json()["holds"]) == 1


async def test_billed_here_and_shipped_there_is_held(api: Api) -> None:
    await api.http.put("/v1/hold-rules", json={"rules": [{"kind": "country_mismatch", "reason": "fraud"}]})
    abroad, home = await api.place("1", billing_country="NG"), await api.place("2", billing_country="US")
    (hold,) = (await api.http.get(abroad["links"]["self"])).json()["holds"]
    assert hold["note"] == "billed in NG, shipped to US"
    assert (await api.http.get(home["links"]["self"])).json()["holds"] == []
    refused = await api.http.post("/v1/orders", json=order_body("3", billing_country="XX"))
    assert (refused.status_code, refused.json()["field"]) == (422, "billing_country")


async def test_an_address_to_be_verified_is_given_to_the_workflow(api: Api) -> None:
    rules = [{"kind": "address_unverified", "reason": "address", "channels": ["webshop"]}]
    await api.http.put("/v1/hold-rules", json={"rules": rules})
    await api.place()
    await api.place("1002", channel="market")
    asked, not_asked = api.gateway.started
    assert asked.address_hold is not None
    assert (asked.holds, not_asked.address_hold) == ((), None)


async def test_versions_are_kept_and_two_people_do_not_overwrite_each_other(api: Api) -> None:
    await api.http.put("/v1/hold-rules", json={"rules": [RULE], "replaces": 0})
    late = await api.http.put("/v1/hold-rules", json={"rules": [], "replaces": 0})
    assert (late.status_code, late.json()["field"]) == (409, "replaces")
    await api.http.put("/v1/hold-rules", json={"rules": [], "replaces": 1})
    page = (await api.http.get("/v1/hold-rules/versions", params={"limit": 1})).json()
    rest = (await api.http.get("/v1/hold-rules/versions", params={"cursor": page["next_cursor"]})).json()
    assert [item["version"] for item in page["items"] + rest["items"]] == [2, 1]
    assert (await api.http.get("/v1/hold-rules/versions/1")).json() == rest["items"][0]
    assert (await api.http.get("/v1/hold-rules/versions/3")).status_code == 404


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"kind": "total_over", "reason": "fraud"}, "rules[0].amount"),
        ({**RULE, "amount": -1}, "rules[0].amount"),
        ({**RULE, "amount": 10**13}, "rules[0].amount"),
        ({**RULE, "currency": "XXY"}, "rules[0].currency"),
        ({**RULE, "hours": 3}, "rules[0].hours"),
        ({"kind": "velocity", "reason": "fraud", "orders": 0, "hours": 1}, "rules[0].orders"),
        ({"kind": "guess", "reason": "fraud"}, "rules[0].kind"),
    ],
)
async def test_a_rule_that_cannot_be_names_what_is_wrong(api: Api, rule: Any, field: str) -> None:
    response = await api.http.put("/v1/hold-rules", json={"rules": [rule]})
    problem = response.json()
    assert response.status_code == 422
    assert field in {problem["field"], *(error["field"] for error in problem["errors"])}
    assert (await api.http.get("/v1/hold-rules")).json()["version"] == 0


async def test_rules_are_tried_on_the_newest_orders_before_they_are_in_force(api: Api) -> None:
    await api.place("1")
    second = await api.place("2")
    rules = [{"kind": "velocity", "reason": "fraud", "orders": 1, "hours": 1}]
    tried = (await api.http.post("/v1/hold-rules/try", json={"rules": rules, "last": 10})).json()
    assert (tried["orders"], [item["order_number"] for item in tried["held"]]) == (2, [second["number"]])
    assert (await api.http.get("/v1/hold-rules")).json()["version"] == 0


async def test_customers_do_not_read_what_people_decide_among_themselves(api: Api) -> None:
    await api.http.put("/v1/hold-rules", json={"rules": [RULE]})
    accepted = await api.place()
    page = f"/orders/{accepted['id']}"
    inside = (await api.http.get(page)).text
    request = api.http.build_request("GET", accepted["links"]["page"])
    del request.headers["authorization"]
    outside = (await api.http.send(request)).text
    assert "fraud hold" in inside
    assert "fraud" not in outside
