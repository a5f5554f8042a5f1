"""Where visits to portals begin: a browser context for each job, logged in, with its evidence kept."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, cast

from playwright.async_api import BrowserContext, StorageState
from playwright.async_api import Error as BrowserError

from integrations.errors import OutcomeUnknown, ProviderError, SignedOut
from integrations.observing import Observe, observed, unobserved
from integrations.portals.account import PortalAccount
from integrations.portals.browser import Chromium
from integrations.portals.desk import USUAL, Desk, Pace
from integrations.portals.evidence import Keep, unkept
from integrations.portals.portal import Portal, Sighting
from integrations.portals.registry import adapter
from integrations.portals.sessions import Sessions, State

T = TypeVar("T")

_CLOSE_SECONDS = 10
_VIEW: Any = {"width": 1100, "height": 800}
_UNHEARD: Callable[[str], None] = lambda step: None  # noqa: E731


class Office:
    """Fits `integrations.portals.portal.Visits`. Raises ValueError if an account names an adapter that there is not."""

    def __init__(
        self,
        chromium: Chromium,
        accounts: Sequence[PortalAccount],
        sessions: Sessions,
        *,
        pace: Pace = USUAL,
        observe: Observe = unobserved,
    ) -> None:
        self._chromium, self._sessions, self._pace, self._observe = chromium, sessions, pace, observe
        self._accounts = {account.name: account for account in accounts}
        self._adapters = {account.name: adapter(account.adapter) for account in accounts}

    def account(self, portal: str) -> PortalAccount:
        """See the protocol."""
        found = self._accounts.get(portal)
        if found is None:
            raise LookupError(f"no portal is called {portal!r}; PORTALS has: {', '.join(self._accounts) or 'none'}")
        return found

    async def visit(
        self,
        portal: str,
        job: Callable[[Portal], Awaitable[T]],
        *,
        keep: Keep = unkept,
        on_step: Callable[[str], None] = _UNHEARD,
    ) -> T:
        """See the protocol."""
        account = self.account(portal)
        with observed(self._observe, portal, "visit"):
            for last in (False, True):
                state = await self._logged_in(account, keep=keep, on_step=on_step)
                try:
                    async with self._desk(account, state, keep=keep, on_step=on_step) as (_, visitor):
                        return await job(visitor)
                except SignedOut:
                    self._sessions.drop(portal, state)
                    if last:
                        raise
            raise AssertionError("the second round returns or raises")

    async def survey(
        self, portal: str, *, sku: str | None, keep: Keep = unkept
    ) -> tuple[list[Sighting], ProviderError | None]:
        """Fits `integrations.portals.portal.Surveys`: look at every page that can be seen without ordering.

        It logs in anew, so that the log-in is looked at as well.
        """
        account, sightings = self.account(portal), list[Sighting]()
        try:
            async with self._desk(account, None, keep=keep, survey=sightings) as (_, visitor):
                await visitor.log_in()
                await visitor.survey(sku)
        except ProviderError as error:
            return sightings, error
        return sightings, None

    async def _logged_in(self, account: PortalAccount, *, keep: Keep, on_step: Callable[[str], None]) -> State:
        async with self._sessions.lock(account.name):
            kept = self._sessions.get(account.name)
            if kept is not None:
                return kept
            with observed(self._observe, account.name, "log_in"):
                async with self._desk(account, None, keep=keep, on_step=on_step) as (context, visitor):
                    await visitor.log_in()
                    state = cast(State, await context.storage_state())
            self._sessions.keep(account.name, state)
            return state

    @asynccontextmanager
    async def _desk(
        self,
        account: PortalAccount,
        state: State | None,
        *,
        keep: Keep = unkept,
        on_step: Callable[[str], None] = _UNHEARD,
        survey: list[Sighting] | None = None,
    ) -> AsyncIterator[tuple[BrowserContext, Portal]]:
        browser = await self._chromium.browser()
        make = self._adapters[account.name]
        try:
            context = await browser.new_context(
                storage_state=cast(StorageState | None, state), viewport=_VIEW, locale="en-US", timezone_id="UTC"
            )
        except BrowserError as error:
            self._chromium.lost(browser)
            raise OutcomeUnknown(account.name, "the browser died") from error
        limit = asyncio.timeout(self._pace.visit)
        try:
            # Another window would take the front, and a page that is not in front is not drawn and cannot be clicked.
            await context.add_init_script("window.open = () => null")
            desk = Desk(
                context,
                await context.new_page(),
                provider=account.name,
                manners=make.manners,
                secrets=account.secrets,
                keep=keep,
                on_step=on_step,
                pace=self._pace,
                survey=survey,
            )
            # A page whose script never ends answers no question, and no question has a time limit of its own.
            async with limit:
                yield context, make(desk, account)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise OutcomeUnknown(account.name, f"the visit took more than {self._pace.visit:.0f} s") from error
        except BrowserError as error:
            raise OutcomeUnknown(account.name, "the browser died") from error
        finally:
            with suppress(BrowserError, TimeoutError):
                async with asyncio.timeout(_CLOSE_SECONDS):
                    await context.close()
