"""Counts, adjustments, write-offs, damage, returns, announcements, safety stock."""

from typing import Any

import pytest
from sqlalchemy import text

from api.schemas.stock_entries import MAX_LINES
from db import stock
from domain.stock import MovementKind
from tests.api.conftest import Api


async def enter(api: Api, what: str, reference: str = "r1", *, status: int = 201, **line: Any) -> dict[str, Any]:
    """One line about mugs in Edison."""
    body = {"warehouse": "EDI", "reference": reference, "reason": "because", "lines": [{"sku": "MUG", **line}]}
    response = await api.http.post(f"/v1/stock/{what}", json=body)
    assert response.status_code == status, response.text
    answer: dict[str, Any] = response.json()
    return answer


async def level(api: Api) -> dict[str, Any]:
    (item,) = (await api.http.get("/v1/stock", params={"sku": "MUG"})).json()["items"]
    found: dict[str, Any] = item
    return found


async def promise(api: Api, units: int) -> str:
    """An order holds units; its number."""
    order = await api.place("1")
    async with api.database.transaction() as connection:
        await stock.lock(connection, [("MUG", "EDI")])
        key = f"reserve:{order['id']}"
        change = stock.Change(key, "MUG", "EDI", MovementKind.RESERVED, 0, units, "order:1", "waybill")
        await stock.move(connection, [change])
        row = {"id": key, "order_id": order["id"], "line": 1, "sku": "MUG", "warehouse": "EDI", "round": 1}
        await stock.add_reservations(connection, [{**row, "quantity": units, "status": "committed"}])
    number: str = order["number"]
    return number


async def test_every_entry_moves_what_it_says_and_the_ledger_tells_why(api: Api) -> None:
    await enter(api, "announcements", change=30)
    await enter(api, "receipts", quantity=20, announced=True)
    await enter(api, "adjustments", change=-2)
    await enter(api, "damages", quantity=3)
    await enter(api, "mendings", quantity=1)
    await enter(api, "write-offs", quantity=2, damaged=True)
    await enter(api, "write-offs", "r2", quantity=1)
    await enter(api, "returns", quantity=2, damaged=True)
    await enter(api, "counts", counted=19)
    limits = {"safety_stock": 4, "low_at": 5, "reason": "Sells out."}
    await api.http.put("/v1/stock/MUG/levels/EDI", json=limits)
    found = await level(api)
    assert (found["on_hand"], found["damaged"], found["safety_stock"], found["incoming"]) == (19, 2, 4, 10)
    assert found["available"] == 19 - 2 - 4
    page = (await api.http.get("/v1/stock/MUG/movements", params={"warehouse": "EDI"})).json()["items"]
    story = [(m["kind"], m["on_hand_change"], m["on_hand_after"], m["damaged_after"]) for m in reversed(page)]
    assert story == [
        ("announced", 0, 0, 0),
        ("received", 20, 20, 0),
        ("adjusted", -2, 18, 0),
        ("damaged", 0, 18, 3),
        ("mended", 0, 18, 2),
        ("written_off", -2, 16, 0),
        ("written_off", -1, 15, 0),
        ("returned", 2, 17, 2),
        ("counted", 2, 19, 2),
        ("safety_set", 0, 19, 2),
    ]
    assert {(m["actor"], m["reason"]) for m in page[1:]} == {("api:test shop", "because")}
    assert [m["incoming_after"] for m in reversed(page)][:2] == [30, 10]


async def test_an_entry_counts_once_and_its_reference_for_nothing_else(api: Api) -> None:
    await enter(api, "counts", counted=7)
    await enter(api, "adjustments", change=2)
    await enter(api, "counts", status=200, counted=7)
    assert (await level(api))["on_hand"] == 9
    assert (await enter(api, "counts", status=409, counted=8))["code"] == "idempotency_key_reused"
    body = {"warehouse": "EDI", "lines": [{"sku": "MUG", "change": 1}], "reason": "found"}
    for status in (201, 200):
        response = await api.http.post("/v1/stock/adjustments", json=body, headers={"Idempotency-Key": "k"})
        assert response.status_code == status
    assert (await level(api))["on_hand"] == 10


async def test_what_is_promised_cannot_be_taken_away_but_a_count_below_it_is_believed(api: Api) -> None:
    await enter(api, "receipts", quantity=10)
    await promise(api, 6)
    refused = await enter(api, "adjustments", status=409, change=-5)
    assert (refused["code"], refused["field"]) == ("not_enough_units", "lines[0]")
    assert "of 10 on hand 6 are promised" in refused["detail"]
    assert (await enter(api, "write-offs", status=409, quantity=5))["code"] == "not_enough_units"
    assert (await level(api))["on_hand"] == 10
    (after,) = (await enter(api, "counts", counted=4))["levels"]
    assert (after["on_hand"], after["reserved"], after["available"], after["short"]) == (4, 6, 0, 2)
    (found,) = (await enter(api, "receipts", "late", quantity=5))["levels"]
    assert (found["on_hand"], found["available"], found["short"]) == (9, 3, 0)


async def test_all_lines_count_or_none_and_every_line_at_fault_is_named(api: Api) -> None:
    lines = [{"sku": "MUG", "change": 5}, {"sku": "KETTLE", "change": -1}, {"sku": "OLD-MUG", "change": -2}]
    body = {"warehouse": "EDI", "reference": "a", "reason": "r", "lines": lines}
    response = await api.http.post("/v1/stock/adjustments", json=body)
    assert (response.status_code, response.json()["code"]) == (409, "not_enough_units")
    assert [error["field"] for error in response.json()["errors"]] == ["lines[1]", "lines[2]"]
    unknown = [{"sku": "A", "change": 1}, {"sku": "MUG", "change": 1}, {"sku": "B", "change": 1}]
    response = await api.http.post("/v1/stock/adjustments", json={**body, "lines": unknown})
    assert (response.status_code, response.json()["code"]) == (422, "unknown_sku")
    assert [error["field"] for error in response.json()["errors"]] == ["lines[0].sku", "lines[2].sku"]
    assert (await api.http.get("/v1/stock")).json()["items"] == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("receipts", {"quantity": -1}),
        ("receipts", {"quantity": 10**7}),
        ("adjustments", {"change": 0}),
        ("adjustments", {"change": -(10**7)}),
        ("adjustments", {"change": 1.5}),
        ("counts", {"counted": -1}),
        ("counts", {"counted": 10**30}),
        ("write-offs", {"quantity": 0}),
        ("damages", {"quantity": "3"}),
        ("announcements", {"change": True}),
        ("returns", {"quantity": 1, "broken": True}),
    ],
)
async def test_a_line_that_cannot_be_is_refused(api: Api, what: str, line: dict[str, Any]) -> None:
    answer = await enter(api, what, status=422, **line)
    assert answer["field"].startswith("lines[0]")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"warehouse": "XXX"}, "warehouse"),
        ({"lines": [{"sku": "NO-SUCH", "change": 1}]}, "lines[0].sku"),
        ({"reason": ""}, "reason"),
        ({"reference": None}, "reference"),
        ({"lines": [{"sku": "MUG", "change": 1}] * 2}, "lines"),
    ],
)
async def test_an_entry_that_cannot_be_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    body = {"warehouse": "EDI", "reference": "a", "reason": "r", "lines": [{"sku": "MUG", "change": 1}]}
    response = await api.http.post("/v1/stock/adjustments", json={**body, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)


@pytest.mark.parametrize(
    ("what", "line", "says"),
    [
        ("write-offs", {"quantity": 1, "damaged": True}, "1 damaged units are not there: 0 are."),
        ("mendings", {"quantity": 1}, "1 damaged units are not there: 0 are."),
        ("damages", {"quantity": 6}, "5 whole ones are on hand."),
        ("announcements", {"change": -1}, "0 are announced."),
        ("adjustments", {"change": -6}, "which leaves 5."),
    ],
)
async def test_what_is_not_there_is_refused_with_what_is(api: Api, what: str, line: dict[str, Any], says: str) -> None:
    await enter(api, "receipts", quantity=5)
    assert says in (await enter(api, what, status=409, **line))["detail"]


async def test_a_delivery_of_thousands_of_lines_is_booked_whole(api: Api) -> None:
    """Also while the server takes the tables for as good as empty, and where it has such statements planned before."""
    await enter(api, "receipts", quantity=5)
    async with api.database.transaction() as connection:
        await connection.execute(text("ANALYZE skus, stock_levels, movements"))
        await connection.execute(
            text(
                "INSERT INTO skus (sku, name, weight_grams, length_mm, width_mm, height_mm, price, currency, active) "
                "SELECT 'S-' || n, 'Some', 1, 1, 1, 1, 1, 'USD', true FROM generate_series(1, :most) n"
            ),
            {"most": MAX_LINES},
        )
    lines = [{"sku": f"S-{n}", "quantity": n} for n in range(1, MAX_LINES + 1)]
    body = {"warehouse": "EDI", "reference": "big", "lines": lines}
    response = await api.http.post("/v1/stock/receipts", json=body)
    assert response.status_code == 201, response.text[:500]
    assert sum(row["on_hand"] for row in response.json()["levels"]) == sum(range(1, MAX_LINES + 1))
    assert (await api.http.post("/v1/stock/receipts", json=body)).status_code == 200


async def test_safety_stock_is_kept_back_and_what_is_promised_stays_promised(api: Api) -> None:
    await enter(api, "receipts", quantity=5)
    await promise(api, 4)
    limits: dict[str, Any] = {"safety_stock": 3}
    answer = (await api.http.put("/v1/stock/MUG/levels/EDI", json=limits)).json()
    assert (answer["reserved"], answer["safety_stock"], answer["available"]) == (4, 3, 0)
    again = await api.http.put("/v1/stock/MUG/levels/EDI", json=limits)
    assert again.json() == answer
    kinds = [m["kind"] for m in (await api.http.get("/v1/stock/MUG/movements")).json()["items"]]
    assert kinds.count("safety_set") == 1


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("NO-SUCH/levels/EDI", {"safety_stock": 1}, 404),
        ("MUG/levels/XXX", {"safety_stock": 1}, 404),
        ("MUG/levels/EDI", {"safety_stock": -1}, 422),
        ("MUG/levels/EDI", {"safety_stock": 0, "cover_days": 10**9}, 422),
    ],
)
async def test_limits_that_cannot_be_are_refused(api: Api, path: str, body: dict[str, Any], status: int) -> None:
    assert (await api.http.put(f"/v1/stock/{path}", json=body)).status_code == status
