"""The console's rooms: what waits for people, all orders, and one of them; what is done there goes by the API."""

import re

import pytest

from domain.errors import Conflict
from domain.exceptions import Action, Resolution
from domain.holds import Hold, ReleaseHold
from domain.identity import Scope
from domain.orders import CancelRequest
from tests.api.conftest import Api
from tests.api.records import exception, payment
from tests.api.test_console import log_in
from tests.api.test_holds import held

S = Scope


async def test_what_waits_is_shown_and_decided_where_it_is_shown(api: Api) -> None:
    placed = await api.place()
    found = await exception(api.database, placed["id"])
    await log_in(api, S.EXCEPTIONS_READ, S.EXCEPTIONS_WRITE, S.ORDERS_READ)
    room = (await api.http.get("/console/exceptions")).text
    assert placed["number"] in room and 'value="retry"' in room and "Cancel the order" in room
    decided = await api.http.post(f"/console/exceptions/{found}", data={"action": "retry", "note": " Twenty came in. "})
    assert decided.headers["location"] == f"/console/exceptions?decided={found}"
    ((order, told, key),) = api.gateway.asked
    assert (order, key) == (placed["id"], f"resolve:{found}:retry")
    assert isinstance(told, Resolution)
    assert (told.action, told.note) == (Action.RETRY, "Twenty came in.") and told.by.startswith("api:")
    after = (await api.http.get(decided.headers["location"])).text
    assert f"Your decision about {placed['number']} is passed on" in after
    from_order = await api.http.post(f"/console/exceptions/{found}", data={"action": "retry", "order": placed["id"]})
    assert from_order.headers["location"].startswith(f"/console/orders/{placed['id']}?decided=")


async def test_what_the_order_refuses_is_said_on_the_page(api: Api) -> None:
    placed = await api.place()
    found = await exception(api.database, placed["id"])
    await log_in(api, S.EXCEPTIONS_READ, S.EXCEPTIONS_WRITE)
    api.gateway.refusals.append(Conflict("The exception is no longer open."))
    refused = await api.http.post(f"/console/exceptions/{found}", data={"action": "retry"})
    assert refused.status_code == 409 and "The exception is no longer open." in refused.text
    for action in ("skip", "nonsense", ""):
        answer = await api.http.post(f"/console/exceptions/{found}", data={"action": action})
        assert answer.status_code in {409, 422} and 'role="alert"' in answer.text, action
    assert api.gateway.asked == []


async def test_mails_lead_to_where_it_is_decided(api: Api) -> None:
    placed = await api.place()
    found = await exception(api.database, placed["id"])
    await log_in(api, S.EXCEPTIONS_READ, S.ORDERS_READ)
    led = await api.http.get(f"/console/exceptions/{found}")
    assert led.headers["location"] == f"/console/orders/{placed['id']}"
    assert placed["number"] in (await api.http.get(led.headers["location"])).text
    assert (await api.http.get("/console/exceptions/none")).status_code == 404
    await log_in(api, S.EXCEPTIONS_READ)
    assert (await api.http.get(f"/console/exceptions/{found}")).headers["location"] == "/console/exceptions"


async def test_orders_are_found_filtered_and_paged(api: Api) -> None:
    for number in range(52):
        await api.place(f"R-{number}", customer={"name": "Piet <b>", "email": "piet@example.org"})
    await log_in(api, S.ORDERS_READ)
    first = (await api.http.get("/console/orders")).text
    assert first.count("<tr>") == 51 and "Piet &lt;b&gt;" in first and "<script" not in first
    older = re.search(r'href="(/console/orders\?[^"]+)">Older', first)
    assert older is not None
    assert (await api.http.get(older.group(1).replace("&amp;", "&"))).text.count("<tr>") == 3
    assert (await api.http.get("/console/orders?q=R-51")).text.count("<tr>") == 2
    assert "No order fits that." in (await api.http.get("/console/orders?status=shipped")).text
    assert "No order fits that." in (await api.http.get("/console/orders?attention=true")).text
    wrong = await api.http.get("/console/orders?status=lost")
    assert 'role="alert"' in wrong.text


async def test_an_order_is_held_and_released_from_its_page(api: Api) -> None:
    placed = await api.place()
    await log_in(api, S.ORDERS_READ, S.HOLDS_WRITE)
    page = f"/console/orders/{placed['number']}"
    once = re.search(r'name="once" value="([^"]+)"', (await api.http.get(page)).text)
    assert once is not None
    for _ in range(2):  # a form that is sent twice
        await api.http.post(f"{page}/holds", data={"reason": "customer", "note": "Friday.", "once": once.group(1)})
    first, second = (asked[1] for asked in api.gateway.asked)
    assert isinstance(first, Hold) and isinstance(second, Hold)
    assert (first.id, first.reason, first.note) == (second.id, "customer", "Friday.")
    api.gateway.asked.clear()
    hold = await held(api, placed["id"])
    assert f"{hold}/release" in (await api.http.get(page)).text
    released = await api.http.post(f"{page}/holds/{hold}/release", data={"note": "She agrees."})
    assert released.headers["location"] == f"{page}?done=released"
    ((_, wish, _),) = api.gateway.asked
    assert isinstance(wish, ReleaseHold)
    assert "Your agreement" in (await api.http.get(f"{page}?done=released")).text


async def test_an_order_is_cancelled_once_it_was_seen_what_that_does(api: Api) -> None:
    placed = await api.place()
    await payment(api.database, placed["id"])
    await log_in(api, S.ORDERS_READ, S.ORDERS_WRITE)
    page = f"/console/orders/{placed['id']}"
    seen = (await api.http.post(f"{page}/cancel", data={"reason": "Mistake", "restock": "true"})).text
    assert "$140.20 that the bank only holds is released." in seen and "The customer is not told." in seen
    assert api.gateway.asked == []
    fields = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', seen))
    done = await api.http.post(f"{page}/cancel", data=fields)
    assert done.headers["location"] == f"{page}?done=cancelled"
    ((_, wish, _),) = api.gateway.asked
    assert isinstance(wish, CancelRequest)
    assert (wish.reason, wish.tell_customer, wish.shown is not None) == ("Mistake", False, True)
    api.gateway.refusals.append(Conflict("The order has moved: something was handed over."))
    moved = await api.http.post(f"{page}/cancel", data=fields)
    assert moved.status_code == 409 and "something was handed over" in moved.text


@pytest.mark.parametrize(
    ("path", "lacks"),
    [
        ("/console/exceptions/{exception}", S.EXCEPTIONS_WRITE),
        ("/console/orders/{order}/holds", S.HOLDS_WRITE),
        ("/console/orders/{order}/holds/h/release", S.HOLDS_WRITE),
        ("/console/orders/{order}/cancel", S.ORDERS_WRITE),
    ],
)
async def test_nothing_is_done_without_the_scope_nor_from_another_page(api: Api, path: str, lacks: Scope) -> None:
    placed = await api.place()
    url = path.format(order=placed["id"], exception=await exception(api.database, placed["id"]))
    form = {"action": "retry", "reason": "operator", "version": "1..0.0.0.1.x"}
    await log_in(api, *(set(Scope) - {lacks}))
    refused = await api.http.post(url, data=form)
    assert refused.status_code == 403 and f"lacks the scope {lacks}" in refused.text
    page = (await api.http.get(f"/console/orders/{placed['id']}")).text
    assert url not in page, "what one may not do is not offered"
    await log_in(api, *Scope)
    forged = await api.http.post(url, data=form, headers={"Sec-Fetch-Site": "cross-site"})
    assert forged.status_code == 401
    assert (await api.http.post(url, content=b"x" * 30_000)).status_code == 401
    api.http.cookies.clear()
    assert (await api.http.post(url, data=form)).headers["location"] == "/console/log-in?next=/console"
    assert api.gateway.asked == []


async def test_an_order_that_is_not_there_is_no_fault_of_ours(api: Api) -> None:
    await log_in(api, S.ORDERS_READ)
    missing = await api.http.get("/console/orders/WB-nothing")
    assert missing.status_code == 404 and 'role="alert"' in missing.text
