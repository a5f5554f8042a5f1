"""The portal's pages as answers, and the way from one to the next."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from integrations.sandbox.portal.dials import NAME, PortalDials
from integrations.sandbox.provider import Answer, Call, FaultAnswer, Sandbox

PREFIX = f"/{NAME}"
HTML = "text/html; charset=utf-8"
_TEMPLATES = Path(__file__).with_name("templates")


class Pages:
    """Draws pages as the dials want them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._drawing = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    @property
    def dials(self) -> PortalDials:
        """The portal's dials as set now."""
        return self._sandbox.dials.read(NAME, PortalDials)

    def page(
        self,
        name: str,
        *,
        session: Mapping[str, Any] | None = None,
        status: int = 200,
        alert: str = "",
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> Answer:
        """A page by its template's name; ``alert`` is shown on top of it."""
        drawn = self._drawing.get_template(f"{name}.html").render(
            page=name, prefix=PREFIX, session=session, alert=alert, dials=self.dials, **facts
        )
        return Answer(status=status, body=drawn, headers=dict(headers or {}), content_type=HTML)

    def notice(self, title: str, text: str, *, status: int, retry_after: int | None = None) -> Answer:
        """A page that says only why there is none."""
        headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
        return self.page("notice", status=status, headers=headers, title=title, text=text)

    def fault(self, call: Call, fault: FaultAnswer) -> Answer:
        """An error that a dial asks for."""
        text = fault.message or "Something went wrong on our side. Please try again."
        return self.notice("Error", text, status=fault.status, retry_after=fault.retry_after)

    def unknown(self, call: Call) -> Answer:
        """The answer to an address that nobody serves."""
        return self.notice("Page not found", "There is no such page.", status=404)


def go(path: str, *, cookie: str | None = None) -> Answer:
    """Send the browser on to a page of the portal."""
    headers = {"Location": f"{PREFIX}{path}"}
    if cookie is not None:
        headers["Set-Cookie"] = cookie
    return Answer(status=303, headers=headers, content_type=HTML)


def form_of(call: Call) -> dict[str, str]:
    """The fields of a form that was sent, without the spaces around their values."""
    fields = parse_qsl(call.body.decode(errors="replace"), keep_blank_values=True)
    return {name: value.strip() for name, value in fields}
