"""Receipts, levels and movements."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Api

RECEIPT: dict[str, Any] = {
    "warehouse": "EDI",
    "reference": "ASN-1",
    "lines": [{"sku": "MUG", "quantity": 5}, {"sku": "KETTLE", "quantity": 20}],
}


async def level(api: Api, sku: str) -> int:
    (item,) = (await api.http.get("/v1/stock", params={"sku": sku})).json()["items"]
    on_hand: int = item["on_hand"]
    return on_hand


async def test_a_receipt_adds_units_and_says_why(api: Api) -> None:
    response = await api.http.post("/v1/stock/receipts", json=RECEIPT)
    assert response.status_code == 201
    levels = [(row["sku"], row["on_hand"], row["reserved"], row["available"]) for row in response.json()["levels"]]
    assert levels == [("KETTLE", 20, 0, 20), ("MUG", 5, 0, 5)]
    (movement,) = (await api.http.get("/v1/stock/KETTLE/movements")).json()["items"]
    assert (movement["kind"], movement["on_hand_change"]) == ("received", 20)
    assert (movement["cause"], movement["actor"]) == ("receipt:ASN-1", "api:test shop")


async def test_a_receipt_counts_once_however_often_it_is_sent(api: Api) -> None:
    responses = await asyncio.gather(*(api.http.post("/v1/stock/receipts", json=RECEIPT) for _ in range(10)))
    assert sorted(response.status_code for response in responses) == [200] * 9 + [201]
    assert await level(api, "KETTLE") == 20


@pytest.mark.parametrize(
    "lines",
    [
        [{"sku": "KETTLE", "quantity": 21}, {"sku": "MUG", "quantity": 5}],
        [{"sku": "KETTLE", "quantity": 20}],
        [{"sku": "OLD-MUG", "quantity": 1}],
        [*RECEIPT["lines"], {"sku": "OLD-MUG", "quantity": 1}],
    ],
    ids=["another quantity", "a line less", "another SKU", "a line more"],
)
async def test_a_reference_used_for_another_delivery_is_refused_whole(api: Api, lines: list[dict[str, Any]]) -> None:
    await api.http.post("/v1/stock/receipts", json=RECEIPT)
    response = await api.http.post("/v1/stock/receipts", json={**RECEIPT, "lines": lines})
    assert (response.status_code, response.json()["code"]) == (409, "idempotency_key_reused")
    assert await level(api, "KETTLE") == 20
    old = (await api.http.get("/v1/stock", params={"sku": "OLD-MUG"})).json()["items"]
    assert sum(item["on_hand"] for item in old) == 0


async def test_an_idempotency_key_stands_in_for_the_reference(api: Api) -> None:
    body = {**RECEIPT, "reference": None}
    missing = await api.http.post("/v1/stock/receipts", json=body)
    assert (missing.status_code, missing.json()["field"]) == (422, "reference")
    for status in (201, 200):
        response = await api.http.post("/v1/stock/receipts", json=body, headers={"Idempotency-Key": "k1"})
        assert response.status_code == status
    assert await level(api, "MUG") == 5


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"warehouse": "XXX"}, "warehouse"),
        ({"lines": [{"sku": "NO-SUCH", "quantity": 1}]}, "lines[0].sku"),
        ({"lines": [{"sku": "MUG", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": [{"sku": "MUG", "quantity": 1}, {"sku": "MUG", "quantity": 2}]}, "lines"),
        ({"lines": []}, "lines"),
    ],
)
async def test_a_receipt_that_cannot_be_is_refused(api: Api, change: dict[str, Any], field: str) -> None:
    response = await api.http.post("/v1/stock/receipts", json={**RECEIPT, **change})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert (await api.http.get("/v1/stock")).json()["items"] == []


async def test_levels_and_movements_are_paged(api: Api) -> None:
    for number in range(3):
        await api.http.post("/v1/stock/receipts", json={**RECEIPT, "reference": f"r{number}"})
    levels = (await api.http.get("/v1/stock", params={"limit": 1})).json()
    more = (await api.http.get("/v1/stock", params={"limit": 1, "cursor": levels["next_cursor"]})).json()
    assert [item["sku"] for item in levels["items"] + more["items"]] == ["KETTLE", "MUG"]
    newest = (await api.http.get("/v1/stock/MUG/movements", params={"limit": 2})).json()
    oldest = (await api.http.get("/v1/stock/MUG/movements", params={"cursor": newest["next_cursor"]})).json()
    causes = [item["cause"] for item in newest["items"] + oldest["items"]]
    assert causes == ["receipt:r2", "receipt:r1", "receipt:r0"]
