"""The queues of orders that wait for units, counted and listed."""

import pytest

from tests.api.conftest import Api
from tests.api.records import wait_for


async def three_wait(api: Api) -> list[str]:
    """Two on backorder, one that a warehouse could not ship."""
    ids = [(await api.place(f"{n}"))["id"] for n in range(3)]
    async with api.database.transaction() as connection:
        await wait_for(connection, ids[0], "KETTLE", 2, queue="backorder", reason="2 of KETTLE on backorder")
        await wait_for(connection, ids[1], "MUG", 1, queue="backorder")
        await wait_for(connection, ids[2], "KETTLE", 2, queue="routing", warehouse="EDI", barred=["EDI"])
    return ids


async def test_queues_are_counted(api: Api) -> None:
    await three_wait(api)
    counts = {item["queue"]: item for item in (await api.http.get("/v1/stock/queues")).json()["items"]}
    assert list(counts) == ["backorder", "routing", "unfillable"]
    assert [counts["backorder"][name] for name in ("items", "orders", "units", "missing")] == [2, 2, 3, 3]
    assert counts["unfillable"] == {
        "queue": "unfillable",
        "items": 0,
        "orders": 0,
        "units": 0,
        "missing": 0,
        "oldest": None,
    }
    told = (await api.http.get("/metrics")).text
    assert 'waybill_waiting_units{queue="backorder"} 3.0' in told
    assert 'waybill_waiting_orders{queue="unfillable"} 0.0' in told


async def test_a_queue_is_listed_oldest_first_by_pages_and_filtered(api: Api) -> None:
    ids = await three_wait(api)
    first = (await api.http.get("/v1/stock/queues/backorder", params={"limit": 1})).json()
    more = (await api.http.get("/v1/stock/queues/backorder", params={"cursor": first["next_cursor"]})).json()
    assert [item["order_id"] for item in first["items"] + more["items"]] == ids[:2]
    assert first["items"][0]["reason"] == "2 of KETTLE on backorder"
    assert first["items"][0]["order_number"].startswith("WB-")
    mugs = (await api.http.get("/v1/stock/queues/backorder", params={"sku": "MUG"})).json()["items"]
    assert [item["order_id"] for item in mugs] == [ids[1]]
    for warehouse, found in (("EDI", [ids[2]]), ("RNO", [])):
        items = (await api.http.get("/v1/stock/queues/routing", params={"warehouse": warehouse})).json()["items"]
        assert [item["order_id"] for item in items] == found


@pytest.mark.parametrize(
    ("path", "field"),
    [("nowhere", "queue"), ("backorder?cursor=nonsense", "cursor"), ("backorder?limit=0", "limit")],
)
async def test_a_queue_that_cannot_be_is_refused(api: Api, path: str, field: str) -> None:
    response = await api.http.get(f"/v1/stock/queues/{path}")
    assert (response.status_code, response.json()["field"]) == (422, field)


async def test_an_order_shows_what_it_waits_for(api: Api) -> None:
    ids = await three_wait(api)
    (wait,) = (await api.http.get(f"/v1/orders/{ids[2]}")).json()["waits"]
    assert (wait["queue"], wait["warehouse"], wait["missing"]) == ("routing", "EDI", 2)
