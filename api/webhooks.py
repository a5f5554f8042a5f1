"""Webhooks: verify, store, answer. The worker's relay applies what was stored.

200 is answered once the row is safe, and for an event that is there already. A provider whose secrets are not set has
no webhook here.
"""

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response
from fastapi.routing import APIRoute

from api.describing import public_problems
from api.errors import BadWebhook, ForgedWebhook
from api.services import Services, Wired, services
from domain.errors import NotFound, PayloadTooLarge
from domain.inbox import ProviderEvent
from integrations.errors import BadPayload, BadSignature

MAX_BYTES = 1_000_000
"""of a webhook's body"""


class _Direct(APIRoute):
    """Calls its endpoint itself for a provider that we know: of its two arguments the framework has nothing to check.

    An order has fifteen webhooks, and the framework resolves what it depends on for each anew.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        checked = super().get_route_handler()

        async def handle(request: Request) -> Response:
            wired, provider = await services(request), request.path_params["provider"]
            return await (receive(provider, request, wired) if provider in wired.webhooks else checked(request))

        return handle


router = APIRouter(prefix="/webhooks", tags=["webhooks"], route_class=_Direct)

_LONGEST_FIELD = 255


@router.post(
    "/{provider}",
    response_class=Response,
    summary="Report an event",
    responses={200: {"description": "Stored, now or before."}, **public_problems(400, 404, 413, 422, 503)},
)
async def receive(
    provider: Annotated[str, Path(max_length=40, examples=["stripe"])], request: Request, wired: Wired
) -> Response:
    """Take an event that a provider has signed. Anything else is refused."""
    event, body = await _read(provider, request, wired)
    new = await wired.arrivals.store({**_row(event), "body": body, "traceparent": wired.traceparent()})
    if new:
        wired.ring()
    wired.metrics.webhook(provider, "stored" if new else "duplicate")
    return Response()


async def _read(provider: str, request: Request, wired: Services) -> tuple[ProviderEvent, bytes]:
    reader = wired.webhooks.get(provider)
    if reader is None:
        raise NotFound("webhook of a provider", provider)
    # The signature covers the bytes as they came, so nothing may read them before.
    body = await request.body()
    if len(body) > MAX_BYTES:
        raise PayloadTooLarge(f"A webhook may have at most {MAX_BYTES} bytes.")
    headers = {name.lower(): value for name, value in request.headers.items()}
    try:
        event = reader.parse_webhook(body, headers, path=request.scope["path"], now=wired.now())
        _check(event)
    except BadSignature as error:
        wired.metrics.webhook(provider, "bad_signature")
        raise ForgedWebhook(f"{error.detail}.") from error
    except (BadPayload, RecursionError) as error:
        wired.metrics.webhook(provider, "bad_payload")
        raise BadWebhook(f"{error.detail}." if isinstance(error, BadPayload) else "It is too deep.") from error
    return event, body


def _check(event: ProviderEvent) -> None:
    for value in (event.event_id, event.type, event.subject, event.order_id):
        if value is not None and (len(value) > _LONGEST_FIELD or not value.isprintable()):
            raise BadPayload(event.provider, "an id or type of the event is malformed")


def _row(event: ProviderEvent) -> dict[str, object]:
    return {
        "provider": event.provider,
        "event_id": event.event_id,
        "type": event.type,
        "topic": event.topic.value,
        "subject": event.subject,
        "order_id": event.order_id,
        "moves_money": event.moves_money,
        "ends_hold": event.ends_hold,
    }
