"""Portals and evidence in the API: whether a portal is visited, pausing it, and what visits left behind."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from db import evidence, exceptions, portals, shipments
from domain.errors import Conflict
from domain.identity import Scope
from domain.portals import TakeOver
from tests.api.conftest import Api

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


async def set_up(api: Api, *names: str) -> None:
    async with api.database.transaction() as connection:
        await portals.introduce(connection, names)


async def fulfilment(api: Api, reference: str = "1001") -> str:
    order = await api.place(reference)
    row = {"id": f"f-{reference}", "order_id": order["id"], "number": 1, "warehouse": "EDI", "status": "planned"}
    async with api.database.transaction() as connection:
        await shipments.add_fulfilments(
            connection, [row], [{"fulfilment_id": row["id"], "line": 1, "sku": "KETTLE", "quantity": 1}]
        )
    return f"f-{reference}"


async def keep(api: Api, fulfilment_id: str, number: int, **changes: Any) -> None:
    piece = {
        "id": f"p{number}",
        "fulfilment_id": fulfilment_id,
        "portal": "northgate",
        "reference": "WB-1-1-1",
        "job": "place",
        "attempt": 1,
        "step": "summary",
        "kind": "picture",
        "name": "summary",
        "media_type": "image/png",
        "size": 4,
        "sha256": "0" * 64,
        "at": NOON + timedelta(seconds=number),
        "content": b"\x89PNG",
        **changes,
    }
    async with api.database.transaction() as connection:
        await evidence.add(connection, piece)


async def test_portals_are_listed_by_name_in_pages(api: Api) -> None:
    await set_up(api, "southgate", "northgate", "eastgate")
    first = (await api.http.get("/v1/portals?limit=2")).json()
    rest = (await api.http.get("/v1/portals", params={"cursor": first["next_cursor"]})).json()
    assert [item["name"] for item in first["items"] + rest["items"]] == ["eastgate", "northgate", "southgate"]
    assert rest["next_cursor"] is None


async def test_a_portal_is_paused_by_a_person_and_resumed(api: Api) -> None:
    await set_up(api, "northgate")
    paused = (await api.http.post("/v1/portals/northgate/pause", json={"reason": "They move house."})).json()
    assert (paused["reason"], paused["changed_by"]) == ("They move house.", "api:test shop")
    again = (await api.http.post("/v1/portals/northgate/pause", json={"reason": "Another."})).json()
    assert (again["reason"], again["paused_at"]) == ("They move house.", paused["paused_at"])
    for _ in range(2):
        resumed = (await api.http.post("/v1/portals/northgate/resume")).json()
        assert (resumed["paused_at"], resumed["reason"]) == (None, None)


async def test_three_page_changes_pause_it_and_the_fourth_keeps_the_reason(api: Api) -> None:
    await set_up(api, "northgate")
    told = []
    for n in range(4):
        async with api.database.transaction() as connection:
            told.append(
                await portals.note_page_change(
                    connection, "northgate", step=f"step {n}", missing='button "Continue"', at=NOON
                )
            )
    assert told == [(1, False), (2, False), (3, True), (4, False)]
    shown = (await api.http.get("/v1/portals/northgate")).json()
    assert shown["reason"] == 'The page “step 2” has no button "Continue"; 3 visits in a row ended so.'
    assert (shown["failures"], shown["step"], shown["changed_by"]) == (4, "step 3", "waybill")


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/portals/nowhere", None, 404, "not_found"),
        ("POST", "/v1/portals/nowhere/pause", {"reason": "x"}, 404, "not_found"),
        ("POST", "/v1/portals/nowhere/resume", None, 404, "not_found"),
        ("POST", "/v1/portals/northgate/pause", {}, 422, "missing_field"),
        ("POST", "/v1/portals/northgate/pause", {"reason": ""}, 422, "invalid_field"),
        ("POST", "/v1/portals/northgate/pause", {"reason": "x", "until": "y"}, 422, "unknown_field"),
        ("GET", "/v1/portals?limit=0", None, 422, "invalid_field"),
        ("GET", "/v1/portals?cursor=x", None, 422, "invalid_cursor"),
        ("GET", "/v1/fulfilments/nowhere/evidence", None, 404, "not_found"),
        ("GET", "/v1/fulfilments/nowhere/evidence/p1", None, 404, "not_found"),
    ],
)
async def test_what_makes_no_sense_is_refused(
    api: Api, method: str, path: str, body: dict[str, str] | None, status: int, code: str
) -> None:
    await set_up(api, "northgate")
    response = await api.http.request(method, path, json=body)
    assert (response.status_code, response.json()["code"]) == (status, code)


@pytest.mark.parametrize(
    ("method", "path", "lacking"),
    [
        ("GET", "/v1/portals", Scope.PORTALS_READ),
        ("POST", "/v1/portals/northgate/resume", Scope.PORTALS_WRITE),
        ("GET", "/v1/fulfilments/f-1/evidence", Scope.PORTALS_READ),
        ("GET", "/v1/fulfilments/f-1/evidence/p1", Scope.PORTALS_READ),
    ],
)
async def test_each_needs_its_scope(api: Api, method: str, path: str, lacking: Scope) -> None:
    headers = await api.key(*(scope for scope in Scope if scope is not lacking))
    response = await api.http.request(method, path, headers=headers)
    assert (response.status_code, response.json()["code"]) == (403, "missing_scope")
    assert lacking in response.json()["detail"]


async def test_evidence_is_listed_oldest_first_without_its_content(api: Api) -> None:
    ours, other = await fulfilment(api), await fulfilment(api, "1002")
    for number in (3, 1, 2):
        await keep(api, ours, number)
    await keep(api, other, 9)
    first = (await api.http.get(f"/v1/fulfilments/{ours}/evidence?limit=2")).json()
    rest = (await api.http.get(f"/v1/fulfilments/{ours}/evidence", params={"cursor": first["next_cursor"]})).json()
    assert [item["id"] for item in first["items"] + rest["items"]] == ["p1", "p2", "p3"]
    assert "content" not in first["items"][0]


async def test_a_piece_is_given_as_a_file_that_no_browser_runs(api: Api) -> None:
    ours, other = await fulfilment(api), await fulfilment(api, "1002")
    await keep(api, ours, 1, kind="page", media_type="text/html", content=b"<script>steal()</script>")
    piece = await api.http.get(f"/v1/fulfilments/{ours}/evidence/p1")
    assert piece.content == b"<script>steal()</script>"
    assert piece.headers["content-disposition"] == 'attachment; filename="northgate-p1.html"'
    assert piece.headers["content-security-policy"] == "sandbox; default-src 'none'"
    assert (await api.http.get(f"/v1/fulfilments/{other}/evidence/p1")).status_code == 404


async def test_a_type_that_a_portal_made_up_is_not_repeated(api: Api) -> None:
    ours = await fulfilment(api)
    await keep(api, ours, 1, kind="document", media_type="text/x-evil")
    piece = await api.http.get(f"/v1/fulfilments/{ours}/evidence/p1")
    assert piece.headers["content-type"] == "application/octet-stream"


async def at_portal(api: Api) -> str:
    part = await fulfilment(api)
    async with api.database.transaction() as connection:
        await connection.execute(text("UPDATE fulfilments SET portal = 'northgate'"))
    return part


async def test_what_a_person_has_ordered_reaches_the_order(api: Api) -> None:
    part = await at_portal(api)
    path = f"/v1/fulfilments/{part}/supplier-order"
    assert (await api.http.post(path, json={"number": "NG-17"})).status_code == 200
    ((_, wish, key),) = api.gateway.asked
    assert (wish, key) == (TakeOver(part, "NG-17", "api:test shop"), f"take-over:{part}:NG-17:False")
    api.gateway.refusals.append(Conflict("It is ordered at northgate already, as NG-1."))
    refused = await api.http.post(path, json={"number": "NG-18"})
    assert (refused.status_code, refused.json()["code"]) == (409, "conflict")
    assert (await api.http.post(path, json={"number": ""})).status_code == 422


async def test_what_a_warehouse_packs_is_not_ordered_by_hand(api: Api) -> None:
    part = await fulfilment(api)
    response = await api.http.post(f"/v1/fulfilments/{part}/supplier-order", json={"number": "NG-17"})
    assert response.status_code == 409 and "its warehouse packs it" in response.json()["detail"]


async def test_an_exception_about_a_portal_has_no_order(api: Api) -> None:
    row: dict[str, Any] = {
        "id": "e-1",
        "order_id": None,
        "kind": "portal_paused",
        "reason": "The portal northgate is paused.",
        "actions": [],
        "facts": {"portal": "northgate"},
        "opened_at": NOON,
    }
    async with api.database.transaction() as connection:
        await exceptions.open_exception(connection, row)
    (item,) = (await api.http.get("/v1/exceptions")).json()["items"]
    assert (item["order_id"], item["order_number"], item["facts"]) == (None, None, {"portal": "northgate"})
    assert (await api.http.get("/v1/exceptions/e-1")).json() == item
    refused = await api.http.post("/v1/exceptions/e-1/resolve", json={"action": "retry"})
    assert refused.status_code == 409


async def test_item_numbers_are_set_listed_and_removed(api: Api) -> None:
    await set_up(api, "northgate", "southgate")
    path = "/v1/portals/northgate/items"
    made = await api.http.put(f"{path}/MUG", json={"item": "NGT-4411"})
    assert (made.status_code, made.json()["item"], made.json()["changed_by"]) == (201, "NGT-4411", "api:test shop")
    assert (await api.http.put(f"{path}/KETTLE", json={"item": None})).status_code == 201
    changed = await api.http.put(f"{path}/MUG", json={"item": "NGT-4412"})
    assert (changed.status_code, changed.json()["item"]) == (200, "NGT-4412")
    first = (await api.http.get(f"{path}?limit=1")).json()
    rest = (await api.http.get(path, params={"cursor": first["next_cursor"]})).json()
    listed = [(item["sku"], item["item"]) for item in first["items"] + rest["items"]]
    assert listed == [("KETTLE", None), ("MUG", "NGT-4412")]
    assert (await api.http.get("/v1/portals/southgate/items")).json()["items"] == []
    assert (await api.http.delete(f"{path}/MUG")).status_code == 204
    assert (await api.http.delete(f"{path}/MUG")).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("nowhere/items/MUG", {"item": "X"}, 404),
        ("northgate/items/NOTHING", {"item": "X"}, 404),
        ("northgate/items/MUG", {}, 422),
        ("northgate/items/MUG", {"item": ""}, 422),
        ("northgate/items/MUG", {"item": "a\nb"}, 422),
        ("northgate/items/MUG", {"item": "x" * 65}, 422),
    ],
)
async def test_item_numbers_that_make_no_sense_are_refused(
    api: Api, path: str, body: dict[str, str], status: int
) -> None:
    await set_up(api, "northgate")
    assert (await api.http.put(f"/v1/portals/{path}", json=body)).status_code == status
