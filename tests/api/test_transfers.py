"""Transfers by the API: drafts, lists, and what is refused before any workflow is asked."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db import catalogue
from domain.errors import MoreThanSent, NotEnoughUnits, NotFound, Unavailable
from domain.identity import Scope
from domain.transfers import CancelWish, ExpectWish, Receipt, Rest, SendWish, Wish
from tests.api.conftest import Api

LATER = (datetime.now(UTC) + timedelta(days=3)).isoformat()


def body(reference: str | None = "week-19", **changes: Any) -> dict[str, Any]:
    lines = [{"sku": "MUG", "quantity": 5}, {"sku": "KETTLE", "quantity": 2}]
    whole = {"source": "EDI", "destination": "RNO", "reference": reference, "expected_at": LATER, "lines": lines}
    return {**whole, **changes}


@pytest.fixture(autouse=True)
async def reno(api: Api) -> None:
    """The warehouse that goods go to."""
    address = {"street1": "5300 Mill St", "city": "Reno", "postal_code": "89502", "country": "US"}
    async with api.database.transaction() as connection:
        await catalogue.put_warehouse(connection, {"code": "RNO", "name": "Reno", "address": address, "priority": 2})


async def drafted(api: Api, reference: str = "week-19", **changes: Any) -> dict[str, Any]:
    response = await api.http.post("/v1/transfers", json=body(reference, **changes))
    assert response.status_code == 201, response.text
    found: dict[str, Any] = response.json()
    return found


async def close(api: Api, status: str = "received") -> None:
    async with api.database.transaction() as connection:
        await connection.execute(text("UPDATE transfers SET status = :status, closed_at = now()"), {"status": status})


async def test_a_transfer_is_written_down_once_and_its_workflow_started(api: Api) -> None:
    first = await drafted(api)
    assert (first["number"][:3], first["status"], first["created_by"]) == ("TR-", "draft", "api:test shop")
    assert [(line["sku"], line["quantity"], line["on_the_way"]) for line in first["lines"]] == [
        ("MUG", 5, 0),
        ("KETTLE", 2, 0),
    ]
    assert "somebody to make 7 units ready at EDI" in first["waiting"]["sentence"]
    again = await api.http.post("/v1/transfers", json=body())
    assert (again.status_code, again.json()) == (200, first)
    assert [started.id for started in api.transfers.started] == [first["id"]]
    for key in (first["id"], first["number"]):
        assert (await api.http.get(f"/v1/transfers/{key}")).json() == first
    assert (await api.http.get("/v1/stock")).json()["items"] == []


async def test_a_reference_names_one_transfer_and_a_key_stands_in_for_it(api: Api) -> None:
    await drafted(api)
    other = await api.http.post("/v1/transfers", json=body(note="others"))
    assert (other.status_code, other.json()["code"], other.json()["field"]) == (
        409,
        "idempotency_key_reused",
        "reference",
    )
    for status in (201, 200):
        keyed = await api.http.post("/v1/transfers", json=body(None), headers={"Idempotency-Key": "k"})
        assert (keyed.status_code, keyed.json()["reference"]) == (status, "k")


async def test_a_transfer_drafted_while_temporal_is_away_is_started_by_the_next_wish(api: Api) -> None:
    api.transfers.away = Unavailable("Temporal does not answer right now.")
    transfer = await drafted(api)
    async with api.database.reading() as connection:
        assert (await connection.execute(text("SELECT started_at FROM transfers"))).scalar_one() is None
    api.transfers.away = None
    api.transfers.refusals.append(NotFound("running workflow of the transfer", transfer["id"]))
    assert (await api.http.post(f"/v1/transfers/{transfer['number']}/ready")).status_code == 200
    assert [started.id for started in api.transfers.started] == [transfer["id"]]


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"destination": "EDI"}, "destination", "invalid_field"),
        ({"source": "XXX"}, "source", "unknown_warehouse"),
        ({"destination": "XXX"}, "destination", "unknown_warehouse"),
        ({"lines": [{"sku": "NO-SUCH", "quantity": 1}]}, "lines[0].sku", "unknown_sku"),
        ({"lines": [{"sku": "MUG", "quantity": 0}]}, "lines[0].quantity", "invalid_field"),
        ({"lines": [{"sku": "MUG", "quantity": -3}]}, "lines[0].quantity", "invalid_field"),
        ({"lines": [{"sku": "MUG", "quantity": 10**30}]}, "lines[0].quantity", "invalid_field"),
        ({"lines": [{"sku": "MUG", "quantity": "5"}]}, "lines[0].quantity", "invalid_field"),
        ({"lines": [{"sku": "MUG", "quantity": 1}] * 2}, "lines", "invalid_field"),
        ({"lines": []}, "lines", "invalid_field"),
        ({"reference": None}, "reference", "missing_field"),
        ({"expected_at": "2020-01-01T00:00:00Z"}, "expected_at", "invalid_field"),
        ({"expected_at": "9999-12-31T23:59:59Z"}, "expected_at", "invalid_field"),
        ({"expected_at": "soon"}, "expected_at", "invalid_field"),
        ({"colour": "blue"}, "colour", "unknown_field"),
    ],
)
async def test_a_transfer_that_cannot_be_is_refused(api: Api, changes: dict[str, Any], field: str, code: str) -> None:
    response = await api.http.post("/v1/transfers", json=body(**changes))
    assert (response.status_code, response.json()["field"], response.json()["code"]) == (422, field, code)
    assert (await api.http.get("/v1/transfers")).json()["items"] == []


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"lines": [{"sku": "MUG", "quantity": 0}]}, "lines[0].quantity"),
        ({"lines": []}, None),
        ({"discrepancies": [{"sku": "MUG", "reason": "eaten", "quantity": 1}]}, "discrepancies[0].reason"),
        ({"discrepancies": [{"sku": "MUG", "reason": "missing", "quantity": -1}]}, "discrepancies[0].quantity"),
        ({"discrepancies": [{"sku": "MUG", "reason": "missing", "quantity": 1, "instead": "TEE"}]}, "discrepancies[0]"),
        (
            {"discrepancies": [{"sku": "MUG", "reason": "wrong_item", "quantity": 1, "instead": "NO-SUCH"}]},
            "discrepancies[0].instead",
        ),
    ],
)
async def test_a_receipt_that_cannot_be_is_refused(api: Api, given: dict[str, Any], field: str | None) -> None:
    transfer = await drafted(api)
    response = await api.http.post(f"/v1/transfers/{transfer['id']}/receipts", json={"reference": "r", **given})
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert api.transfers.asked == []


async def test_wishes_reach_the_transfer(api: Api) -> None:
    path = f"/v1/transfers/{(await drafted(api))['id']}"
    later = datetime.now(UTC) + timedelta(days=9)
    await api.http.post(f"{path}/ready", headers={"Idempotency-Key": "k"})
    await api.http.post(f"{path}/send")
    await api.http.post(f"{path}/expect", json={"expected_at": later.isoformat()})
    lines = [{"sku": "MUG", "quantity": 3}]
    await api.http.post(f"{path}/receipts", json={"reference": "dock", "lines": lines})
    await api.http.post(f"{path}/cancel", json={"units": "write_off", "reason": "Burnt."})
    (first, *_), wishes = api.transfers.asked, [wish for _, wish, _ in api.transfers.asked]
    assert first[2] == "ready:k"
    receipt = wishes[3]
    assert isinstance(receipt, Receipt)
    assert (receipt.reference, receipt.by, receipt.lines[0].units) == ("dock", "api:test shop", 3)
    actor = "api:test shop"
    assert [wishes[n] for n in (0, 1, 2, 4)] == [
        Wish(actor),
        SendWish(actor),
        ExpectWish(actor, later),
        CancelWish(actor, "Burnt.", Rest.WRITE_OFF),
    ]


async def test_every_line_that_is_refused_is_named(api: Api) -> None:
    path = f"/v1/transfers/{(await drafted(api))['id']}"
    api.transfers.refusals.append(NotEnoughUnits([(0, "Too few mugs."), (1, "Too few kettles.")]))
    short = (await api.http.post(f"{path}/ready")).json()
    assert [error["field"] for error in short["errors"]] == ["lines[0]", "lines[1]"]
    api.transfers.refusals.append(MoreThanSent([("discrepancies[2].quantity", "Too many.")]))
    more = await api.http.post(f"{path}/receipts", json={"reference": "r", "lines": [{"sku": "MUG", "quantity": 9}]})
    assert (more.status_code, more.json()["code"]) == (409, "more_than_sent")
    assert [error["field"] for error in more.json()["errors"]] == ["discrepancies[2].quantity"]


async def test_a_transfer_that_is_over_is_answered_from_its_record(api: Api) -> None:
    path = f"/v1/transfers/{(await drafted(api))['id']}"
    await close(api, "cancelled")
    assert (await api.http.post(f"{path}/cancel")).json()["status"] == "cancelled"
    late = await api.http.post(f"{path}/ready")
    assert (late.status_code, late.json()["code"]) == (409, "too_late")
    assert api.transfers.asked == []


async def test_transfers_are_listed_newest_first_by_what_one_looks_for_and_in_pages(api: Api) -> None:
    first, second = await drafted(api, "1"), await drafted(api, "2", lines=[{"sku": "MUG", "quantity": 1}])
    third = await drafted(api, "3", source="RNO", destination="EDI")

    async def listed(**filters: Any) -> list[str]:
        response = await api.http.get("/v1/transfers", params=filters)
        assert response.status_code == 200, response.text
        return [item["id"] for item in response.json()["items"]]

    newest = [third["id"], second["id"], first["id"]]
    assert await listed() == newest
    assert await listed(source="RNO") == await listed(destination="EDI") == [third["id"]]
    assert await listed(sku="KETTLE") == [third["id"], first["id"]]
    assert await listed(status=["ready", "received"]) == await listed(late=True) == []
    assert await listed(late=False, status="draft") == newest
    page = (await api.http.get("/v1/transfers", params={"limit": 2})).json()
    rest = (await api.http.get("/v1/transfers", params={"cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in page["items"] + rest["items"]] == newest
    assert rest["next_cursor"] is None
    bad = await api.http.get("/v1/transfers", params={"cursor": "x"})
    assert (bad.status_code, bad.json()["code"]) == (422, "invalid_cursor")


async def test_reading_and_moving_need_their_scopes(api: Api) -> None:
    transfer = await drafted(api)
    reads, orders = await api.key(Scope.STOCK_READ), await api.key(Scope.ORDERS_WRITE)
    path = f"/v1/transfers/{transfer['id']}"
    assert (await api.http.get(path, headers=reads)).status_code == 200
    assert (await api.http.get(path, headers=orders)).status_code == 403
    for what in ("ready", "send", "cancel"):
        assert (await api.http.post(f"{path}/{what}", headers=reads)).status_code == 403
    assert (await api.http.post("/v1/transfers", json=body("2"), headers=reads)).status_code == 403


async def test_no_such_transfer_is_no_transfer(api: Api) -> None:
    for method, path in (("GET", ""), ("POST", "/ready"), ("POST", "/send"), ("POST", "/cancel")):
        response = await api.http.request(method, f"/v1/transfers/TR-1{path}")
        assert (response.status_code, response.json()["code"]) == (404, "not_found")
