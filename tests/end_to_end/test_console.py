"""An operator's morning in the console: an order is found, held, released, refused something, and cancelled."""

import re
from collections.abc import AsyncIterator
from html import unescape

import httpx2
import pytest

from local.loopback import loopback_client
from tests.end_to_end.killing import money, ready_for_hand_over
from tests.end_to_end.town import Town, until

BROWSER = {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"}


@pytest.fixture
async def desk(town: Town) -> AsyncIterator[httpx2.AsyncClient]:
    """A browser in which somebody has logged in, and which goes where it is led."""
    async with loopback_client(base_url=town.stack.addresses.web, headers=BROWSER, follow_redirects=True) as browser:
        entered = await browser.post("/console/log-in", data={"key": town.stack.secrets.api_key, "next": "/console"})
        assert "Log out" in entered.text
        yield browser
    await town.good_weather()


def hidden(page: str, action: str) -> dict[str, str]:
    """What the form that is sent to ``action`` brings along."""
    form = page.partition(f'action="{action}"')[2].partition("</form>")[0]
    return {name: unescape(value) for name, value in re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form)}


async def test_an_operator_holds_releases_and_cancels_an_order(town: Town, desk: httpx2.AsyncClient) -> None:
    placed = await ready_for_hand_over(town, "console")
    number = (await town.order(placed.id))["number"]
    page, held = f"/console/orders/{placed.id}", f"/console/orders/{placed.id}/holds"
    found = await desk.get("/console/orders", params={"q": number})
    assert page in found.text

    drawn = hidden((await desk.get(page)).text, held)
    done = await desk.post(held, data={**drawn, "reason": "operator", "note": "The address looks odd."})
    assert "It is held" in done.text and "The address looks odd." in done.text
    (fulfilment,) = (await town.order(placed.id))["fulfilments"]
    assert (await town.ask("POST", f"/v1/fulfilments/{fulfilment['id']}/hand-over", key="held")).status_code == 409

    (hold,) = (await town.order(placed.id))["holds"]
    released = await desk.post(f"{held}/{hold['id']}/release", data={"note": "She has written back."})
    assert "Nothing holds it." in released.text

    refund = hidden(released.text, f"{page}/refunds")
    assert refund == {}, "nothing was taken yet, so that nothing can be given back"
    asked = await desk.post(f"{page}/cancel", data={"reason": "Ordered twice", "tell": "true", "restock": "true"})
    sure = hidden(asked.text, f"{page}/cancel")
    assert sure["version"], "it is shown before it is done"
    assert (await town.order(placed.id))["status"] == "fulfilling"
    cancelled = await desk.post(f"{page}/cancel", data=sure)
    assert "is being cancelled" in cancelled.text
    await town.closed([placed.id])
    assert (await town.order(placed.id))["status"] == "cancelled"
    assert await money(town, placed) == ["canceled"]


async def test_an_order_that_waits_for_a_person_is_decided_where_the_e_mail_leads(
    town: Town, desk: httpx2.AsyncClient
) -> None:
    await town.dial("easypost", fail_next=[{"operation": "shipments.buy", "status": 422}], first_scan_seconds=3600)
    placed = (await town.place(1, batch="console-waits"))[0]

    async def waits() -> bool:
        return bool((await town.order(placed.id))["exceptions"])

    await until(waits, what="a person is asked")
    (exception,) = (await town.order(placed.id))["exceptions"]
    led = await desk.get(f"/console/exceptions/{exception['id']}")
    assert str(led.url).endswith(f"/console/orders/{placed.id}")
    assert "The carrier refused" in led.text
    decision = f"/console/exceptions/{exception['id']}"
    decided = await desk.post(
        decision, data={**hidden(led.text, decision), "action": "retry", "note": "They were asleep."}
    )
    assert decided.status_code == 200

    async def goes_on() -> bool:
        order = await town.order(placed.id)
        return order["exceptions"][0]["status"] != "open" and "hand-over" in order["waiting"]["sentence"]

    await until(goes_on, what="the order goes on")
    assert (await town.order(placed.id))["exceptions"][0]["resolution"] == "retry"
