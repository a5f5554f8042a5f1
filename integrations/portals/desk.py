"""The desk at which an adapter works: one page of a browser, and verbs that fail at the first thing that is not there.

After each step the next page is *seen*: once it has loaded, its heading and everything that will be used on it must be
there, and if not the visit ends at once with a picture and the name of what is missing. Nothing is clicked in hope.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from playwright.async_api import BrowserContext, Dialog, Page, Response, Route
from playwright.async_api import Error as BrowserError
from playwright.async_api import TimeoutError as BrowserTimeout

from domain.portals import EvidenceKind
from integrations.errors import (
    OutcomeUnknown,
    PageChanged,
    ProviderDown,
    Rejected,
    SignedOut,
    Throttled,
    Unreachable,
)
from integrations.portals.evidence import MAX_BYTES, Exhibit, Keep, unkept
from integrations.portals.marks import Field, Mark, Sheet
from integrations.portals.portal import Document, Sighting

_ALWAYS_MASKED = "input[type=password], input[autocomplete=one-time-code]"
_HIDDEN = "•••"
_NEVER_SENT = (
    "ERR_CONNECTION_REFUSED",
    "ERR_NAME_NOT_RESOLVED",
    "ERR_ADDRESS_UNREACHABLE",
    "ERR_INTERNET_DISCONNECTED",
)
_SCRUBBED_PAGE = """() => {
  const copy = document.documentElement.cloneNode(true);
  const hushed = 'input[type=hidden], input[type=password], input[autocomplete=one-time-code]';
  for (const each of copy.querySelectorAll(hushed)) each.setAttribute('value', '');
  for (const each of copy.querySelectorAll('script, meta[name*=csrf]')) each.remove();
  return '<!doctype html>' + copy.outerHTML;
}"""
_USABLE = "all => all.length === 1 && all[0].checkVisibility() && !all[0].disabled"
_SHOWN = "all => all.some(each => each.checkVisibility())"
_FACTS = "section => Object.fromEntries([...section.querySelectorAll('dt')].map(each => [each.innerText.trim(), \
each.nextElementSibling ? each.nextElementSibling.innerText.trim() : '']))"
_ROWS = "grid => { const names = [...grid.querySelectorAll('thead th')].map(each => each.innerText.trim()); \
return [...grid.querySelectorAll('tbody tr')].map(row => Object.fromEntries(\
[...row.cells].map((cell, at) => [names[at] ?? String(at), cell.innerText.trim()]))) }"


@dataclass(frozen=True)
class Pace:
    """Seconds: for a page to load, its heading to appear once it has, a click or a key to take, and the whole visit."""

    load: float = 45
    appear: float = 2
    act: float = 3
    visit: float = 240


USUAL = Pace()


@dataclass(frozen=True)
class Manners:
    """What an adapter knows of its portal as a whole.

    ``login`` is the sheet that is shown to whoever is signed out; ``down`` those that say that the portal is closed.
    ``closers`` are buttons of notices that may be closed unread.
    """

    login: Sheet
    down: Sequence[Mark] = ()
    closers: Sequence[str] = ("Close",)


class Desk:
    """One page of one context. ``provider`` is the portal's name in errors; ``secrets`` are kept out of evidence."""

    def __init__(
        self,
        context: BrowserContext,
        page: Page,
        *,
        provider: str,
        manners: Manners,
        secrets: Sequence[str] = (),
        keep: Keep = unkept,
        on_step: Callable[[str], None] = lambda step: None,
        pace: Pace = USUAL,
        survey: list[Sighting] | None = None,
    ) -> None:
        self.page: Final = page
        self.provider: Final = provider
        self._context = context
        self._manners = manners
        self._secrets = list(secrets)
        self._keep = keep
        self._on_step = on_step
        self._pace = pace
        self._survey = survey
        self._step = "begin"
        self._masked: list[Mark] = []
        self._chores: set[asyncio.Task[None]] = set()
        page.set_default_timeout(pace.act * 1000)
        page.on("dialog", self._dismiss)
        context.on("page", self._close_stranger)

    # --- going and looking -------------------------------------------------------------------------------------------

    async def go(self, url: str) -> bool:
        """Open an address; False if the portal says that there is no such page.

        Raises Unreachable, OutcomeUnknown, ProviderDown or Throttled.
        """
        with self._translated():
            response = await self.page.goto(url, wait_until="domcontentloaded", timeout=self._pace.load * 1000)
        self._check(response)
        return response is None or response.status != 404

    async def see(self, sheet: Sheet) -> None:
        """Make sure that ``sheet`` is on screen, whole. Raises PageChanged, SignedOut or ProviderDown."""
        self._step = sheet.step
        self._on_step(sheet.step)
        with self._translated():
            await self._appear(sheet)
            await self._clear(sheet)
            wanted = (sheet.title, *sheet.marks)
            usable = await asyncio.gather(*(mark.on(self.page).evaluate_all(_USABLE) for mark in wanted))
            missing = [mark for mark, there in zip(wanted, usable, strict=True) if not there]
        if self._survey is not None:
            lacking = {str(mark) for mark in missing}
            self._survey += [Sighting(sheet.step, str(mark), str(mark) not in lacking) for mark in wanted]
        if missing:
            await self._fail(str(missing[0]))

    async def is_on(self, mark: Mark) -> bool:
        """Whether something is on screen now."""
        with self._translated():
            shown: bool = await mark.on(self.page).evaluate_all(_SHOWN)
        return shown

    async def read(self, mark: Mark) -> str:
        """The text of something; empty if it is not there."""
        with self._translated():
            return (await mark.on(self.page).inner_text()).strip() if await self.is_on(mark) else ""

    async def alert(self) -> str:
        """What the page says in an alert; empty if nothing."""
        with self._translated():
            shown = await self.page.get_by_role("alert").all_inner_texts()
        return " ".join(text.strip() for text in shown)

    async def facts(self, area: Mark) -> dict[str, str]:
        """The terms and values of a section."""
        with self._translated():
            found: dict[str, str] = await area.on(self.page).evaluate(_FACTS)
        return found

    async def rows(self, grid: Mark) -> list[dict[str, str]]:
        """The rows of a table by the names of its columns."""
        with self._translated():
            found: list[dict[str, str]] = await grid.on(self.page).evaluate(_ROWS)
        return found

    # --- doing -------------------------------------------------------------------------------------------------------

    async def fill(self, field: Field, value: str, *, secret: bool = False) -> None:
        """Fill a field in. A ``secret`` one is covered in pictures, and its value taken out of pages."""
        if secret:
            self._masked.append(field)
            self._secrets.append(value)
        await self._act(field, lambda: field.on(self.page).fill(value))

    async def choose(self, field: Field, value: str) -> None:
        """Choose the option of a list that has this value. Raises Rejected if the portal does not offer it."""
        with self._translated():
            offered = await field.on(self.page).locator("option").evaluate_all("all => all.map(each => each.value)")
        if value not in offered:
            raise Rejected(self.provider, f"{self._step}: {field} does not offer {value}", status=422, code="no_option")
        await self._act(field, lambda: field.on(self.page).select_option(value=value))

    async def tick(self, mark: Mark) -> None:
        """Choose a radio button, or tick a box."""
        await self._act(mark, lambda: mark.on(self.page).check())

    async def press(self, mark: Mark) -> None:
        """Press what leads to another page, and wait until that has loaded. A picture is taken before."""
        await self.picture()
        with self._translated():
            response = await self._press(mark)
        self._check(response)

    async def submit(self, mark: Mark) -> None:
        """Press the button that cannot be taken back. Its request leaves this machine once, whatever happens.

        A browser sends a form again by itself where a kept-alive connection is closed before an answer came (Chromium's
        HttpNetworkTransaction::ShouldResendRequest, for POST as well), and pages send twice what is clicked twice. So
        the request is taken out of the browser's hands, sent once, and any further one is cut off.

        Raises OutcomeUnknown where no answer came: it may have been done.
        """
        await self.picture()
        async with self._sent_once():
            try:
                response = await self._press(mark)
            except BrowserError as error:
                raise OutcomeUnknown(self.provider, f"{self._step}: no answer after {mark}") from error
        if response is not None and response.status >= 500:
            raise OutcomeUnknown(self.provider, f"{self._step}: {response.status} after {mark}")
        self._check(response)

    async def fetch(self, mark: Mark) -> Document:
        """The file behind a link, with the visitor's cookies, kept as evidence. Raises Rejected for what is no file."""
        with self._translated():
            address = urljoin(self.page.url, await mark.on(self.page).get_attribute("href") or "")
            answer = await self._context.request.get(address, timeout=self._pace.load * 1000, max_retries=0)
            content = await answer.body() if answer.ok else b""
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if not answer.ok or media_type.startswith("text/html") or len(content) > MAX_BYTES:
            raise Rejected(self.provider, f"{self._step}: no file behind {mark}", status=answer.status)
        document = Document(mark.name, media_type or "application/octet-stream", content)
        await self._keep(Exhibit(self._step, EvidenceKind.DOCUMENT, document.name, document.media_type, content))
        return document

    # --- evidence ----------------------------------------------------------------------------------------------------

    async def picture(self, name: str = "") -> None:
        """Keep what is on screen, with secret fields covered."""
        with self._translated():
            masks = [self.page.locator(_ALWAYS_MASKED), *(mark.on(self.page) for mark in self._masked)]
            shot = await self.page.screenshot(full_page=True, mask=masks, animations="disabled", timeout=10_000)
        await self._keep(Exhibit(self._step, EvidenceKind.PICTURE, name or self._step, "image/png", shot))

    async def record(self) -> None:
        """Keep the page as a picture and as HTML, without scripts, hidden fields and secrets."""
        await self.picture()
        with self._translated():
            text: str = await self.page.evaluate(_SCRUBBED_PAGE)
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, _HIDDEN)
        await self._keep(Exhibit(self._step, EvidenceKind.PAGE, self._step, "text/html", text.encode()))

    # --- how ---------------------------------------------------------------------------------------------------------

    async def _appear(self, sheet: Sheet) -> None:
        """Wait for the heading, and no longer than it takes to see that another page is there."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._pace.appear
        while not await self.is_on(sheet.title):
            if sheet is not self._manners.login and await self.is_on(self._manners.login.title):
                raise SignedOut(self.provider, f"{sheet.step}: the log-in is shown")
            for down in self._manners.down:
                if await self.is_on(down):
                    raise ProviderDown(self.provider, f"{sheet.step}: {down} is shown")
            if loop.time() > deadline:
                break
            await asyncio.sleep(0.05)

    async def _clear(self, sheet: Sheet) -> bool:
        """Close notices that cover the page; whether there were any. Raises PageChanged for one that wants more."""
        closed = False
        for notice in await self.page.get_by_role("dialog").all():
            if not await notice.is_visible():
                continue
            for name in self._manners.closers:
                closer = notice.get_by_role("button", name=name, exact=True)
                if await closer.count() == 1:
                    await closer.click()
                    closed = True
                    break
            else:
                await self._fail(f"view of {sheet.title}: a notice covers it")
        return closed

    async def _act(self, mark: Mark, do: Callable[[], Awaitable[Any]]) -> None:
        with self._translated():
            try:
                await do()
            except BrowserTimeout:
                # A notice may have come up since the page was looked at.
                if not await self._clear(Sheet(self._step, mark)):
                    await self._fail(f"{mark} that can be used")
                await do()

    async def _press(self, mark: Mark) -> Response | None:
        if self._chores:
            await asyncio.wait(self._chores)
        await self._clear(Sheet(self._step, mark))
        async with self.page.expect_navigation(wait_until="domcontentloaded", timeout=self._pace.load * 1000) as going:
            await mark.on(self.page).click(no_wait_after=True)
        return await going.value

    @asynccontextmanager
    async def _sent_once(self) -> AsyncIterator[None]:
        sent: list[Route] = []
        held: list[Route] = []

        async def once(route: Route) -> None:
            request = route.request
            if request.method in ("GET", "HEAD") or not request.is_navigation_request():
                await route.continue_()
                return
            if sent:
                await route.abort()
                return
            sent.append(route)
            held.append(route)
            answer = None
            with suppress(BrowserError):
                answer = await route.fetch(max_redirects=0, max_retries=0, timeout=self._pace.load * 1000)
            if held:  # else it was cut off meanwhile
                held.clear()
                await (route.abort() if answer is None else route.fulfill(response=answer))

        await self.page.route("**/*", once)
        try:
            yield
        finally:
            await self._let_go(held)
            if not self.page.is_closed():
                await self.page.unroute("**/*", once)

    async def _let_go(self, held: list[Route]) -> None:
        """Cut off what the browser still holds: taking the interception away would have the browser send it as well."""
        while held:
            with suppress(BrowserError):
                await held.pop().abort()

    def _check(self, response: Response | None) -> None:
        if response is None or response.status < 429:
            return
        if response.status == 429:
            wait = response.headers.get("retry-after", "")
            raise Throttled(self.provider, self._step, retry_after=float(wait) if wait.isdigit() else 60)
        if response.status >= 500:
            raise ProviderDown(self.provider, f"{self._step}: {response.status}")

    async def _fail(self, missing: str) -> None:
        await self.picture(f"without {missing}")
        raise PageChanged(self.provider, step=self._step, missing=missing)

    def _translated(self) -> "_Translated":
        return _Translated(self.provider, lambda: self._step)

    def _dismiss(self, box: Dialog) -> None:
        self._chore(box.dismiss())

    def _close_stranger(self, page: Page) -> None:
        async def close() -> None:
            await page.close()
            # A page behind another one is not drawn, and what is not drawn cannot be clicked.
            await self.page.bring_to_front()

        if page is not self.page:
            self._chore(close())

    def _chore(self, work: Any) -> None:
        async def quietly() -> None:
            with suppress(BrowserError):  # it may be gone already
                await work

        task = asyncio.create_task(quietly())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)


class _Translated:
    """Turns the browser's errors into ours. Their texts hold addresses and values, and are left out."""

    def __init__(self, provider: str, step: Callable[[], str]) -> None:
        self._provider, self._step = provider, step

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Raise ours in place of theirs."""
        if not isinstance(error, BrowserError):
            return
        if any(word in str(error) for word in _NEVER_SENT):
            raise Unreachable(self._provider, f"{self._step()}: the portal cannot be reached") from error
        what = "no answer in time" if isinstance(error, BrowserTimeout) else "the browser lost the page"
        raise OutcomeUnknown(self._provider, f"{self._step()}: {what}") from error
