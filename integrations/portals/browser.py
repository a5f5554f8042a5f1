"""The browser: an installed Chromium, one for each worker, started when it is needed and again when it has died."""

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog
from playwright.async_api import Browser, Playwright, async_playwright
from playwright.async_api import Error as BrowserError

from integrations.errors import Unreachable

log = structlog.get_logger("portals")

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_QUIET = (
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)
_LAUNCH_SECONDS = 30
_LOOK_EVERY_SECONDS = 2


class BrowserMissing(Exception):
    """There is no browser that could be started; the text is one line that says what to do."""


def find_chromium(path: str = "") -> Path:
    """The program: ``path``, or the first on the PATH. Raises BrowserMissing."""
    found = shutil.which(path) if path else next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        where = f"{path} is no program" if path else f"none of {', '.join(_NAMES)} is on the PATH"
        raise BrowserMissing(f"Portals need Chromium: {where}. Install it, or name it with CHROMIUM_PATH.")
    return Path(found)


class Chromium:
    """One browser process at a time. ``sandbox`` is Chromium's own, which needs a user other than root."""

    def __init__(self, program: Path, *, sandbox: bool = True) -> None:
        self._program, self._sandbox = program, sandbox
        self._playwright: Playwright | None = None
        self._browser: Browser | None = None
        self._starting = asyncio.Lock()
        self._closed = False

    async def __aenter__(self) -> Self:
        """Start it. Raises BrowserMissing if it cannot be."""
        if self._sandbox and os.geteuid() == 0:
            raise BrowserMissing(
                "Chromium's sandbox does not work for root: run as another user, or CHROMIUM_SANDBOX=off."
            )
        try:
            await self._start()
        except BrowserError as error:
            await self._end()
            reason = next((line.strip() for line in str(error).splitlines() if "ERROR" in line or "FATAL" in line), "")
            raise BrowserMissing(f"{self._program} does not start. {reason}".strip()) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._closed = True
        await self._end()

    @property
    def alive(self) -> bool:
        """Whether the browser runs now."""
        return self._browser is not None and self._browser.is_connected()

    async def browser(self) -> Browser:
        """The browser, started again if it has died. Raises Unreachable if that fails."""
        async with self._starting:
            if self._closed:
                raise Unreachable("browser", "it has been closed")
            if self._browser is None or not self._browser.is_connected():
                log.warning("browser_died")
                # With its driver, which may be what died.
                await self._end()
                try:
                    return await self._start()
                except BrowserError as error:
                    raise Unreachable("browser", "it does not start again") from error
            return self._browser

    async def keep_alive(self) -> None:
        """Start it again whenever it has died, until this is cancelled: no visit need come for that."""
        while True:
            await asyncio.sleep(_LOOK_EVERY_SECONDS)
            if not self.alive:
                with suppress(Unreachable):  # tried again at the next look, and `alive` tells
                    await self.browser()

    def lost(self, browser: Browser) -> None:
        """A browser that does not open pages any more is not to be used again, whatever it says of itself."""
        if self._browser is browser:
            self._browser = None

    async def _start(self) -> Browser:
        self._playwright = await async_playwright().start()
        self._browser = await self._launch(self._playwright)
        return self._browser

    async def _end(self) -> None:
        browser, playwright = self._browser, self._playwright
        self._browser = self._playwright = None
        if browser is not None:
            with suppress(BrowserError):
                await browser.close()
        if playwright is not None:
            await playwright.stop()

    async def _launch(self, playwright: Playwright) -> Browser:
        return await playwright.chromium.launch(
            executable_path=self._program,
            args=list(_QUIET),
            chromium_sandbox=self._sandbox,
            timeout=_LAUNCH_SECONDS * 1000,
            handle_sigint=False,
            handle_sigterm=False,
            handle_sighup=False,
        )
