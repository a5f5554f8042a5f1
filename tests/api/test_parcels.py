"""What is done with parcels, through the API: what is refused before the order is asked, and who may do what."""

from typing import Any

import httpx2

from activities.changes import ApplyChange, Changes
from db import stock
from domain.changes.wish import OrderChange
from domain.identity import Scope
from domain.stock import MovementKind, ReservationStatus
from tests.api.conftest import Api
from tests.api.records import AT, fulfilment

SPLIT = {"lines": [{"line": 1, "quantity": 1}]}
SHORT = {**SPLIT, "reason": "damaged", "rest": "drop"}
KEY = {"Idempotency-Key": "k-1"}


async def packed(api: Api) -> str:
    """A labelled fulfilment of two kettles, whose order's workflow does what it does; its id."""
    order = (await api.place())["id"]
    part = await fulfilment(api.database, order)
    held = {"id": "r1", "order_id": order, "line": 1, "sku": "KETTLE", "warehouse": "EDI", "quantity": 2, "round": 1}
    moves = [
        stock.Change("in", "KETTLE", "EDI", MovementKind.RECEIVED, 5, 0, "in", "a test"),
        stock.Change("held", "KETTLE", "EDI", MovementKind.RESERVED, 0, 2, "in", "a test"),
    ]
    async with api.database.transaction() as connection:
        await stock.ensure_levels(connection, [("KETTLE", "EDI")])
        await stock.move(connection, moves)
        await stock.add_reservations(connection, [{**held, "status": ReservationStatus.COMMITTED.value}])
        await connection.exec_driver_sql("UPDATE orders SET status = 'fulfilling'")

    async def write(_: str, wish: OrderChange) -> None:
        await Changes(api.database).apply(ApplyChange(order, wish, (part,), (part,), AT))

    api.gateway.changes = write
    return part


async def ask(api: Api, part: str, deed: str, body: dict[str, Any], **headers: str) -> httpx2.Response:
    return await api.http.post(f"/v1/fulfilments/{part}/{deed}", json=body, headers=headers)


async def previewed(api: Api, part: str, deed: str, body: dict[str, Any]) -> dict[str, Any]:
    response = await ask(api, part, f"{deed}/preview", body)
    assert response.status_code == 200, response.text
    return {**body, "version": response.json()["version"]}


async def test_the_same_split_again_is_answered_from_the_record_and_its_key_serves_nothing_else(api: Api) -> None:
    part = await packed(api)
    body = await previewed(api, part, "split", SPLIT)
    answers = [await ask(api, part, "split", body, **KEY) for _ in range(2)]
    assert answers[0].status_code == 200, answers[0].text
    assert answers[0].json() == answers[1].json()
    assert len(api.gateway.asked) == 1
    assert [(d["sku"], d["quantity"]) for d in answers[0].json()["divided"]] == [("KETTLE", 1)]
    other = await ask(api, part, "split", {**body, "reason": "another"}, **KEY)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    late = await ask(api, part, "short-ship", {**SHORT, "version": body["version"]})
    assert (late.status_code, late.json()["code"]) == (409, "order_moved")
    assert "Parcel 1 was split: 1 × KETTLE" in late.json()["detail"]


async def test_what_is_missing_is_dropped_by_those_who_may_change_orders(api: Api) -> None:
    part = await packed(api)
    body = await previewed(api, part, "short-ship", SHORT)
    everything = api.http.headers["authorization"]
    api.http.headers.update(await api.key(Scope.FULFILMENTS_WRITE))
    refused = await ask(api, part, "short-ship", body)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    api.http.headers["authorization"] = everything
    told = (await ask(api, part, "short-ship", body)).json()
    assert (told["money"]["credited"], told["shelves"][0]["damaged_after"]) == (6615, 1)
    rejected = (await api.http.get("/v1/rejections")).json()["items"]
    assert [(one["rest"], one["reason"]) for one in rejected] == [("drop", "damaged")]


async def test_what_is_not_in_the_parcel_is_refused_by_the_preview(api: Api) -> None:
    part = await packed(api)
    for deed, body, status, code, field in (
        ("split", {"lines": [{"line": 9, "quantity": 1}]}, 422, "invalid_change", "lines[0].line"),
        ("short-ship", {**SHORT, "reason": "too_busy"}, 422, "invalid_field", "reason"),
        ("move", {"warehouse": "MOON"}, 422, "invalid_change", "warehouse"),
        ("move", {}, 409, "not_in_stock", None),
    ):
        refused = await ask(api, part, f"{deed}/preview", body)
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (status, code, field)
    assert (await ask(api, "nothing", "split/preview", SPLIT)).status_code == 404
