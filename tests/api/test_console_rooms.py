"""The console's rooms: what waits for people, all orders, and one of them; what is done there goes by the API."""

import json
import re
import uuid
from html import unescape

import pytest

from domain.errors import Conflict
from domain.exceptions import Action, Resolution
from domain.holds import Hold, ReleaseHold
from domain.identity import Scope
from domain.orders import CancelRequest
from tests.api.conftest import Api
from tests.api.records import exception, fulfilment, payment
from tests.api.test_changes import carries_out
from tests.api.test_console import log_in
from tests.api.test_holds import held

S = Scope


def hidden(page: str) -> dict[str, str]:
    """What a page's forms bring along."""
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)}


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
    refused = await api.http.post(f"/console/exceptions/{found}", data={"action": "retry", "note": "It is there."})
    assert refused.status_code == 409 and "The exception is no longer open." in refused.text
    assert 'value="It is there."' in refused.text
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
    led_by_others = await api.http.get(f"{page}?done=released", headers={"Sec-Fetch-Site": "cross-site"})
    assert "Your agreement" not in led_by_others.text


async def test_an_order_is_cancelled_once_it_was_seen_what_that_does(api: Api) -> None:
    placed = await api.place()
    await payment(api.database, placed["id"])
    await log_in(api, S.ORDERS_READ, S.ORDERS_WRITE)
    page = f"/console/orders/{placed['id']}"
    seen = (await api.http.post(f"{page}/cancel", data={"reason": "Mistake", "restock": "true"})).text
    assert "$140.20 that the bank only holds is released." in seen and "The customer is not told." in seen
    assert api.gateway.asked == []
    fields = hidden(seen)
    done = await api.http.post(f"{page}/cancel", data=fields)
    assert done.headers["location"] == f"{page}?done=cancelled"
    ((_, wish, _),) = api.gateway.asked
    assert isinstance(wish, CancelRequest)
    assert (wish.reason, wish.tell_customer, wish.shown is not None) == ("Mistake", False, True)
    api.gateway.refusals.append(Conflict("The order has moved: something was handed over."))
    moved = await api.http.post(f"{page}/cancel", data=fields)
    assert moved.status_code == 409 and "something was handed over" in moved.text


async def test_only_what_was_altered_is_changed_once_it_was_seen_what_that_does(api: Api) -> None:
    placed = await api.place()
    await log_in(api, S.ORDERS_READ, S.ORDERS_WRITE)
    page = f"/console/orders/{placed['id']}"
    drawn = json.loads(hidden((await api.http.get(page)).text)["seen"])
    assert drawn["quantity-1"] == "2" and drawn["service"] == "standard" and drawn["street1"]
    same = await api.http.post(f"{page}/changes", data={**drawn, "seen": json.dumps(drawn)})
    assert same.status_code == 422 and "Nothing was altered" in same.text
    asked = {**drawn, "service": "express", "reason": "She is in a hurry.", "seen": json.dumps(drawn)}
    shown = (await api.http.post(f"{page}/changes", data=asked)).text
    assert "express instead of standard" in shown and "Make this change" in shown
    fields = hidden(shown)
    assert json.loads(fields["wish"]) == {"shipping_service": "express", "reason": "She is in a hurry."}
    carries_out(api)
    done = await api.http.post(f"{page}/changes", data=fields)
    assert done.headers["location"] == f"{page}?done=changed"
    assert "express instead of standard" in (await api.http.get(page)).text
    moved = await api.http.post(f"{page}/changes", data={**fields, "once": str(uuid.uuid4())})
    assert moved.status_code == 409 and 'role="alert"' in moved.text


async def test_what_others_have_changed_meanwhile_is_neither_taken_back_nor_written_over(api: Api) -> None:
    carries_out(api)
    placed = await api.place()
    await log_in(api, S.ORDERS_READ, S.ORDERS_WRITE)
    page = f"/console/orders/{placed['id']}"
    drawn = json.loads(hidden((await api.http.get(page)).text)["seen"])
    form = {**drawn, "seen": json.dumps(drawn)}
    theirs = hidden((await api.http.post(f"{page}/changes", data={**form, "street1": "1 New Road"})).text)
    assert (await api.http.post(f"{page}/changes", data=theirs)).status_code == 303
    mine = (await api.http.post(f"{page}/changes", data={**form, "company": "Acme"})).text
    assert "It goes to" in mine and "Acme, 1 New Road" in mine
    same = await api.http.post(f"{page}/changes", data={**form, "street1": "2 Old Road"})
    assert same.status_code == 422 and "Somebody else has changed the same meanwhile" in same.text
    assert 'value="1 New Road"' not in same.text and 'value="2 Old Road"' in same.text, "what is to be looked at again"
    refused = await api.http.post(f"{page}/changes", data={**form, "quantity-1": "two", "reason": "Once more"})
    assert 'value="two"' in refused.text and 'value="Once more"' in refused.text
    assert 'value="1 New Road"' in refused.text and 'value="Acme"' not in refused.text, "what was not altered"


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("quantity-1", "two", "no number of units"),
        ("country", "XX", "country of ISO 3166-1"),
        ("seen", "[]", "The form is damaged"),
        ("seen", "[" * 5000, "The form is damaged"),
        ("city", "", "shipping address.city"),
    ],
)
async def test_what_a_form_cannot_ask_for_is_said_and_nothing_is_done(
    api: Api, field: str, value: str, says: str
) -> None:
    placed = await api.place()
    await payment(api.database, placed["id"])
    await fulfilment(api.database, placed["id"])
    await log_in(api, S.ORDERS_READ, S.ORDERS_WRITE)
    page = f"/console/orders/{placed['id']}"
    drawn = json.loads(hidden((await api.http.get(page)).text)["seen"])
    answer = await api.http.post(f"{page}/changes", data={**drawn, "seen": json.dumps(drawn), field: value})
    assert says in answer.text and "Make this change" not in answer.text, answer.text
    for damage in ({"wish": '{"reason": NaN}'}, {"wish": '"\\ud800"'}, {"wish": "{}", "once": "é"}):
        form = {"version": "1..0.0.0.1.x", "once": str(uuid.uuid4()), **damage}
        assert (await api.http.post(f"{page}/cancel", data=form)).status_code == 422, damage
    assert api.gateway.asked == []


async def test_what_cannot_be_taken_back_is_only_decided_by_who_is_sure_and_may(api: Api) -> None:
    placed = await api.place()
    found = await exception(api.database, placed["id"], kind="refund_failed", actions=("retry", "withdraw"))
    sold_out = await exception(api.database, placed["id"], name="second")
    await log_in(api, S.EXCEPTIONS_READ, S.EXCEPTIONS_WRITE, S.ORDERS_READ, S.REFUNDS_GRANT)
    page = (await api.http.get(f"/console/orders/{placed['id']}")).text
    (refund,) = re.findall(rf'action="/console/exceptions/{found}".*?</form>', page, re.S)
    assert 'value="withdraw"' in refund and 'value="retry"' not in refund, "refunds:pay is lacking"
    url = f"/console/exceptions/{sold_out}"
    unsure = await api.http.post(url, data={"action": "cancel", "order": placed["id"]})
    assert unsure.status_code == 422 and "tick “I am sure” to cancel" in unsure.text and placed["number"] in unsure.text
    assert api.gateway.asked == []
    sure = await api.http.post(url, data={"action": "cancel", "sure": "true"})
    assert sure.status_code == 303 and len(api.gateway.asked) == 1


async def test_names_that_are_none_lead_nowhere_else(api: Api) -> None:
    placed = await api.place()
    await log_in(api, *Scope)
    assert (await api.http.get("/console/exceptions?decided=.")).status_code == 200
    assert (await api.http.get(f"/console/orders/{placed['id']}?decided=..")).status_code == 200
    for url in ("/console/orders/%2e", "/console/exceptions/%2e%2e"):
        assert (await api.http.get(url)).status_code in {404, 405, 422}, url
    away = await api.http.get("/console/exceptions?cursor=nonsense")
    assert away.status_code == 422 and "Nothing waits" not in away.text


async def test_a_refund_is_granted_and_paid_by_whoever_may(api: Api) -> None:
    placed = await api.place()
    await payment(api.database, placed["id"], captured=14020)
    await log_in(api, S.ORDERS_READ, S.REFUNDS_GRANT)
    page = f"/console/orders/{placed['id']}"
    drawn = hidden((await api.http.get(page)).text)
    wish = {"amount": "12.5", "reason": "Dented.", "once": drawn["once"], "currency": drawn["currency"]}
    for amount in ("1,250", "0.001", "-3", "1e3", ""):
        refused = await api.http.post(f"{page}/refunds", data={**wish, "amount": amount})
        assert refused.status_code == 422, amount
        assert f'name="amount" value="{amount}"' in refused.text and 'value="Dented."' in refused.text, "to be mended"
    too_much = await api.http.post(f"{page}/refunds", data={**wish, "amount": "900"})
    assert too_much.status_code == 409 and 'role="alert"' in too_much.text
    for _ in range(2):
        granted = await api.http.post(f"{page}/refunds", data=wish)
        assert granted.headers["location"] == f"{page}?done=granted"
    (refund,) = (await api.http.get(f"/v1/orders/{placed['id']}/refunds")).json()["items"]
    assert (refund["amount"], refund["reason"], refund["tell_customer"]) == (1250, "Dented.", False)
    shown = (await api.http.get(page)).text
    assert "$12.50" in shown and "Take it back" in shown and "Pay it" not in shown
    assert (await api.http.post(f"{page}/refunds/{refund['id']}/pay")).status_code == 403
    await log_in(api, S.ORDERS_READ, S.REFUNDS_PAY, S.REFUNDS_GRANT)
    paid = await api.http.post(f"{page}/refunds/{refund['id']}/pay")
    assert paid.headers["location"] == f"{page}?done=paying"
    late = await api.http.post(f"{page}/refunds/{refund['id']}/withdraw")
    assert late.status_code == 409 and 'role="alert"' in late.text


@pytest.mark.parametrize(
    ("path", "lacks"),
    [
        ("/console/exceptions/{exception}", S.EXCEPTIONS_WRITE),
        ("/console/orders/{order}/holds", S.HOLDS_WRITE),
        ("/console/orders/{order}/holds/h/release", S.HOLDS_WRITE),
        ("/console/orders/{order}/cancel", S.ORDERS_WRITE),
        ("/console/orders/{order}/changes", S.ORDERS_WRITE),
        ("/console/orders/{order}/refunds", S.REFUNDS_GRANT),
        ("/console/orders/{order}/refunds/r/pay", S.REFUNDS_PAY),
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
    assert (await api.http.post(url, content=b"x" * 300_000)).status_code == 413
    api.http.cookies.clear()
    lapsed = await api.http.post(url, data=form)
    assert lapsed.status_code == 401 and "Nothing was done: log in, and do it again." in lapsed.text
    assert api.gateway.asked == []


async def test_an_order_that_is_not_there_is_no_fault_of_ours(api: Api) -> None:
    await log_in(api, S.ORDERS_READ)
    missing = await api.http.get("/console/orders/WB-nothing")
    assert missing.status_code == 404 and 'role="alert"' in missing.text
