"""Alerts about stock, as the API shows and repairs them."""

from typing import Any

import pytest
from sqlalchemy import text

from db import stock_alerts
from domain.identity import Scope
from tests.api.conftest import Api


async def alerted(api: Api, *kinds: str, sku: str = "MUG") -> None:
    """Alerts are opened, one after the other."""
    for kind in kinds:
        alert = {"sku": sku, "warehouse": "EDI", "kind": kind, "reason": f"{sku} is {kind}.", "facts": {"available": 0}}
        async with api.database.transaction() as connection:
            await stock_alerts.open_alerts(connection, [alert])


async def listed(api: Api, **filters: Any) -> list[tuple[str, str]]:
    response = await api.http.get("/v1/stock/alerts", params=filters)
    assert response.status_code == 200, response.text
    return [(item["sku"], item["kind"]) for item in response.json()["items"]]


async def test_alerts_are_listed_oldest_first_by_what_one_looks_for(api: Api) -> None:
    await alerted(api, "low_stock", "out_of_stock")
    await alerted(api, "low_stock", sku="KETTLE")
    assert await listed(api) == [("MUG", "low_stock"), ("MUG", "out_of_stock"), ("KETTLE", "low_stock")]
    assert await listed(api, kind="low_stock", sku="MUG") == [("MUG", "low_stock")]
    assert await listed(api, status="resolved") == []
    assert await listed(api, warehouse="XXX") == []


async def test_an_alert_that_is_open_is_not_opened_again(api: Api) -> None:
    await alerted(api, "low_stock", "low_stock")
    assert await listed(api) == [("MUG", "low_stock")]


async def test_alerts_are_paged(api: Api) -> None:
    await alerted(api, "low_stock", "out_of_stock", "low_cover")
    first = (await api.http.get("/v1/stock/alerts", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/stock/alerts", params={"cursor": first["next_cursor"]})).json()
    assert [item["kind"] for item in first["items"] + rest["items"]] == ["low_stock", "out_of_stock", "low_cover"]
    assert rest["next_cursor"] is None


async def test_a_drift_is_repaired_once_and_by_whom_is_kept(api: Api) -> None:
    receipt = {"warehouse": "EDI", "reference": "1", "lines": [{"sku": "MUG", "quantity": 5}]}
    await api.http.post("/v1/stock/receipts", json=receipt)
    async with api.database.transaction() as connection:
        await connection.execute(text("UPDATE stock_levels SET on_hand = 8"))
    await alerted(api, "drift")
    (alert,) = (await api.http.get("/v1/stock/alerts")).json()["items"]
    path = f"/v1/stock/alerts/{alert['id']}"
    assert (await api.http.get(path)).json() == alert
    for trust in ("level", "movements"):
        answer = (await api.http.post(f"{path}/repair", json={"trust": trust, "note": "recounted"})).json()
        assert (answer["status"], answer["resolved_by"], answer["note"]) == ("resolved", "api:test shop", "recounted")
    newest = (await api.http.get("/v1/stock/MUG/movements")).json()["items"][0]
    assert (newest["kind"], newest["on_hand_change"], newest["on_hand_after"]) == ("corrected", 3, 8)
    assert newest["cause"] == f"drift:{alert['id']}"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nobody/repair", {"trust": "level"}, 404),
        ("{id}/repair", {"trust": "level"}, 409),
        ("{id}/repair", {"trust": "me"}, 422),
        ("{id}/repair", {}, 422),
    ],
)
async def test_a_repair_that_cannot_be_is_refused(api: Api, path: str, body: dict[str, Any], status: int) -> None:
    await alerted(api, "low_stock")
    (alert,) = (await api.http.get("/v1/stock/alerts")).json()["items"]
    response = await api.http.post(f"/v1/stock/alerts/{path.format(id=alert['id'])}", json=body)
    assert response.status_code == status


async def test_reading_alone_repairs_and_enters_nothing(api: Api) -> None:
    reader = await api.key(Scope.STOCK_READ)
    assert (await api.http.get("/v1/stock/alerts", headers=reader)).status_code == 200
    body = {"warehouse": "EDI", "reference": "1", "reason": "r", "lines": [{"sku": "MUG", "counted": 1}]}
    for path, sent in (("alerts/any/repair", {"trust": "level"}), ("counts", body)):
        response = await api.http.post(f"/v1/stock/{path}", json=sent, headers=reader)
        assert (response.status_code, response.json()["code"]) == (403, "missing_scope")


async def test_an_alert_that_is_not_there_is_not_found(api: Api) -> None:
    assert (await api.http.get("/v1/stock/alerts/nobody")).status_code == 404
