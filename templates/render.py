"""Fills the templates. Undefined names are errors, and HTML is escaped."""

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from domain.exceptions import IRREVOCABLE
from templates.console import EvidencePage, ExceptionsPage, LogInPage, OrdersPage, PortalsPage, RefusalPage
from templates.console_order import ConsoleOrderPage
from templates.language import Format, Language, is_web_url, one_line, seconds
from templates.mails import OperatorMail, OrderMail, RenderedMail, StockMail, TransferMail
from templates.pages import NoOrder, OrderPage, stages

_HERE = Path(__file__).parent


class Templates:
    """All templates, loaded once for a process. Every method is pure: the same input gives the same text."""

    def __init__(self, folder: Path = _HERE) -> None:
        self._environment = _environment(folder)
        self._words = {language: _words(folder, language) for language in Language}

    def order_mail(self, mail: OrderMail) -> RenderedMail:
        """The e-mail in the customer's language."""
        form = Format.for_reader(mail.locale)
        return self._mail(f"mails/{mail.kind}/{form.language.folder}", form, mail)

    def operator_mail(self, mail: OperatorMail) -> RenderedMail:
        """The e-mail to the operators, in English."""
        return self._mail("mails/operator/en", Format.for_reader("en"), mail)

    def stock_mail(self, mail: StockMail) -> RenderedMail:
        """The e-mail to the operators about stock, in English."""
        return self._mail("mails/stock/en", Format.for_reader("en"), mail)

    def transfer_mail(self, mail: TransferMail) -> RenderedMail:
        """The e-mail to the operators about a transfer, in English."""
        return self._mail("mails/transfer/en", Format.for_reader("en"), mail)

    def order_page(self, page: OrderPage) -> str:
        """The order's page as a whole HTML document. It may only be served with a CSP that allows its nonce."""
        form = Format.for_reader(page.locale)
        return self._fill("order_page.html", form, page=page, stages=stages(page.status))

    def no_order_page(self, why: NoOrder, nonce: str, *, shop_name: str, locale: str) -> str:
        """Why there is no order to see, for customers whose browser asks for a ``locale``, a BCP 47 tag."""
        form = Format.for_reader(locale)
        return self._fill("no_order.html", form, why=why, nonce=nonce, shop_name=shop_name)

    def log_in_page(self, page: LogInPage, nonce: str) -> str:
        """The operators' log-in. As all of their pages it is served with a CSP that allows its nonce for styles."""
        return self._fill("console/log_in.html", Format.for_reader("en"), page=page, nonce=nonce)

    def refusal_page(self, page: RefusalPage, nonce: str) -> str:
        """Why there is nothing to see, for operators."""
        return self._fill("console/refusal.html", Format.for_reader("en"), page=page, nonce=nonce)

    def exceptions_page(self, page: ExceptionsPage, nonce: str) -> str:
        """What waits for operators."""
        return self._fill("console/exceptions.html", Format.for_reader("en"), page=page, nonce=nonce)

    def orders_page(self, page: OrdersPage, nonce: str) -> str:
        """A list of orders, for operators."""
        return self._fill("console/orders.html", Format.for_reader("en"), page=page, nonce=nonce)

    def console_order_page(self, page: ConsoleOrderPage, nonce: str) -> str:
        """One order, for operators."""
        return self._fill("console/order.html", Format.for_reader("en"), page=page, nonce=nonce)

    def portals_page(self, page: PortalsPage, nonce: str) -> str:
        """Suppliers' portals, for operators."""
        return self._fill("console/portals.html", Format.for_reader("en"), page=page, nonce=nonce)

    def evidence_page(self, page: EvidencePage, nonce: str) -> str:
        """What was seen in a supplier's portal, for operators."""
        return self._fill("console/evidence.html", Format.for_reader("en"), page=page, nonce=nonce)

    def _mail(
        self, folder: str, form: Format, mail: OrderMail | OperatorMail | StockMail | TransferMail
    ) -> RenderedMail:
        return RenderedMail(
            subject=one_line(self._fill(f"{folder}/subject.txt", form, mail=mail)),
            text=self._fill(f"{folder}/body.txt", form, mail=mail).strip() + "\n",
            html=self._fill(f"{folder}/body.html", form, mail=mail),
            language=form.language,
        )

    def _fill(self, template: str, form: Format, **values: Any) -> str:
        return self._environment.get_template(template).render(form=form, words=self._words[form.language], **values)


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(folder),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {"one_line": one_line, "seconds": seconds}
    environment.tests["web_url"] = is_web_url
    environment.globals["irrevocable"] = IRREVOCABLE
    return environment


@cache
def _words(folder: Path, language: Language) -> dict[str, Any]:
    return tomllib.loads((folder / "words" / f"{language.folder}.toml").read_text("utf-8"))
