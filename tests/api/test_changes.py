"""Changes through the API: what is refused before the order is asked, what it is asked, and what is told of it."""

from typing import Any

import httpx2
import pytest

from activities.changes import ApplyChange, Changes
from domain.changes.wish import OrderChange
from domain.errors import NotFound, OrderMoved
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.records import AT, fulfilment

ONE = {"lines": [{"line": 1, "quantity": 1}]}
MOVE = {"shipping_service": "express"}
KEY = {"Idempotency-Key": "k-1"}


async def preview(api: Api, order: str, wish: dict[str, Any]) -> httpx2.Response:
    return await api.http.post(f"/v1/orders/{order}/changes/preview", json=wish)


async def previewed(api: Api, order: str, wish: dict[str, Any]) -> dict[str, Any]:
    """The body that makes it so."""
    response = await preview(api, order, wish)
    assert response.status_code == 200, response.text
    return {**wish, "version": response.json()["version"]}


async def change(api: Api, order: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    return await api.http.post(f"/v1/orders/{order}/changes", json=body, headers=headers)


def carries_out(api: Api) -> None:
    """Let the order's workflow do what it does, where no parcel has to stand still."""

    async def write(order: str, wish: OrderChange) -> None:
        await Changes(api.database).apply(ApplyChange(order, wish, (), (), AT))

    api.gateway.changes = write


async def test_a_preview_changes_nothing_and_asks_nobody(api: Api) -> None:
    order = (await api.place())["id"]
    told = (await preview(api, order, MOVE)).json()
    assert told["said"] == "The order was changed: express instead of standard."
    assert told["promised_after"] < told["promised_before"]
    assert (await api.http.get(f"/v1/orders/{order}")).json()["version"] == 1
    assert api.gateway.asked == []


async def test_a_change_reaches_the_order_with_its_basis_and_whose_key_it_was(api: Api) -> None:
    carries_out(api)
    order = (await api.place())["id"]
    body = {**await previewed(api, order, MOVE), "reason": "ticket 7"}
    response = await change(api, order, body, **KEY)
    assert response.status_code == 200, response.text
    told = response.json()
    assert (told["order_version"], told["made_by"], told["reason"]) == (2, "api:test shop", "ticket 7")
    ((_, wish, key),) = api.gateway.asked
    assert isinstance(wish, OrderChange)
    assert (wish.basis.version, wish.edits.shipping_service) == (1, "express")
    assert key.startswith(f"change:{told['id']}:")


async def test_the_same_change_again_is_answered_from_the_record(api: Api) -> None:
    carries_out(api)
    order = (await api.place())["id"]
    body = await previewed(api, order, MOVE)
    answers = [await change(api, order, body) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert len(api.gateway.asked) == 1
    other = await change(api, order, {**body, "reason": "another"}, **KEY)
    assert (other.status_code, other.json()["code"]) == (409, "order_moved")
    assert "api:test shop: The order was changed: express instead of standard." in other.json()["detail"]


async def test_a_key_makes_one_change(api: Api) -> None:
    carries_out(api)
    order = (await api.place())["id"]
    body = await previewed(api, order, MOVE)
    assert (await change(api, order, body, **KEY)).status_code == 200
    other = await change(api, order, {**body, "shipping_service": "economy"}, **KEY)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("wish", "status", "code", "field"),
    [
        ({}, 422, "invalid_change", None),
        ({"lines": [{"line": 9, "quantity": 1}]}, 422, "invalid_change", "lines[0].line"),
        ({"add": [{"sku": "MOP", "quantity": 1, "unit_price": 1}]}, 422, "unknown_sku", "add[0].sku"),
        (
            {"payment": {"provider": "moon", "method": "x"}, "shipping_charge": 9},
            422,
            "invalid_change",
            "payment.provider",
        ),
        ({"pay_until": "2020-01-01T00:00:00Z", "shipping_charge": 9}, 422, "invalid_change", "pay_until"),
        ({"shipping_service": "teleport"}, 422, "invalid_field", "shipping_service"),
        ({"lines": [{"line": 1, "quantity": 0}]}, 409, "conflict", None),
        ({"add": [{"sku": "MUG"}]}, 422, "missing_field", "add[0].quantity"),
    ],
)
async def test_what_cannot_be_is_refused_by_the_preview(
    api: Api, wish: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    order = (await api.place())["id"]
    refused = await preview(api, order, wish)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (status, code, field)


async def test_an_order_that_has_moved_is_not_even_asked(api: Api) -> None:
    order = (await api.place())["id"]
    body = await previewed(api, order, MOVE)
    for stale in ("nonsense", "1.1la.0.0.0.1714642561.a"):
        refused = await change(api, order, {**body, "version": stale})
        assert refused.json()["code"] in {"invalid_change", "order_moved"}
    await fulfilment(api.database, order)
    refused = await change(api, order, body)
    assert (refused.status_code, refused.json()["code"]) == (409, "order_moved")
    assert "Parcel 1" in refused.json()["detail"]
    assert api.gateway.asked == []


async def test_what_the_order_itself_refuses_is_told(api: Api) -> None:
    order = (await api.place())["id"]
    body = await previewed(api, order, MOVE)
    api.gateway.refusals += [OrderMoved("Parcel 1 has left."), NotFound("running workflow of the order", order)]
    answers = [await change(api, order, body) for _ in range(2)]
    assert [answer.json()["code"] for answer in answers] == ["order_moved", "unavailable"]


async def test_versions_are_compared_with_each_other(api: Api) -> None:
    carries_out(api)
    order = (await api.place())["id"]
    (placed,) = (await api.http.get(f"/v1/orders/{order}/versions")).json()["items"]
    assert (placed["number"], placed["made_by"], placed["differences"]) == (1, "api:test shop", [])
    for wish in (MOVE, {"shipping_service": "economy"}):
        assert (await change(api, order, await previewed(api, order, wish))).status_code == 200
    _, second, third = (await api.http.get(f"/v1/orders/{order}/versions")).json()["items"]
    assert {"field": "shipping_service", "before": "express", "after": "economy"} in third["differences"]
    items = (await api.http.get(f"/v1/orders/{order}/versions", params={"against": 1})).json()["items"]
    assert items[0]["differences"] == []
    assert {"field": "shipping_service", "before": "standard", "after": "economy"} in items[2]["differences"]
    assert second["content"]["shipping_service"] == "express"
    assert (await api.http.get(f"/v1/orders/{order}/versions", params={"against": 4})).status_code == 404


async def test_reading_is_enough_for_a_preview_and_not_for_a_change(api: Api) -> None:
    order = (await api.place())["id"]
    body = await previewed(api, order, MOVE)
    api.http.headers.update(await api.key(Scope.ORDERS_READ))
    assert (await preview(api, order, MOVE)).status_code == 200
    assert (await change(api, order, body)).status_code == 403
