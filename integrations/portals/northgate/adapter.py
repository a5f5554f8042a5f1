"""Northgate's portal, as a person would use it.

An order that the portal has taken is in the list at once, or at the latest when its list has caught up; the reference
is searched as part of a text, so an exact match is made here. An order can be cancelled until it is being picked.
"""

import asyncio
import time
from typing import ClassVar

from domain.orders import Address
from domain.portals import PortalLine, PortalOrder, PortalRequest, PortalStatus
from integrations.errors import PageChanged, Rejected
from integrations.portals.account import PortalAccount
from integrations.portals.desk import Desk, Manners
from integrations.portals.marks import Field, Sheet
from integrations.portals.northgate import sheets as at
from integrations.portals.northgate.countries import CODES
from integrations.portals.portal import Agree, Document
from integrations.portals.totp import STEP, code

_NOBODY = Address("48 Prospect St", "Portland", "04101", "US", name="Survey", state="ME")


class Northgate:
    """One visit."""

    name: ClassVar[str] = "northgate"
    manners: ClassVar[Manners] = at.MANNERS
    hidden: frozenset[str] = frozenset()

    def __init__(self, desk: Desk, account: PortalAccount) -> None:
        self._desk, self._account = desk, account
        self._url = account.base_url.rstrip("/")

    async def log_in(self) -> None:
        """See the protocol."""
        desk = self._desk
        await desk.go(f"{self._url}/login")
        await desk.see(at.LOGIN)
        await desk.fill(at.USER, self._account.username, secret=True)
        await desk.fill(at.PASSWORD, self._account.password, secret=True)
        await desk.press(at.SIGN_IN)
        if await desk.is_on(at.LOGIN.title):
            raise Rejected(self._account.name, "it does not take our name and password", status=401, code="password")
        await self._give_code()
        if await desk.is_on(at.SECOND.title):
            # A code counts once: somebody has logged in with the same one, or it was just running out.
            await asyncio.sleep(STEP - time.time() % STEP + 0.5)
            await self._give_code()
        if await desk.is_on(at.SECOND.title):
            raise Rejected(self._account.name, "it does not take our second factor", status=401, code="totp")
        await desk.see(at.ORDERS)

    async def find(self, reference: str) -> tuple[str, ...]:
        """See the protocol."""
        desk = self._desk
        await desk.go(f"{self._url}/orders")
        await desk.see(at.ORDERS)
        await desk.fill(at.SEARCH, reference)
        await desk.press(at.SEARCH_NOW)
        await desk.see(at.ORDERS)
        await desk.picture("found")
        rows = await desk.rows(at.LIST)
        return tuple(row["Order"] for row in rows if row["Your reference"] == reference)

    async def place(self, request: PortalRequest, *, agree: Agree) -> str:
        """See the protocol."""
        await self._fill_in(request)
        await agree(await self._shown())
        await self._desk.submit(at.PLACE)
        await self._desk.see(at.THANKS)
        await self._desk.record()
        told = await self._desk.facts(at.CONFIRMATION)
        return self._need(told, "Order number")

    async def read(self, number: str) -> PortalOrder:
        """See the protocol."""
        await self._open(number)
        await self._desk.record()
        return await self._order(number)

    async def cancel(self, number: str) -> PortalOrder:
        """See the protocol."""
        await self._open(number)
        order = await self._order(number)
        if order.status is PortalStatus.CANCELLED:
            return order
        if not await self._desk.is_on(at.CANCEL):
            text = f"order {number} is {order.status} and cannot be cancelled any more"
            raise Rejected(self._account.name, text, status=409, code="too_late")
        await self._desk.press(at.CANCEL)
        await self._desk.see(at.cancel_sheet(number))
        await self._desk.submit(at.CANCEL_NOW)
        if alert := await self._desk.alert():
            raise Rejected(self._account.name, alert, status=409, code="too_late")
        return await self.read(number)

    async def download(self, number: str) -> Document:
        """See the protocol."""
        await self._open(number)
        if not await self._desk.is_on(at.NOTE):
            raise Rejected(self._account.name, f"order {number} has no delivery note yet", status=404, code="no_note")
        document = await self._desk.fetch(at.NOTE)
        return Document(f"delivery-note-{number}.pdf", document.media_type, document.content)

    async def survey(self, sku: str | None) -> None:
        """See the protocol."""
        desk = self._desk
        newest = next((row["Order"] for row in await desk.rows(at.LIST)), None)
        if newest is not None:
            await self._open(newest)
        if sku is None:
            await desk.go(f"{self._url}/new")
            await desk.see(at.ITEMS)
        else:
            await self._fill_in(PortalRequest("survey", _NOBODY, (PortalLine(sku, 1),)))

    async def _give_code(self) -> None:
        await self._desk.see(at.SECOND)
        await self._desk.fill(at.CODE, code(self._account.totp, time.time()), secret=True)
        await self._desk.press(at.VERIFY)

    async def _open(self, number: str) -> None:
        if not await self._desk.go(f"{self._url}/orders/{number}"):
            raise Rejected(self._account.name, f"it has no order {number}", status=404, code="no_order")
        await self._desk.see(at.order_sheet(number))

    async def _fill_in(self, request: PortalRequest) -> None:
        """From the first page to the summary."""
        desk = self._desk
        await desk.go(f"{self._url}/new")
        await desk.see(at.ITEMS)
        await desk.fill(at.REFERENCE, request.reference)
        for number, line in enumerate(request.lines, 1):
            item, quantity = Field(f"Item {number}"), Field(f"Quantity {number}")
            if not await desk.is_on(item):
                await desk.press(at.MORE)
                await desk.see(at.ITEMS)
            await desk.fill(item, line.sku)
            await desk.fill(quantity, str(line.quantity))
        await desk.press(at.ITEMS_ON)
        await self._unless_refused(at.ITEMS)
        await desk.see(at.DELIVERY)
        await self._fill_address(request.recipient)
        await desk.press(at.DELIVERY_ON)
        await self._unless_refused(at.DELIVERY)
        await desk.see(at.OPTIONS)
        await desk.tick(at.SERVICES[request.service])
        await desk.fill(at.INSTRUCTIONS, request.instructions)
        await desk.press(at.OPTIONS_ON)
        await desk.see(at.SUMMARY)

    async def _fill_address(self, to: Address) -> None:
        desk = self._desk
        await desk.fill(at.NAME, to.name or "")
        await desk.fill(at.COMPANY, to.company or "")
        await desk.fill(at.STREET, to.street1)
        await desk.fill(at.STREET_2, to.street2 or "")
        await desk.fill(at.POSTAL_CODE, to.postal_code)
        await desk.fill(at.CITY, to.city)
        await desk.fill(at.STATE, to.state or "")
        await desk.choose(at.COUNTRY, to.country)
        await desk.fill(at.PHONE, to.phone or "")

    async def _unless_refused(self, sheet: Sheet) -> None:
        """A form that comes back with an alert was refused. Its text names items and fields, never their owners."""
        if await self._desk.is_on(sheet.title) and (alert := await self._desk.alert()):
            await self._desk.record()
            reason = "out_of_stock" if "out of stock" in alert else "refused"
            raise Rejected(self._account.name, alert[:300], status=422, code=reason)

    async def _order(self, number: str) -> PortalOrder:
        about = await self._desk.facts(at.ABOUT)
        status = at.STATUSES.get(self._need(about, "Status"))
        if status is None:
            raise PageChanged(self._account.name, step="order", missing="status that is known")
        carrier, tracking = about.get("Carrier") or None, about.get("Tracking number") or None
        return PortalOrder(number, status, await self._shown(), carrier, tracking)

    async def _shown(self) -> PortalRequest:
        """What the summary, or an order's page, says: they have the same parts."""
        about, to = await self._desk.facts(at.ABOUT), await self._desk.facts(at.ADDRESS)
        services = {mark.name: service for service, mark in at.SERVICES.items()}
        lines = [(row.get("Item", ""), row.get("Quantity", "")) for row in await self._desk.rows(at.GOODS)]
        if not all(quantity.isdigit() for _, quantity in lines):
            raise PageChanged(self._account.name, step="summary", missing="quantity that is a number")
        return PortalRequest(
            reference=self._need(about, "Your reference"),
            recipient=Address(
                street1=self._need(to, "Street"),
                city=self._need(to, "City"),
                postal_code=self._need(to, "Postal code"),
                country=CODES.get(self._need(to, "Country"), "??"),
                name=to.get("Name"),
                company=to.get("Company"),
                street2=to.get("Address line 2"),
                state=to.get("State or region"),
                phone=to.get("Phone"),
            ),
            lines=tuple(PortalLine(sku, int(quantity)) for sku, quantity in lines),
            service=services.get(about.get("Delivery", ""), "unknown"),
            instructions=about.get("Instructions", ""),
        )

    def _need(self, told: dict[str, str], term: str) -> str:
        value = told.get(term)
        if not value:
            raise PageChanged(self._account.name, step="reading", missing=f'value of "{term}"')
        return value
