"""Returns by the API: what is taken and what is not, who may, and what the workflows are told."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from db.shipments import Fulfilment
from domain.errors import NotFound, Unavailable
from domain.identity import Scope
from domain.returns import ReturnWish
from tests.api.conftest import Api
from tests.api.records import fulfilment


async def delivered(api: Api, reference: str = "1001", *, days_ago: int = 3) -> str:
    """An order of two kettles that have arrived."""
    order: str = (await api.place(reference))["id"]
    name = await fulfilment(api.database, order, status="delivered")
    at = datetime.now(UTC) - timedelta(days=days_ago)
    async with api.database.transaction() as connection:
        await connection.execute(update(Fulfilment).where(Fulfilment.id == name).values(delivered_at=at))
    return order


def wanted(units: int = 1, **more: Any) -> dict[str, Any]:
    return {"reference": "r-1", "reason": "changed_mind", "lines": [{"line": 1, "quantity": units}], **more}


async def asked(api: Api, order: str, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = await api.http.post(f"/v1/orders/{order}/returns", json=wanted(**more))
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_return_is_taken_once_for_its_reference_and_starts_its_workflow(api: Api) -> None:
    order = await delivered(api)
    made = await asked(api, order)
    again = await asked(api, order, 200)
    assert (made["id"], made["status"], made["label"]) == (again["id"], "approved", "wanted")
    assert [opened.id for opened in api.returns.started] == [made["id"]]
    assert (await asked(api, order, 409, reason="damaged"))["code"] == "idempotency_key_reused"
    assert (await asked(api, order, 422, reference=None))["field"] == "reference"
    (listed,) = (await api.http.get(f"/v1/orders/{order}/returns")).json()["items"]
    assert (await api.http.get("/v1/returns", params={"status": "approved"})).json()["items"] == [listed]
    assert (await api.http.get(f"/v1/returns/{made['number']}")).json() == made
    timeline = (await api.http.get(f"/v1/orders/{order}")).json()["timeline"]
    assert timeline[-1]["kind"] == "return_requested"


@pytest.mark.parametrize(
    ("rule", "days_ago", "code"),
    [({"days": 10}, 11, "return_window_over"), ({"not_returnable": ["KETTLE"]}, 1, "not_returnable")],
)
async def test_what_the_rules_forbid_takes_a_reason_and_a_scope(
    api: Api, rule: dict[str, Any], days_ago: int, code: str
) -> None:
    await api.http.put("/v1/return-rules", json={"rules": [rule]})
    order = await delivered(api, days_ago=days_ago)
    assert (await asked(api, order, 409))["code"] == code
    clerk = await api.key(Scope.RETURNS_WRITE)
    body = wanted(override="A good customer.")
    refused = await api.http.post(f"/v1/orders/{order}/returns", json=body, headers=clerk)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    taken = await asked(api, order, override="A good customer.")
    assert (taken["override"], taken["rules_version"]) == ("A good customer.", 1)
    assert (await asked(api, order, 409, reference="r-2", units=2, override="x"))["code"] == "more_than_delivered"


async def test_what_was_not_delivered_cannot_be_returned(api: Api) -> None:
    order = (await api.place())["id"]
    await fulfilment(api.database, order, status="handed_over")
    refused = await asked(api, order, 409)
    assert [fault["field"] for fault in refused["errors"]] == ["lines[0].quantity"]
    assert (await asked(api, await delivered(api, "2"), 422, lines=[{"line": 7, "quantity": 1}]))["field"] == (
        "lines[0].line"
    )
    assert (await asked(api, await delivered(api, "3"), 422, warehouse="MOON"))["field"] == "warehouse"
    assert (await api.http.post("/v1/orders/nobody/returns", json=wanted())).status_code == 404


async def test_while_temporal_is_away_it_is_taken_and_started_by_the_first_wish(api: Api) -> None:
    order = await delivered(api)
    api.returns.away = Unavailable("away")
    made = await asked(api, order, reason="other")
    assert (made["status"], api.returns.started) == ("requested", [])
    api.returns.away = None
    api.returns.refusals = [NotFound("running workflow of the return", made["id"])]
    assert (await api.http.post(f"/v1/returns/{made['id']}/approve")).status_code == 200
    ((name, wish, _),) = api.returns.asked
    assert (name, wish, len(api.returns.started)) == (made["id"], ReturnWish("api:test shop"), 1)


async def test_who_may_ask_may_not_book_what_arrives(api: Api) -> None:
    made = await asked(api, await delivered(api))
    desk, dock = await api.key(Scope.RETURNS_WRITE), await api.key(Scope.STOCK_WRITE)
    receipt = {"reference": "dock", "lines": [{"line": 1, "quantity": 1}]}
    path = f"/v1/returns/{made['id']}"
    assert (await api.http.post(f"{path}/receipts", json=receipt, headers=desk)).status_code == 403
    assert (await api.http.post(f"{path}/receipts", json=receipt, headers=dock)).status_code == 200
    assert (await api.http.post(f"{path}/withdraw", headers=dock)).status_code == 403
