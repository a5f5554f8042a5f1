"""A person at the console sees in the browser exactly what the robot saw, and nothing of it runs."""

import os
from datetime import UTC, datetime
from pathlib import Path

from playwright.async_api import Page, expect

from db import evidence
from tests.portals.trade import Trade, told
from tests.supplier import needs_chromium

pytestmark = needs_chromium

ALBUM = os.environ.get("CONSOLE_PICTURES")
"""where pictures of the pages go, for whoever wants to look at them"""


async def keep_view(page: Page, name: str) -> None:
    """A picture for people."""
    if ALBUM:
        await page.screenshot(path=Path(ALBUM) / f"{name}.png", full_page=True)


async def test_a_person_sees_what_the_robot_saw(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    await trade.open()
    order = await house.place({"MUG-01": 2})
    row = await trade.ordered(order)
    await trade.to_the_door(order)
    (link, *_) = told(await house.current_details(order))
    key = house.http.headers["authorization"].removeprefix("Bearer ")
    context = await (await trade.chromium.browser()).new_context(viewport={"width": 1300, "height": 900})
    try:
        page = await context.new_page()
        await page.goto(link)
        await keep_view(page, "log-in")
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Log in").click()
        await expect(page.get_by_role("heading", name="Parcel 1 at northgate")).to_be_visible()
        assert page.url == link
        await expect(page.get_by_text(row.reference).first).to_be_visible()
        pictures = page.get_by_role("img")
        for picture in await pictures.all():
            if await picture.is_visible():
                await picture.scroll_into_view_if_needed()
                await expect(picture).to_have_js_property("complete", True)
                assert await picture.evaluate("image => image.naturalWidth") > 500
        assert await pictures.count() > 10
        await keep_view(page, "evidence")
        await page.get_by_text("The page “confirmation” itself").first.click()
        kept = page.get_by_title("The page “confirmation” as it was kept").first.content_frame
        await expect(kept.get_by_text(row.number).first).to_be_visible()
        await keep_view(page, "kept-page")
        await page.get_by_role("link", name="Suppliers’ portals").click()
        await keep_view(page, "portals")
        await page.get_by_role("textbox", name="Order").fill((await house.record(order)).number)
        await page.get_by_role("button", name="Show").click()
        await page.get_by_role("link", name="What was seen in the supplier’s portal").click()
        assert page.url == link
        async with page.expect_download() as coming:
            await page.get_by_role("link", name="Delivery note").first.click()
        note = await (await coming.value).path()
        assert note.read_bytes().startswith(b"%PDF-")
    finally:
        await context.close()


async def test_a_kept_page_with_a_script_does_not_run(trade: Trade) -> None:
    house = trade.house
    await trade.stocked()
    order = await house.place({"MUG-01": 2})
    await house.until(order, waiting="a worker of portals to visit northgate")
    (fulfilment,) = await house.fulfilments(order)
    hostile = (
        b"<h1>Kept</h1><script>document.title = 'ran'</script><img src=x onerror=\"document.title = 'ran'\">"
        b"<form action=/console/log-out method=post><button>Go</button></form><style>h1 { color: red }</style>"
    )
    piece = {"id": "hostile", "fulfilment_id": fulfilment.id, "portal": "northgate", "reference": "x", "job": "place"}
    about = {"attempt": 1, "step": "evil", "kind": "page", "name": "evil", "media_type": "text/html", "sha256": "0"}
    async with house.database.transaction() as connection:
        row = {**piece, **about, "size": len(hostile), "at": datetime.now(UTC), "content": hostile}
        await evidence.add(connection, row)
    key = house.http.headers["authorization"].removeprefix("Bearer ")
    context = await (await trade.chromium.browser()).new_context()
    try:
        page = await context.new_page()
        here = f"{house.settings.public_url}/console/fulfilments/{fulfilment.id}/evidence"
        await page.goto(here)
        await page.get_by_label("API key").fill(key)
        await page.get_by_role("button", name="Log in").click()
        await page.goto(f"{here}/hostile")
        await expect(page.get_by_role("heading", name="Kept")).to_be_visible()
        await page.get_by_role("button", name="Go").click()
        assert (page.url, await page.title()) == (f"{here}/hostile", "")
        await page.goto(here)
        await page.get_by_text("The page “evil” itself").click()
        await expect(page.locator("iframe").content_frame.get_by_role("heading", name="Kept")).to_be_visible()
        assert await page.title() != "ran"
    finally:
        await context.close()
