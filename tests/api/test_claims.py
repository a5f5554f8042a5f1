"""Claims and exchanges by the API: what is taken and what is not, who may, and what the workflows are told."""

import asyncio
from typing import Any

import pytest

from domain.claims import ClaimApproval, ClaimWish, Remedy
from domain.errors import NotFound, Unavailable
from domain.exchanges import ExchangeWish
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.test_returns import delivered


def wanted(units: int = 1, **more: Any) -> dict[str, Any]:
    return {"reference": "c-1", "kind": "damaged", "evidence": "Dented.", "lines": [{"line": 1, "quantity": units}]} | (
        more
    )


async def claimed(api: Api, order: str, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = await api.http.post(f"/v1/orders/{order}/claims", json=wanted(**more))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_claim_is_taken_once_for_its_reference_and_starts_its_workflow(api: Api) -> None:
    order = await delivered(api)
    made = await claimed(api, order, photos=["https://help.example/1.jpg"])
    again = await claimed(api, order, 200, photos=["https://help.example/1.jpg"])
    assert (made["id"], made["status"], made["waiting"]["on"]) == (again["id"], "requested", "operator")
    assert [opened.id for opened in api.claims.started] == [made["id"]]
    assert (await claimed(api, order, 409, kind="lost"))["code"] == "idempotency_key_reused"
    beyond = await claimed(api, order, 409, reference="c-2", units=9)
    assert (beyond["code"], [fault["field"] for fault in beyond["errors"]]) == (
        "more_than_shipped",
        ["lines[0].quantity"],
    )
    assert (await claimed(api, order, 422, reference="c-3", lines=[{"line": 7, "quantity": 1}]))["field"] == (
        "lines[0].line"
    )
    assert (await claimed(api, order, 422, photos=["javascript:alert(1)"]))["field"] == "photos[0]"
    timeline = (await api.http.get(f"/v1/orders/{order}")).json()["timeline"]
    assert (timeline[-1]["kind"], timeline[-1]["link"]) == ("claim_requested", f"/v1/claims/{made['id']}")


async def test_claims_are_listed_by_status_kind_and_name_in_pages(api: Api) -> None:
    order, other = await delivered(api), await delivered(api, "2")
    first = await claimed(api, order)
    second = await claimed(api, other, kind="lost")
    page = (await api.http.get("/v1/claims", params={"limit": 1})).json()
    assert [one["id"] for one in page["items"]] == [second["id"]]
    rest = (await api.http.get("/v1/claims", params={"cursor": page["next_cursor"]})).json()
    assert ([one["id"] for one in rest["items"]], rest["next_cursor"]) == ([first["id"]], None)
    for params in ({"kind": "damaged"}, {"search": first["number"].lower()}, {"search": first["order_number"]}):
        found = (await api.http.get("/v1/claims", params=params)).json()["items"]
        assert [one["id"] for one in found] == [first["id"]], params
    (mine,) = (await api.http.get(f"/v1/orders/{order}/claims")).json()["items"]
    assert mine["id"] == first["id"]
    assert (await api.http.get("/v1/claims", params={"status": "closed"})).json()["items"] == []


async def test_who_makes_claims_may_not_decide_them(api: Api) -> None:
    made = await claimed(api, await delivered(api))
    desk, chief = await api.key(Scope.CLAIMS_WRITE), await api.key(Scope.CLAIMS_DECIDE)
    path = f"/v1/claims/{made['id']}"
    body = {"remedy": "replacement", "shipping_service": "express"}
    assert (await api.http.post(f"{path}/approve", json=body, headers=desk)).status_code == 403
    assert (await api.http.post(f"{path}/approve", json=body, headers=chief)).status_code == 200
    assert (await api.http.post(f"{path}/withdraw", headers=chief)).status_code == 403
    ((name, wish, _),) = api.claims.asked
    assert (name, wish) == (
        made["id"],
        ClaimApproval("api:test shop", Remedy.REPLACEMENT, shipping_service="express"),
    )


async def test_while_temporal_is_away_a_claim_is_taken_and_started_by_the_first_wish(api: Api) -> None:
    api.claims.away = Unavailable("away")
    made = await claimed(api, await delivered(api))
    assert api.claims.started == []
    api.claims.away = None
    api.claims.refusals = [NotFound("running workflow of the claim", made["id"])]
    refused = await api.http.post(f"/v1/claims/{made['id']}/refuse", json={"reason": "It was signed for."})
    assert refused.status_code == 200
    ((_, wish, _),) = api.claims.asked
    assert (wish, len(api.claims.started)) == (ClaimWish("api:test shop", "It was signed for."), 1)


def swap(**more: Any) -> dict[str, Any]:
    return {
        "reference": "x-1",
        "reason": "does_not_fit",
        "lines": [{"line": 1, "quantity": 1}],
        "goods": [{"sku": "MUG", "quantity": 2, "unit_price": 4000}],
        "payment": {"provider": "stripe", "method": "pm_card_visa"},
    } | more


async def test_an_exchange_is_a_return_and_what_is_sent_for_it(api: Api) -> None:
    order = await delivered(api)
    path = f"/v1/orders/{order}/exchanges"
    made = (await api.http.post(path, json=swap())).json()
    assert (await api.http.post(path, json=swap())).json() == made
    assert (made["status"], made["total"], made["credit"], made["returned"]["status"]) == (
        "waiting",
        8000,
        None,
        "approved",
    )
    assert [opened.id for opened in api.returns.started] == [made["returned"]["id"]]
    assert [opened.id for opened in api.exchanges.started] == [made["id"]]
    assert (await api.http.post(path, json=swap(reason="other"))).json()["code"] == "idempotency_key_reused"
    found = (await api.http.get("/v1/exchanges", params={"search": made["returned"]["number"]})).json()["items"]
    assert [one["id"] for one in found] == [made["id"]]
    (await api.http.post(f"/v1/exchanges/{made['number']}/withdraw", json={"reason": "No."})).raise_for_status()
    assert [wish for _, wish, _ in api.exchanges.asked] == [ExchangeWish("api:test shop", "No.")]


@pytest.mark.parametrize(
    ("more", "status", "field"),
    [
        ({"goods": [{"sku": "OLD-MUG", "quantity": 1, "unit_price": 1}]}, 422, "goods[0].sku"),
        ({"goods": [{"sku": "MUG", "quantity": 1, "unit_price": 0}]}, 422, "goods"),
        ({"payment": {"provider": "paypal", "method": "x"}}, 422, "payment.provider"),
        ({"shipping_service": "rocket"}, 422, "shipping_service"),
        ({"lines": [{"line": 1, "quantity": 9}]}, 409, "lines[0].quantity"),
    ],
)
async def test_of_an_exchange_that_cannot_be_nothing_is_written(
    api: Api, more: dict[str, Any], status: int, field: str
) -> None:
    order = await delivered(api)
    refused = await api.http.post(f"/v1/orders/{order}/exchanges", json=swap(**more))
    assert (refused.status_code, refused.json()["field"]) == (status, field)
    for kind in ("exchanges", "returns"):
        assert (await api.http.get(f"/v1/orders/{order}/{kind}")).json()["items"] == []


async def test_an_exchange_needs_its_scope_and_overriding_the_rules_another(api: Api) -> None:
    order = await delivered(api, days_ago=400)
    clerk = await api.key(Scope.EXCHANGES_WRITE)
    path = f"/v1/orders/{order}/exchanges"
    nobody = await api.http.post(path, json=swap(), headers=await api.key(Scope.RETURNS_WRITE))
    assert nobody.status_code == 403
    assert (await api.http.post(path, json=swap(), headers=clerk)).json()["code"] == "return_window_over"
    assert (await api.http.post(path, json=swap(override="x"), headers=clerk)).status_code == 403
    assert (await api.http.post(path, json=swap(override="A good customer."))).status_code == 201


async def test_of_several_who_want_the_same_units_at_once_one_gets_them(api: Api) -> None:
    order = await delivered(api)
    both = {"lines": [{"line": 1, "quantity": 2}]}
    claims = [wanted(2, reference=f"c-{number}") for number in range(3)]
    returns = [{"reference": f"r-{number}", "reason": "changed_mind", **both} for number in range(3)]
    asked = [api.http.post(f"/v1/orders/{order}/claims", json=body) for body in claims]
    asked += [api.http.post(f"/v1/orders/{order}/returns", json=body) for body in returns]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [201, *[409] * 5]
