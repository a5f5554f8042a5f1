"""`make demo`: a fresh stack, a sample shop, ORDERS orders through the public API, and a look at each until it ends.

With EXIT=1, or without a terminal, it ends then, and its last line is JSON.
"""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.live import Live

from local import supplier
from local.board import Seen, final_table, live_view, summary
from local.demo_stories import NOTE, REASON, DemoOrder, Story, demo_orders, told
from local.loopback import loopback_client
from local.ports import Ports
from local.processes import LocalError, shown
from local.shop import RefusedError, Shop
from local.stack import Stack, hold
from local.staff import Staff
from local.terminal import run, until_told
from local.up import STARTING, address_book, show

FOLDER = Path(".waybill/demo")
DEFAULT_ORDERS = 20
MOST_ORDERS = 5000
LOOK_EVERY = timedelta(milliseconds=300)
PLAIN_LINE_EVERY = timedelta(seconds=2)
GIVE_UP_AFTER = timedelta(minutes=10)
PAGES = {
    Story.HELD: "Held and released",
    Story.EDITED: "Edited, money back",
    Story.RETURNED: "Returned, refunded",
    Story.EXCHANGED: "Exchanged",
}
"""under which words the page of the first order with a story is shown"""
# a parcel's whole way in about seven seconds instead of a day and a half
# a label that is given back is void at once: nobody sends what is not packed
QUICK_TRACKING = {"label_created_seconds": 0.5, "first_scan_seconds": 2, "step_seconds": 0.6, "refund_seconds": 0}


@dataclass
class Result:
    """The outcome of the ``orders`` that were placed; those sent in exchange are not among them.

    `delivered` are those of them that reached the door, whatever came back later. `seconds` runs from the first POST
    to the last delivery, of what was sent in exchange too. `well`: everything ended as it should.
    """

    orders: int
    delivered: int
    seconds: float
    well: bool

    @property
    def line(self) -> str:
        """The last line that EXIT=1 prints."""
        return json.dumps({"orders": self.orders, "delivered": self.delivered, "seconds": round(self.seconds, 1)})


async def main() -> int:
    """Status 1 where an order did not reach `delivered`, or its story no end; 130 where it was interrupted before."""
    count = wanted_orders(os.environ)
    ends_by_itself = os.environ.get("EXIT", "") not in {"", "0"} or not sys.stdout.isatty()
    console = Console(highlight=False)
    lacking = supplier.missing()
    stack = Stack(FOLDER, ports=Ports.from_environment(os.environ), say=console.print, supplied=not lacking)
    stack.check_ports()
    clear(FOLDER)
    async with AsyncExitStack() as exits:
        with console.status(STARTING):
            await exits.enter_async_context(stack)
        exits.callback(console.print, "Stopping …")
        if lacking:
            console.print(f"No order goes through a supplier's portal: {lacking} is missing (docs/portals.md).")
        result = await play(stack, console, count, supplied=not lacking)
        if not ends_by_itself:
            console.print("It keeps running; Ctrl-C stops it.")
            await until_told()
    if ends_by_itself:
        sys.stdout.write(result.line + "\n")
    return 0 if result.well else 1


def wanted_orders(environment: Mapping[str, str]) -> int:
    """ORDERS. Raises LocalError where it is not a number from 1 to 5000."""
    text = environment.get("ORDERS") or str(DEFAULT_ORDERS)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_ORDERS:
        raise LocalError(f"ORDERS must be a number from 1 to {MOST_ORDERS}, not {text!r}.")
    return int(text)


def clear(folder: Path) -> None:
    """Empties the folder, unless a stack runs on it (LocalError)."""
    folder.mkdir(parents=True, exist_ok=True)
    release = hold(folder)
    try:
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != "lock":
                entry.unlink()
    except PermissionError as error:
        raise LocalError(
            f"{error.filename} belongs to another user; remove it with 'make clean' as that user."
        ) from None
    finally:
        release()


async def play(stack: Stack, console: Console, count: int, *, supplied: bool = False) -> Result:
    """Loads the shop, places the orders, follows them to their ends and shows what came of it."""
    async with Shop(stack.addresses.web, api_key=stack.secrets.api_key) as shop:
        await quicken(stack.addresses.sandbox)
        with console.status("Loading the sample catalogue …"):
            await shop.load_catalogue()
            await shop.hold_from_abroad()
            if supplied:
                await shop.load_supplier()
        watch = Watch(console, supplied=supplied)
        placing = asyncio.create_task(watch.place(shop, count))
        try:
            await watch.follow(shop, placing)
        finally:
            told_to_the_end = placing.done()
            placing.cancel()
            await asyncio.gather(placing, return_exceptions=True)
        stories = await watch.told(shop)
        seen = await watch.keep_pictures(shop, stack.folder / "pictures")
    console.print(final_table(watch.orders, stories))
    watch.explain_the_rest()
    pictures = {"Pictures of the portal": shown(stack.folder / "pictures")} if seen else {}
    show(
        console,
        summary(watch.orders, seconds=watch.seconds),
        {**address_book(stack), **watch.pages, **pictures, "API key in": shown(stack.folder / "secrets" / "api_key")},
    )
    well = told_to_the_end and watch.placed == count and all(order.arrived for order in watch.orders)
    return Result(count, watch.delivered, watch.seconds, well)


async def quicken(sandbox: str) -> None:
    """Makes the sandbox's parcels travel in seconds, also the supplier's."""
    async with loopback_client(base_url=sandbox, timeout=10) as client:
        (await client.put("/control/dials/easypost", json=QUICK_TRACKING)).raise_for_status()
        (await client.put("/control/dials/portal", json=supplier.QUICK)).raise_for_status()


class Watch:
    """Places orders, has their stories happen, and keeps looking at all of them."""

    def __init__(self, console: Console, *, supplied: bool = False) -> None:
        self._supplied = supplied
        self.orders: list[Seen] = []
        self.pages: dict[str, str] = {}
        """the page of the order placed last, and one for each story"""
        self._placed: set[str] = set()
        self._seen: dict[str, Seen] = {}
        self._special: list[str] = []
        self._looked = asyncio.Condition()
        self._console = console
        self._began = monotonic()
        self._began_at = datetime.now(UTC)
        self._changed = monotonic()

    @property
    def placed(self) -> int:
        """How many orders were placed; what is sent in exchange is not."""
        return len(self._placed)

    @property
    def delivered(self) -> int:
        """How many of those reached the door."""
        return sum(order.arrived for order in self.orders if order.id in self._placed)

    @property
    def seconds(self) -> float:
        """From the first POST to the last delivery so far; to now while some are under way."""
        if self.orders and all(order.ended for order in self.orders):
            deliveries = [order.delivered for order in self.orders if order.delivered]
            return (max(deliveries) - self._began_at).total_seconds() if deliveries else 0.0
        return monotonic() - self._began

    async def place(self, shop: Shop, count: int) -> None:
        """All orders, several at a time. Raises RefusedError."""
        async with asyncio.TaskGroup() as group:
            for order in demo_orders(count, batch=f"demo-{self._began_at:%Y%m%d-%H%M%S}", supplied=self._supplied):
                group.create_task(self._place(shop, order))

    async def _place(self, shop: Shop, order: DemoOrder) -> None:
        placed = await shop.place(order.body)
        self._placed.add(placed.id)
        self.pages["An order's page"] = placed.page
        if order.story is not None:
            self._special.append(placed.id)
            if order.story in PAGES:
                # Customers are told nothing of holds.
                page = placed.inside if order.story is Story.HELD else placed.page
                self.pages.setdefault(PAGES[order.story], page)
            await self._befall(shop, placed.id, order.story)

    async def _befall(self, shop: Shop, id: str, story: Story) -> None:
        """What people do about an order with a story."""
        staff = Staff(shop, self._arrived)
        match story:
            case Story.REJECTED:
                with suppress(RefusedError):  # it has left already: then nothing befalls it
                    await shop.reject(id, reason=REASON, note=NOTE)
            case Story.BACKORDERED:
                await shop.let_arrive(id)
            case Story.HELD:
                await staff.release(id)
            case Story.EDITED:
                await staff.edit(id)
            case Story.RETURNED:
                await staff.take_back(id)
            case Story.EXCHANGED:
                if (sent := await staff.exchange(id)) is not None:
                    self._special.append(sent)
            case Story.SPLIT | Story.SUPPLIED:
                pass

    async def _arrived(self, id: str) -> bool:
        """Wait until an order was delivered; False where it has ended without."""

        def known() -> bool:
            return id in self._seen and (self._seen[id].arrived or self._seen[id].ended)

        async with self._looked:
            await self._looked.wait_for(known)
        return self._seen[id].arrived

    async def told(self, shop: Shop) -> dict[str, str]:
        """What befell the orders that have a story, by their ids."""
        found = await asyncio.gather(*(shop.order(id) for id in self._special))
        return {order["id"]: told(order) for order in found}

    async def keep_pictures(self, shop: Shop, folder: Path) -> int:
        """Pictures of the visits for the first order that a supplier has shipped; how many there are."""
        for id in self._special:
            order = await shop.order(id)
            if any(part["supplier_orders"] for part in order["fulfilments"]):
                return await shop.keep_pictures(order, folder)
        return 0

    async def follow(self, shop: Shop, placing: "asyncio.Task[None]") -> None:
        """Looks until all orders have ended, and all stories, or no order has changed for ten minutes.

        Raises what placing raised.
        """
        with Live(console=self._console, transient=True, auto_refresh=False) as live:
            said = 0.0
            while not self._over(placing):
                if placing.done():
                    await placing
                await self._take(await shop.orders())
                if self._console.is_terminal:
                    live.update(live_view(self.orders, seconds=self.seconds, height=self._console.height), refresh=True)
                elif monotonic() - said > PLAIN_LINE_EVERY.total_seconds():
                    self._console.print(summary(self.orders, seconds=self.seconds))
                    said = monotonic()
                await asyncio.sleep(LOOK_EVERY.total_seconds())
        if placing.done():
            await placing

    def explain_the_rest(self) -> None:
        """One line for every order that was not delivered."""
        for order in self.orders:
            if not order.arrived:
                self._console.print(f"[red]{order.number}[/red] {order.waiting}")

    async def _take(self, orders: list[Seen]) -> None:
        orders.sort(key=lambda order: order.number)  # several at a time are not placed in the order of their numbers
        if orders != self.orders:
            self.orders, self._changed = orders, monotonic()
            self._seen = {order.id: order for order in orders}
            async with self._looked:
                self._looked.notify_all()

    def _over(self, placing: "asyncio.Task[None]") -> bool:
        everything = placing.done() and self._placed <= self._seen.keys()
        if everything and all(order.ended for order in self.orders):
            return True
        return monotonic() - self._changed > GIVE_UP_AFTER.total_seconds()


if __name__ == "__main__":
    sys.exit(run(main))
