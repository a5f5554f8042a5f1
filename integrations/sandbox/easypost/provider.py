"""EasyPost put together: its operations, its keys, its errors."""

import base64
import binascii
import hmac

from integrations.sandbox.easypost.addresses import Addresses
from integrations.sandbox.easypost.controls import Beside
from integrations.sandbox.easypost.dials import EasyPostDials
from integrations.sandbox.easypost.hooks import Events, Hooks, sign
from integrations.sandbox.easypost.purchases import IN_PROGRESS, Purchases
from integrations.sandbox.easypost.shipments import KIND as SHIPMENT
from integrations.sandbox.easypost.shipments import Shipments
from integrations.sandbox.easypost.trackers import KIND as TRACKER
from integrations.sandbox.easypost.trackers import Trackers
from integrations.sandbox.easypost.wire import NAME, error, refused
from integrations.sandbox.provider import Answer, Call, FaultAnswer, Object, Provider, Sandbox, Shelf

_CODES = {
    400: ("BAD_REQUEST", "The request could not be understood."),
    402: ("PAYMENT_REQUIRED", "Payment is required to use this feature."),
    403: ("FORBIDDEN", "You are not allowed to do this."),
    404: ("NOT_FOUND", "The requested resource could not be found."),
    408: ("REQUEST_TIMEOUT", "The request took too long."),
    422: ("UNPROCESSABLE_ENTITY", "The request could not be processed."),
    429: ("RATE_LIMITED", "Too many requests. Please try again later."),
    503: ("SERVICE_UNAVAILABLE", "The service is temporarily unavailable."),
    504: ("GATEWAY_TIMEOUT", "The service took too long to answer."),
}


class OnePurchase:
    """EasyPost has no idempotency keys; but while one purchase of a shipment runs, a second one is turned away."""

    def key(self, call: Call) -> str | None:
        """Calls that buy the same shipment share a key."""
        return call.path if call.operation == "shipments.buy" else None

    def recall(self, call: Call, key: str) -> Answer | None:
        """Nothing is replayed."""
        return None

    def keep(self, call: Call, key: str, answer: Answer) -> None:
        """Nothing is kept."""

    def in_flight(self, call: Call, key: str) -> Answer:
        """A purchase is in progress."""
        return IN_PROGRESS


class Keys:
    """API keys, as the user name of Basic or as a Bearer token; without a set key every one is taken."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def authorise(self, call: Call) -> None:
        """Raises `Refused` (401) for a call without a key or with another than the set one."""
        given = _given_key(call.headers.get("authorization", ""))
        if given and (self._key is None or hmac.compare_digest(given.encode(), self._key.encode())):
            return
        raise refused(401, "UNAUTHORIZED", "The API key is missing or not known.")


def build(sandbox: Sandbox) -> Provider:
    """EasyPost, with its dials installed."""
    sandbox.dials.install(NAME, EasyPostDials)
    events, hooks, addresses = Events(sandbox), Hooks(sandbox), Addresses(sandbox)
    trackers = Trackers(sandbox, events)
    purchases = Purchases(sandbox, events, trackers)
    shipments = Shipments(sandbox, addresses, trackers, purchases)

    def tick(now: float) -> None:
        purchases.tick(now)
        trackers.tick(now)

    def summary() -> Object:
        books = sandbox.books
        return {
            "shipments": books.kinds().get(SHIPMENT, 0),
            "labels": books.counts(SHIPMENT, by="_purchased").get("1", 0),
            "refunds": books.counts(SHIPMENT, by="refund_status"),
            "trackers": books.counts(TRACKER, by="status"),
        }

    return Provider(
        name=NAME,
        prefix="/easypost/v2",
        operations=[
            *shipments.operations,
            *trackers.operations,
            *addresses.operations,
            *hooks.operations,
            *events.operations,
        ],
        authorise=Keys(sandbox.settings.api_keys.get(NAME)).authorise,
        render_fault=render_fault,
        unknown=lambda call: error(404, "NOT_FOUND", "The requested resource could not be found."),
        sign=sign,
        compose_event=events.compose,
        summary=summary,
        response_headers=lambda call: {"x-ep-request-uuid": call.request_id},
        tick=tick,
        idempotency=OnePurchase(),
        shelves=(
            Shelf(SHIPMENT, "Shipments", ("id", "reference", "tracking_code", "refund_status", "created_at")),
            Shelf(TRACKER, "Trackers", ("id", "tracking_code", "carrier", "status", "updated_at", "public_url")),
        ),
        extra_routes=Beside(sandbox, shipments, trackers).routes,
    )


def render_fault(call: Call, fault: FaultAnswer) -> Answer:
    """A dialled error in the vendor's words; ``code`` may name any of them, such as SHIPMENT.POSTAGE.NO_RESPONSE."""
    code, message = _CODES.get(fault.status, ("INTERNAL_SERVER_ERROR", "We're sorry, but something went wrong."))
    answer = error(fault.status, fault.code or code, fault.message or message)
    if fault.retry_after is None:
        return answer
    return Answer(status=answer.status, body=answer.body, headers={"Retry-After": str(fault.retry_after)})


def _given_key(header: str) -> str:
    scheme, _, token = header.partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(token, validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""
