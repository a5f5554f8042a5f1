"""News about stock: people are told by mail, and the shop's own program by a signed POST."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row

from db import stock as stock_records
from db import stock_alerts as records
from db.base import Database
from domain.notifications import message_id
from domain.stock_alerts import AlertKind
from integrations.errors import ProviderError
from integrations.hooks import Hook
from integrations.mail.mailer import Mail, Mailer
from templates.mails import RenderedMail, ShortOrder, StockMail, TransferMail, UnitsOf
from templates.render import Templates

MOST_POSTS = 20
_FIRST_WAIT = timedelta(seconds=10)
_LONGEST_WAIT = timedelta(hours=4)


class StockPosts:
    """Tells the shop's own program of alerts: once each, or again until it says that it knows."""

    def __init__(self, database: Database, hook: Hook) -> None:
        self._database = database
        self._hook = hook

    async def post(self, *, limit: int = 20) -> int:
        """Post what is due; how many were tried. Where one fails it is tried again after 10 s, 20 s, … 4 h.

        After 20 attempts, which is two days, it is left; the API shows it all the same.
        """
        for tried in range(limit):
            async with self._database.transaction() as connection:
                row = await records.claim_not_posted(connection, most=MOST_POSTS)
                if row is None:
                    return tried
                try:
                    await self._hook.post(row.id, _news(row))
                except ProviderError:
                    wait = min(_FIRST_WAIT * 2 ** min(row.posts, 20), _LONGEST_WAIT)
                    await records.post_later(connection, row.id, wait=wait)
                else:
                    await records.mark_posted(connection, row.id)
        return limit


def _news(row: Row[Any]) -> dict[str, Any]:
    names = ("id", "sku", "warehouse", "transfer_id", "kind", "reason", "facts")
    about = {name: getattr(row, name) for name in names}
    return {"type": "stock.alert", **about, "opened_at": row.opened_at.isoformat()}


@dataclass(frozen=True)
class StockLinks:
    """Where people look in the API: an alert or transfer by its id, the movements of a SKU in a warehouse."""

    alert: Callable[[str], str]
    transfer: Callable[[str], str]
    movements: Callable[[str, str], str]


class StockNews:
    """Mails the operators about stock, once for each alert, under one Message-ID."""

    def __init__(
        self,
        database: Database,
        mailer: Mailer,
        templates: Templates,
        links: StockLinks,
        *,
        shop_name: str,
        mail_domain: str,
        operators: str,
    ) -> None:
        self._database = database
        self._mailer = mailer
        self._templates = templates
        self._links = links
        self._shop_name = shop_name
        self._mail_domain = mail_domain
        self._operators = operators

    async def tell(self, *, limit: int = 20) -> int:
        """Mail what nobody was told of; the number of mails. What is over before that is not told."""
        for told in range(limit):
            async with self._database.transaction() as connection:
                row = await records.claim_not_told(connection)
                if row is None:
                    return told
                if row.transfer_id is None:
                    (level,) = await stock_records.find_levels(connection, [(row.sku, row.warehouse)])
                    rendered = self._about_level(row, level.available)
                else:
                    rendered = self._about_transfer(row)
                await self._mailer.send(self._mail(row, rendered))
                await records.mark_told(connection, row.id)
        return limit

    def _about_level(self, row: Row[Any], available: int) -> RenderedMail:
        orders = tuple(ShortOrder(order["number"], order["units"]) for order in row.facts.get("orders", ()))
        return self._templates.stock_mail(
            StockMail(
                shop_name=self._shop_name,
                sku=row.sku,
                warehouse=row.warehouse,
                kind=AlertKind(row.kind),
                reason=row.reason,
                available=available,
                opened_at=row.opened_at,
                alert_url=self._links.alert(row.id),
                movements_url=self._links.movements(row.sku, row.warehouse),
                orders=orders,
            )
        )

    def _about_transfer(self, row: Row[Any]) -> RenderedMail:
        facts = row.facts
        return self._templates.transfer_mail(
            TransferMail(
                shop_name=self._shop_name,
                number=facts["transfer"],
                source=facts["source"],
                destination=row.warehouse,
                kind=AlertKind(row.kind),
                reason=row.reason,
                units=facts["units"],
                opened_at=row.opened_at,
                lines=tuple(UnitsOf(line["sku"], line["units"]) for line in facts["lines"]),
                transfer_url=self._links.transfer(row.transfer_id),
                alert_url=self._links.alert(row.id),
            )
        )

    def _mail(self, row: Row[Any], rendered: RenderedMail) -> Mail:
        return Mail(
            message_id=message_id(row.id, self._mail_domain),
            to=self._operators,
            to_name="Operators",
            subject=rendered.subject,
            text=rendered.text,
            html=rendered.html,
        )
