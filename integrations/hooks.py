"""News for other programs: a signed POST to the shop's own address.

The body is JSON. ``Waybill-Event`` names the news and stays the same however often it is sent. ``Waybill-Signature`` is
``t=<unix seconds>,v1=<hex>``: HMAC-SHA256 of ``<t>.<body>`` under the secret.
"""

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from integrations.http import Answer, Caller, Request, failure, require_base_url

NAME = "alert_webhook"


class Hook(Protocol):
    """Somebody who wants to be told."""

    async def post(self, event_id: str, news: Mapping[str, Any]) -> None:
        """Tell it. Any answer of 2xx is enough. Raises ProviderError."""


class WebHook:
    """Posts to one address."""

    def __init__(self, url: str, *, secret: str, caller: Caller, now: Callable[[], datetime]) -> None:
        self._url = require_base_url(NAME, url)
        self._secret = secret
        self._caller = caller
        self._now = now

    async def post(self, event_id: str, news: Mapping[str, Any]) -> None:
        """Tell it. Any answer of 2xx is enough; redirects are not followed. Raises ProviderError."""
        body = json.dumps(news, separators=(",", ":"), ensure_ascii=False).encode()
        headers = {
            "Content-Type": "application/json",
            "Waybill-Event": event_id,
            "Waybill-Signature": signature(body, secret=self._secret, at=self._now()),
        }
        request = Request(operation="post", method="POST", url=self._url, headers=headers, content=body)
        await self._caller.call(request, _read)


def signature(body: bytes, *, secret: str, at: datetime) -> str:
    """The header ``Waybill-Signature`` of ``body``."""
    stamp = int(at.timestamp())
    digest = hmac.new(secret.encode(), f"{stamp}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={digest}"


def _read(answer: Answer) -> None:
    if not answer.ok:
        raise failure(NAME, answer, detail="")
