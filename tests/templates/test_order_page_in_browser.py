"""The order's page in a real browser, served with the strictest policy that it must live with."""

import shutil
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.async_api import Browser, Page, async_playwright, expect

from domain.money import Money
from domain.orders import Address, OrderStatus
from domain.waiting import Party, Waiting
from templates.pages import OrderPage, PageMoney
from templates.parts import PricedLine
from templates.render import Templates

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")

NOON = datetime(2025, 11, 20, 12, 0, tzinfo=UTC)
ZERO = Money(0, "EUR")
PACKING = OrderPage(
    shop_name="Nordlicht Supply",
    locale="en-GB",
    csp_nonce="n0nce",
    number="WB-100042",
    status=OrderStatus.FULFILLING,
    waiting=Waiting("the hand-over of parcel 1", Party.WAREHOUSE, NOON),
    placed_at=NOON,
    as_of=NOON,
    customer_name="Ada Weiß",
    address=Address("Kastanienallee 12", "Berlin", "10435", "DE"),
    lines=(PricedLine("Espresso cups, set of four", "CUP-4-WHT-0123456789", 2, Money(6400, "EUR")),),
    money=PageMoney(shipping=ZERO, total=Money(6400, "EUR"), authorised=ZERO, captured=ZERO, refunded=ZERO),
    refresh_every=timedelta(seconds=1),
)
POLICY = (
    "default-src 'none'; script-src 'nonce-n0nce'; style-src 'nonce-n0nce'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)


class Shop:
    """Serves ``page`` at every path and counts how often."""

    def __init__(self, page: OrderPage) -> None:
        self.page = page
        self.served = 0
        shop, templates = self, Templates()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = templates.order_page(shop.page).encode()
                shop.served += 1
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Security-Policy", POLICY)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Tests are quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/orders/42"


@pytest.fixture
def shop() -> Iterator[Shop]:
    shop = Shop(PACKING)
    thread = threading.Thread(target=shop.server.serve_forever)
    thread.start()
    yield shop
    shop.server.shutdown()
    shop.server.server_close()
    thread.join()


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        await browser.close()


@pytest.fixture
async def tab(browser: Browser) -> AsyncIterator[Page]:
    """A tab of a reader in Shanghai; a console error, such as a breach of the policy, fails the test."""
    context = await browser.new_context(timezone_id="Asia/Shanghai")
    page = await context.new_page()
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    await context.close()
    # The browser asks for a site icon by itself, which the policy refuses as it should.
    assert [error for error in errors if "favicon" not in error] == []


async def test_an_open_page_shows_news_by_itself_until_the_order_has_ended(shop: Shop, tab: Page) -> None:
    await tab.clock.install()
    await tab.goto(shop.url)
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Being packed")
    delivered = Waiting("Delivered", Party.NOBODY, NOON)
    shop.page = replace(PACKING, status=OrderStatus.DELIVERED, waiting=delivered)
    await expect(tab.get_by_role("heading", level=1)).to_have_text("Delivered")
    await expect(tab.get_by_role("status")).to_contain_text("Everything has arrived")
    await expect(tab).to_have_title("Delivered · Order WB-100042 · Nordlicht Supply")
    served = shop.served
    await tab.clock.fast_forward("10:00")
    await tab.evaluate("async () => { await fetch(location.href); }")
    assert shop.served == served + 1


async def test_times_are_shown_in_the_readers_zone(shop: Shop, tab: Page) -> None:
    await tab.goto(shop.url)
    moment = tab.locator(".waiting time")
    await expect(moment).to_have_text("20 Nov 2025, 20:00")
    await expect(moment).to_have_attribute("title", "20 Nov 2025, 12:00 UTC")


@pytest.mark.parametrize("width", [320, 1200])
@pytest.mark.parametrize("locale", ["en", "zh"])
async def test_nothing_is_wider_than_the_screen(shop: Shop, tab: Page, width: int, locale: str) -> None:
    shop.page = replace(PACKING, locale=locale)
    await tab.set_viewport_size({"width": width, "height": 700})
    await tab.goto(shop.url)
    assert await tab.evaluate("document.documentElement.scrollWidth") == width
