"""Comparisons of ledgers by the API, and decisions about differences."""

from typing import Any

import pytest

from db import exceptions, ledger, money_checks
from domain.errors import Unavailable
from domain.identity import Scope
from domain.orders import derived_id
from tests.api.conftest import Api
from tests.api.records import AT, close, payment


async def difference(api: Api, order_id: str, facts: dict[str, Any], *actions: str) -> str:
    """An exception as the comparison opens it."""
    name = derived_id(order_id, "exception:money")
    row = {
        "id": name,
        "order_id": order_id,
        "fulfilment_id": None,
        "kind": "money_differs",
        "reason": "Ledger and provider disagree.",
        "actions": list(actions),
        "facts": facts,
        "opened_at": AT,
    }
    async with api.database.transaction() as connection:
        await exceptions.open_again(connection, row)
        await exceptions.refresh_attention(connection, order_id)
    return name


async def test_a_comparison_can_be_asked_for(api: Api) -> None:
    response = await api.http.post("/v1/ledger/checks")
    assert (response.status_code, response.json()) == (202, {"asked": True, "results": "/v1/ledger/checks"})
    assert api.money.compared == [None]


async def test_while_temporal_is_away_no_comparison_can_be_asked_for(api: Api) -> None:
    api.money.refusals.append(Unavailable("Temporal does not answer right now."))
    response = await api.http.post("/v1/ledger/checks")
    assert (response.status_code, response.json()["code"]) == (503, "unavailable")


async def test_the_newest_comparison_is_the_first(api: Api) -> None:
    async with api.database.transaction() as connection:
        for n in range(3):
            await money_checks.keep_count(connection, f"night-{n}", orders=n, differences=0, busy=0, done=n < 2)
    ids, cursor = [], None
    while True:
        params = {"limit": "2"} | ({"cursor": cursor} if cursor else {})
        page = (await api.http.get("/v1/ledger/checks", params=params)).json()
        ids += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert sorted(ids) == ["night-0", "night-1", "night-2"]


@pytest.mark.parametrize("params", [{"limit": "0"}, {"limit": "x"}, {"cursor": "!"}, {"cursor": "WyJ4Il0"}])
async def test_a_list_that_is_asked_for_badly_says_what_is_wrong(api: Api, params: dict[str, str]) -> None:
    response = await api.http.get("/v1/ledger/checks", params=params)
    assert response.status_code == 422
    assert response.json()["field"] == next(iter(params))


@pytest.mark.parametrize(("method", "scope"), [("GET", Scope.LEDGER_WRITE), ("POST", Scope.LEDGER_READ)])
async def test_reading_and_running_have_scopes_of_their_own(api: Api, method: str, scope: Scope) -> None:
    response = await api.http.request(method, "/v1/ledger/checks", headers=await api.key(scope))
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


async def test_a_difference_of_an_open_order_is_decided_on_the_record(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"])
    facts = {"captured": {"ledger": 0, "provider": 14020}, "held": {"ledger": 14020, "provider": 0}}
    name = await difference(api, accepted["id"], facts, "retry", "adopt", "skip")
    shown = (await api.http.get(f"/v1/exceptions/{name}")).json()
    assert shown["facts"] == facts
    response = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": "adopt", "note": "Seen."})
    assert response.status_code == 200, response.text
    assert api.gateway.asked == []
    async with api.database.reading() as connection:
        now = await ledger.balance_now(connection, accepted["id"])
    assert (now.captured, now.held, now.owed) == (14020, 0, 0)
    again = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": "adopt"})
    assert again.status_code == 200
    async with api.database.reading() as connection:
        assert await ledger.balance_now(connection, accepted["id"]) == now


async def test_to_compare_again_leaves_it_open_until_both_agree(api: Api) -> None:
    accepted = await api.place()
    facts = {"captured": {"ledger": 0, "provider": 14020}}
    name = await difference(api, accepted["id"], facts, "retry", "adopt", "skip")
    response = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": "retry"})
    assert response.status_code == 200
    assert api.money.compared == [accepted["id"]]
    assert (await api.http.get(f"/v1/exceptions/{name}")).json()["status"] == "open"


async def test_what_is_not_paid_of_a_closed_order_is_written_off(api: Api) -> None:
    accepted = await api.place()
    await close(api.database, accepted["id"], "delivered")
    name = await difference(api, accepted["id"], {"owed": {"ledger": 14020, "provider": 0}}, "write_off", "skip")
    response = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": "write_off"})
    assert response.status_code == 200, response.text
    money = (await api.http.get(f"/v1/orders/{accepted['id']}")).json()["money"]
    assert (money["written_off"], money["owed"]) == (14020, 14020)


async def test_numbers_that_moved_meanwhile_are_refused(api: Api) -> None:
    accepted = await api.place()
    name = await difference(api, accepted["id"], {"held": {"ledger": 0, "provider": 5}}, "retry", "adopt")
    await payment(api.database, accepted["id"])
    response = await api.http.post(f"/v1/exceptions/{name}/resolve", json={"action": "adopt"})
    assert (response.status_code, response.json()["code"]) == (409, "conflict")
