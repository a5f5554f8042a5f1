"""Cancelling through the API what has left: only where it is asked for, once for its key, and as it was shown."""

import asyncio
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from db.orders import Order
from db.returns import Return
from db.shipments import Fulfilment, FulfilmentLine
from domain.changes.wish import OrderChange
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.records import AT, close, fulfilment
from tests.api.test_changes import carries_out
from tests.api.test_returns import delivered

TAKE_BACK: dict[str, Any] = {"reason": "sold twice", "shipped": "return"}


async def cancel(api: Api, order: str, *, key: str | None = None, **body: Any) -> httpx2.Response:
    headers = {} if key is None else {"Idempotency-Key": key}
    return await api.http.post(f"/v1/orders/{order}/cancel", json={**TAKE_BACK, **body}, headers=headers)


async def previewed(api: Api, order: str, **body: Any) -> dict[str, Any]:
    answer = await api.http.post(f"/v1/orders/{order}/cancel/preview", json={**TAKE_BACK, **body})
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def shipped(api: Api, reference: str = "1001", status: str = "shipped") -> str:
    """An order of two kettles that are with the carrier."""
    order: str = (await api.place(reference))["id"]
    await fulfilment(api.database, order, status="handed_over")
    async with api.database.transaction() as connection:
        await connection.execute(update(Order).where(Order.id == order).values(status=status))
        await connection.execute(update(Fulfilment).values(handed_over_at=AT))
    return order


async def test_it_is_refused_unless_it_is_asked_for_and_the_refusal_says_how(api: Api) -> None:
    order = await shipped(api)
    for path in ("cancel", "cancel/preview"):
        refused = await api.http.post(f"/v1/orders/{order}/{path}", json={"reason": "sold twice"})
        assert (refused.status_code, refused.json()["code"]) == (409, "too_late")
        assert '"shipped": "return"' in refused.json()["detail"]
    assert (await api.http.get(f"/v1/orders/{order}/returns")).json()["items"] == []


@pytest.mark.parametrize("stage", ["shipped", "delivered"])
async def test_what_has_left_comes_back_by_a_return_that_was_shown(api: Api, stage: str) -> None:
    order = await (shipped(api) if stage == "shipped" else delivered(api, days_ago=400))
    if stage == "delivered":
        await close(api.database, order, "delivered")
    shown = await previewed(api, order)
    assert shown["returned"] == {"warehouse": "EDI", "lines": [{"line": 1, "sku": "KETTLE", "quantity": 2}]}
    assert (shown["mail"], shown["released"], shown["refunded"]) == ("return_approved", 0, 0)
    answer = (await cancel(api, order, key="a", version=shown["version"])).json()
    opened = (await api.http.get(answer["opened_return"]["url"])).json()
    assert (opened["number"], opened["status"], opened["label"]) == (
        answer["opened_return"]["number"],
        "approved",
        "wanted",
    )
    assert [(line["line"], line["quantity"]) for line in opened["lines"]] == [(1, 2)]
    assert (opened["reason"], opened["note"], opened["tell_customer"]) == ("order_cancelled", "sold twice", True)
    assert [one.id for one in api.returns.started] == [opened["id"]]
    assert (answer["status"], api.gateway.asked) == (stage, [])
    assert opened["number"] in answer["waiting"]


async def test_the_same_wish_gets_the_same_answer_and_another_one_is_told_who_was_first(api: Api) -> None:
    order = await shipped(api)
    version = (await previewed(api, order))["version"]
    first = await cancel(api, order, key="a", version=version)
    again = await cancel(api, order, key="a", version=version)
    assert (first.status_code, again.json()) == (200, first.json())
    number = first.json()["opened_return"]["number"]
    assert (await cancel(api, order)).json()["opened_return"]["number"] == number  # cancelling twice is one
    otherwise = await cancel(api, order, tell_customer=False)
    assert (otherwise.status_code, otherwise.json()["code"]) == (409, "order_moved")
    assert number in otherwise.json()["detail"]
    reused = await cancel(api, order, key="a", reason="lost")
    assert (reused.status_code, reused.json()["code"]) == (409, "idempotency_key_reused")
    late = await cancel(api, order, key="b", version=version)
    assert (late.status_code, late.json()["code"]) == (409, "order_moved")
    assert (await cancel(api, order, key="b")).json()["code"] == "conflict"
    assert len((await api.http.get(f"/v1/orders/{order}/returns")).json()["items"]) == 1


async def test_of_two_who_cancel_at_once_one_wins(api: Api) -> None:
    order = await shipped(api)
    version = (await previewed(api, order))["version"]
    answers = await asyncio.gather(*(cancel(api, order, key=key, version=version) for key in "ab"))
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert len((await api.http.get(f"/v1/orders/{order}/returns")).json()["items"]) == 1


async def test_once_its_return_is_withdrawn_it_can_be_cancelled_again(api: Api) -> None:
    order = await delivered(api)
    for number in (1, 2):
        assert (await cancel(api, order)).json()["opened_return"]
        assert len((await api.http.get(f"/v1/orders/{order}/returns")).json()["items"]) == number
        async with api.database.transaction() as connection:
            await connection.execute(update(Return).values(status="withdrawn"))


@pytest.mark.parametrize(("field", "value"), [("restock", False), ("refund", 100)])
async def test_what_an_inspection_decides_is_refused_with_what_to_do_instead(api: Api, field: str, value: Any) -> None:
    order = await shipped(api)
    refused = await cancel(api, order, **{field: value})
    assert (refused.status_code, refused.json()["field"]) == (409, field)
    assert f"leave out `{field}`" in refused.json()["detail"]


async def test_who_may_only_cancel_may_not_take_back(api: Api) -> None:
    order = await shipped(api)
    clerk = await api.key(Scope.ORDERS_WRITE)
    refused = await api.http.post(f"/v1/orders/{order}/cancel", json=TAKE_BACK, headers=clerk)
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
    assert "returns:write" in refused.json()["detail"]


async def test_an_order_that_is_still_here_is_just_cancelled(api: Api) -> None:
    accepted = await api.place()
    assert (await previewed(api, accepted["id"]))["returned"] is None
    answer = (await cancel(api, accepted["id"])).json()
    assert (answer["status"], answer["opened_return"]) == ("cancelling", None)
    assert len(api.gateway.asked) == 1


async def test_of_what_has_left_in_part_one_change_takes_out_the_rest_and_opens_the_return(api: Api) -> None:
    order = await shipped(api, status="partly_shipped")
    async with api.database.transaction() as connection:  # for the other one no place has been found yet
        await connection.execute(update(FulfilmentLine).values(quantity=1))
    shown = await previewed(api, order, tell_customer=False)
    assert (shown["returned"]["lines"], shown["mail"]) == ([{"line": 1, "sku": "KETTLE", "quantity": 1}], None)
    carries_out(api)
    answer = await cancel(api, order, key="a", version=shown["version"], tell_customer=False)
    assert answer.status_code == 200, answer.text
    [(_, change, _)] = api.gateway.asked
    assert isinstance(change, OrderChange)
    assert [(edit.line, edit.quantity) for edit in change.edits.lines] == [(1, 1)]
    assert change.tell_customer is False
    again = await cancel(api, order, key="a", version=shown["version"], tell_customer=False)
    assert (again.json(), len(api.gateway.asked)) == (answer.json(), 1)
