"""The console: operators log in with an API key, and see in suppliers' portals what the robot saw."""

from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from db import portals
from domain.identity import Scope
from tests.api.conftest import Api
from tests.api.test_portals import fulfilment, keep

HERE = "/console/fulfilments/f-1001/evidence"


async def log_in(api: Api, *scopes: Scope, to: str = HERE, **headers: str) -> httpx2.Response:
    key = (await api.key(*scopes))["Authorization"].removeprefix("Bearer ")
    return await api.http.post("/console/log-in", data={"key": key, "next": to}, headers=headers)


async def seen(api: Api) -> str:
    """A fulfilment for which a portal was visited twice."""
    part = await fulfilment(api)
    async with api.database.transaction() as connection:
        await portals.introduce(connection, ["northgate"])
        await portals.intend(connection, "northgate", "WB-1-1-1", part)
    await keep(api, part, 1, visit="v1", step="items")
    await keep(api, part, 2, visit="v1", kind="page", media_type="text/html", content=b"<script>steal()</script>")
    await keep(api, part, 3, visit="v2", job="download", kind="document", media_type="application/pdf", name="note")
    return part


async def test_whoever_is_not_logged_in_is_asked_to_and_comes_back(api: Api) -> None:
    await seen(api)
    api.http.headers.pop("Authorization")
    asked = await api.http.get(HERE)
    assert asked.status_code == 303
    where = urlsplit(asked.headers["location"])
    assert (where.path, parse_qs(where.query)) == ("/console/log-in", {"next": [HERE]})
    form = await api.http.get(asked.headers["location"])
    assert f'value="{HERE}"' in form.text and "form-action 'self'" in form.headers["content-security-policy"]
    entered = await log_in(api, Scope.PORTALS_READ)
    assert (entered.status_code, entered.headers["location"]) == (303, HERE)
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie and "SameSite=lax" in cookie and "wb_" not in cookie
    assert (await api.http.get(HERE)).status_code == 200
    await api.http.post("/console/log-out")
    assert (await api.http.get(HERE)).status_code == 303


async def test_every_step_is_on_the_page_and_what_the_portal_sent_never_runs(api: Api) -> None:
    await seen(api)
    await log_in(api, Scope.PORTALS_READ)
    page = await api.http.get(HERE)
    assert page.text.index("Fetching the delivery note") < page.text.index("Ordering"), "the newest first"
    assert f'<img src="{HERE}/p1"' in page.text and f'<iframe src="{HERE}/p2" sandbox' in page.text
    assert "<script" not in page.text and "script-src" not in page.headers["content-security-policy"]
    kept = await api.http.get(f"{HERE}/p2")
    assert kept.content == b"<script>steal()</script>"
    policy = kept.headers["content-security-policy"]
    assert policy.startswith("sandbox; default-src 'none'") and "allow-scripts" not in policy
    document = await api.http.get(f"{HERE}/p3")
    assert document.headers["content-disposition"].startswith("attachment")
    for url in (HERE, f"{HERE}/p2"):
        assert (await api.http.get(url)).headers["cache-control"] == "no-store"


async def test_portals_and_what_was_ordered_in_them_last_are_one_room(api: Api) -> None:
    await seen(api)
    await log_in(api, Scope.PORTALS_READ)
    page = await api.http.get("/console/portals")
    assert f'href="{HERE}"' in page.text and "northgate" in page.text


@pytest.mark.parametrize(
    ("scopes", "room"),
    [
        ([Scope.PORTALS_READ, Scope.EXCEPTIONS_READ], "/console/exceptions"),
        ([Scope.PORTALS_READ, Scope.ORDERS_READ], "/console/orders"),
        ([Scope.PORTALS_READ], "/console/portals"),
    ],
)
async def test_the_console_begins_in_the_first_room_that_one_may_enter(
    api: Api, scopes: list[Scope], room: str
) -> None:
    await log_in(api, *scopes)
    assert (await api.http.get("/console")).headers["location"] == room
    shown = (await api.http.get(room)).text
    assert f'href="{room}" aria-current="page"' in shown


async def test_a_key_that_may_see_nothing_is_told_so(api: Api) -> None:
    await log_in(api, Scope.STOCK_READ)
    refused = await api.http.get("/console")
    assert refused.status_code == 403 and "give it exceptions:read or orders:read" in refused.text


async def test_an_order_is_read_with_the_same_log_in_and_leads_to_what_was_seen(api: Api) -> None:
    part = await seen(api)
    async with api.database.transaction() as connection:
        await portals.introduce(connection, ["northgate"])
        await connection.exec_driver_sql("UPDATE fulfilments SET portal = 'northgate'")
        order = (await connection.exec_driver_sql("SELECT order_id FROM fulfilments")).scalar_one()
    api.http.headers.pop("Authorization")
    assert (await api.http.get(f"/orders/{order}")).status_code == 401
    await log_in(api, Scope.ORDERS_READ)
    assert f'href="/console/fulfilments/{part}/evidence"' in (await api.http.get(f"/orders/{order}")).text
    token = urlsplit(api.links.url(order)).query
    assert "/console/" not in (await api.http.get(f"/orders/{order}?{token}")).text, "customers need none of it"


@pytest.mark.parametrize(
    ("form", "status"),
    [({"key": "wb_nobody's"}, 401), ({}, 401), ({"key": "x" * 3000}, 401), ({"key": ""}, 401)],
)
async def test_a_key_that_is_none_lets_nobody_in(api: Api, form: dict[str, str], status: int) -> None:
    answer = await api.http.post("/console/log-in", data=form)
    assert answer.status_code == status and "set-cookie" not in answer.headers
    assert 'role="alert"' in answer.text and "wb_nobody" not in answer.text


async def test_a_key_without_the_scope_and_one_that_was_revoked_see_nothing(api: Api) -> None:
    part = await seen(api)
    await log_in(api, Scope.ORDERS_READ)
    refused = await api.http.get(HERE)
    assert refused.status_code == 403 and "lacks the scope portals:read" in refused.text
    await log_in(api, Scope.PORTALS_READ, Scope.KEYS_WRITE)
    assert (await api.http.get(f"{HERE}/p1")).content == b"\x89PNG"
    *others, last = (await api.http.get("/v1/keys")).json()["items"]
    assert others and (await api.http.delete(f"/v1/keys/{last['id']}")).status_code == 204
    assert (await api.http.get(f"{HERE}/p1")).status_code == 303
    assert part == "f-1001"


async def test_a_cookie_that_was_made_up_opens_nothing(api: Api) -> None:
    await seen(api)
    await log_in(api, Scope.PORTALS_READ)
    cookie = api.http.cookies["waybill_console"]
    for bad in (f"x{cookie}", cookie.rpartition(".")[0], "", "."):
        api.http.cookies.clear()
        answer = await api.http.get(HERE, headers={"Cookie": f"waybill_console={bad}"})
        assert answer.status_code == 303, bad


@pytest.mark.parametrize(
    "to", ["//evil.example", "https://evil.example", "/console/../x", "/v1/keys", "/orders\\@x", ""]
)
async def test_a_log_in_leads_to_pages_of_the_console_alone(api: Api, to: str) -> None:
    entered = await log_in(api, Scope.PORTALS_READ, to=to)
    assert entered.headers["location"] == "/console"


async def test_a_form_on_somebody_elses_page_logs_nobody_in(api: Api) -> None:
    refused = await log_in(api, Scope.PORTALS_READ, **{"Sec-Fetch-Site": "cross-site"})
    assert refused.status_code == 401 and "set-cookie" not in refused.headers


async def test_many_visits_are_shown_a_page_at_a_time(api: Api) -> None:
    part = await fulfilment(api)
    for number in range(130):
        await keep(api, part, number, visit=f"v{number}")
    await log_in(api, Scope.PORTALS_READ)
    newest = await api.http.get(HERE)
    older = newest.text.split('<a href="')[-1].split('"')[0].replace("&#43;", "+").replace("&amp;", "&")
    assert newest.text.count("<figure>") == 120
    assert (await api.http.get(older)).text.count("<figure>") == 10
