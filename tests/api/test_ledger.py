"""An order's ledger by the API."""

import pytest

from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.records import payment


async def test_an_orders_ledger_shows_its_entries_accounts_and_what_follows(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"])
    shown = (await api.http.get(f"/v1/orders/{accepted['number']}/ledger")).json()
    assert [(e["kind"], e["debit"], e["credit"], e["amount"]) for e in shown["entries"]] == [
        ("invoiced", "customer", "sales", 14020),
        ("authorised", "holds", "promises", 14020),
    ]
    assert (shown["money"]["authorised"], shown["money"]["paid"], shown["money"]["owed"]) == ("full", "none", 14020)
    assert sum(a["balance"] for a in shown["accounts"]) == 0
    assert sum(a["debits"] for a in shown["accounts"]) == sum(a["credits"] for a in shown["accounts"]) == 2 * 14020


async def test_an_order_tells_what_its_ledger_comes_to(api: Api) -> None:
    accepted = await api.place()
    shown = (await api.http.get(f"/v1/orders/{accepted['id']}")).json()
    assert shown["money"] == (await api.http.get(f"/v1/orders/{accepted['id']}/ledger")).json()["money"]


async def test_the_orders_page_says_how_much_is_paid(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"], status="captured", authorised=0, captured=14020)
    page = await api.http.get(f"/orders/{accepted['id']}")
    assert '<dd data-paid="full">In full</dd>' in page.text


@pytest.mark.parametrize("order", ["WB-1", "nothing", "x" * 65, "%00"])
async def test_an_order_that_is_not_there_has_no_ledger(api: Api, order: str) -> None:
    response = await api.http.get(f"/v1/orders/{order}/ledger")
    assert response.status_code in {400, 404, 422}
    assert response.headers["content-type"] == "application/problem+json"


async def test_reading_the_ledger_needs_the_scope_for_orders(api: Api) -> None:
    accepted = await api.place()
    response = await api.http.get(f"/v1/orders/{accepted['id']}/ledger", headers=await api.key(Scope.STOCK_READ))
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
