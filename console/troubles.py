"""Errors as pages, for people who came with a browser; programs get them as the API's problems."""

from dataclasses import dataclass
from http import HTTPStatus

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from console.identity import HOME
from console.orders import no_order
from console.page import html_answer
from domain.errors import WaybillError
from templates.console import RefusalPage
from templates.pages import NoOrder
from templates.render import Templates

_NO_SUCH_ADDRESS = (HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
_AWAY = "This cannot be answered right now. Try again in a minute: whatever you have sent before this is kept."
_NOTHING = "There is nothing at this address."


@dataclass(frozen=True, kw_only=True)
class TroublePages:
    """Draws what went wrong before, or while, a page was drawn."""

    templates: Templates
    shop_name: str

    def draw(self, request: Request, error: WaybillError) -> Response | None:
        """The page; None where nobody reads one: outside of the pages, or by a program."""
        if "text/html" not in request.headers.get("accept", ""):
            return None
        path, away = request.url.path, _is_away(error)
        if path == HOME or path.startswith(f"{HOME}/"):
            answer = self._operators(error)
        elif path.startswith("/orders/"):
            why = NoOrder.AWAY if away else NoOrder.MISSING
            answer = no_order(self.templates, self.shop_name, request, why, status=error.status)
        else:
            return None
        if away:
            answer.headers["Retry-After"] = "60"
        return answer

    def _operators(self, error: WaybillError) -> HTMLResponse:
        away = _is_away(error)
        trouble = _AWAY if away else _NOTHING if error.status in _NO_SUCH_ADDRESS else error.detail
        page = RefusalPage(shop_name=self.shop_name, key_name="", rooms=(), trouble=trouble, away=away)
        return html_answer(lambda nonce: self.templates.refusal_page(page, nonce), status=error.status)


def _is_away(error: WaybillError) -> bool:
    return error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
