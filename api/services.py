"""What the routes are given. The process that serves them puts it together once."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Protocol

from fastapi import Depends, Request
from temporalio.api.common.v1 import Payload

from api.arrivals import Arrivals
from api.gateway import ClaimGateway, ExchangeGateway, MoneyGateway, OrderGateway, ReturnGateway, TransferGateway
from api.keys import ApiKeys
from api.metrics import WebMetrics
from api.starts import Starts
from db.base import Database
from domain.inbox import ProviderEvent
from domain.orders import Policy
from integrations.carriers.carrier import Carrier

Decode = Callable[[Sequence[Payload]], Awaitable[list[Payload]]]
"""Opens encrypted payloads and passes over plain ones. Raises BadRequest for one that it has no key for."""


class Links(Protocol):
    """Makes the addresses that customers get."""

    def url(self, order_id: str) -> str:
        """The signed address of the order's page."""


class WebhookReader(Protocol):
    """The part of a provider's adapter that reads what the provider sends."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], *, path: str, now: datetime) -> ProviderEvent:
        """Verify and read a webhook. Raises BadSignature or BadPayload."""


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that routes use.

    ``webhooks`` has the providers whose secrets are set, ``payments`` the names of those that orders may name.
    ``temporal_answers`` asks Temporal whether it is there. ``codec_token`` opens the codec to pages of ``temporal_ui``.
    ``ring`` has the workers look at events that were stored. ``traceparent`` tells where in which trace the request is,
    if it is in one.
    """

    database: Database
    arrivals: Arrivals
    starts: Starts
    gateway: OrderGateway
    transfers: TransferGateway
    returns: ReturnGateway
    claims: ClaimGateway
    exchanges: ExchangeGateway
    money: MoneyGateway
    keys: ApiKeys
    links: Links
    metrics: WebMetrics
    payments: frozenset[str]
    carriers: Mapping[str, Carrier]
    webhooks: Mapping[str, WebhookReader]
    decode: Decode
    codec_token: str
    temporal_ui: str
    temporal_answers: Callable[[], Awaitable[bool]]
    policy: Policy
    now: Callable[[], datetime]
    ring: Callable[[], None]
    traceparent: Callable[[], str | None] = lambda: None


async def services(request: Request) -> Services:
    """The services of the app that serves ``request``; a coroutine, as the framework gives functions to a thread."""
    wired: Services = request.app.state.services
    return wired


Wired = Annotated[Services, Depends(services)]
