"""What every part of the vendor works with: the books, the clock, and the sending of events."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from integrations.sandbox.provider import Call, Object, Sandbox
from integrations.sandbox.stripe.dials import StripeDials
from integrations.sandbox.stripe.errors import missing
from integrations.sandbox.webhooks import Outgoing

NAME = "stripe"
_ASKED_BY = {
    "payment_intent": ("customer",),
    "charge": ("payment_intent", "customer"),
    "refund": ("payment_intent", "charge"),
    "dispute": ("payment_intent", "charge"),
    "customer": ("email",),
}
"""the fields by which lists are filtered"""
API_VERSION = "2026-10-28.endive"


@dataclass(frozen=True)
class Cause:
    """The request that an event is due to; both are None for what happens by itself."""

    request_id: str | None = None
    idempotency_key: str | None = None

    @classmethod
    def of(cls, call: Call) -> "Cause":
        """The call as a cause."""
        return cls(call.request_id, call.headers.get("idempotency-key"))


class Till:
    """Reads and writes the vendor's objects and tells the world about them."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self.books = sandbox.books
        for kind, fields in _ASKED_BY.items():
            for field in fields:
                self.books.index(kind, field)

    @property
    def dials(self) -> StripeDials:
        """The dials as set now."""
        return self._sandbox.dials.read(NAME, StripeDials)

    @property
    def public_url(self) -> str:
        """What links to the sandbox begin with."""
        return self._sandbox.settings.public_url

    def now(self) -> int:
        """Unix seconds, whole as all the vendor's times are."""
        return int(self._sandbox.clock())

    def clock(self) -> float:
        """Unix seconds with their fraction."""
        return self._sandbox.clock()

    def new_id(self, prefix: str) -> str:
        """A fresh id such as ``pi_...``."""
        return self.books.new_id(prefix)

    def save(self, obj: Object) -> Object:
        """Put an object on the books under its own kind."""
        self.books.put(obj["object"], obj["id"], obj)
        return obj

    def load(self, kind: str, object_id: str, *, param: str | None = None) -> Object:
        """The object. Raises `Refused`: 404 for one in the path, 400 for one named in ``param``."""
        found = self.books.get(kind, object_id)
        if found is None:
            if param is None:
                raise missing(kind, object_id, param=_PATH_PARAMS.get(kind, "id"))
            raise missing(kind, object_id, status=400, param=param)
        return found

    def compose_event(
        self, event_type: str, obj: Object, cause: Cause | None = None, previous: Object | None = None
    ) -> Object:
        """An event around a copy of the object; ``previous`` holds changed fields as they were."""
        cause = cause or Cause()
        data: Object = {"object": public(obj)}
        if previous is not None:
            data["previous_attributes"] = previous
        return {
            "id": self.new_id("evt"),
            "object": "event",
            "account": None,
            "api_version": API_VERSION,
            "context": None,
            "created": self.now(),
            "data": data,
            "livemode": False,
            "pending_webhooks": sum(endpoint.wants(event_type) for endpoint in self._sandbox.webhooks.endpoints(NAME)),
            "request": {"id": cause.request_id, "idempotency_key": cause.idempotency_key},
            "type": event_type,
        }

    def tell(self, event_type: str, obj: Object, cause: Cause, previous: Object | None = None) -> None:
        """Put an event on the books and send it to whoever wants it."""
        event = self.save(self.compose_event(event_type, obj, cause, previous))
        self._sandbox.webhooks.send(NAME, event["id"], event_type, event, request_id=cause.request_id)

    def delivered(self, event_id: str) -> bool:
        """Whether every endpoint took the event."""
        return self._sandbox.webhooks.delivered(event_id)


def public(obj: Mapping[str, Any]) -> Object:
    """The object as the world sees it: without the fields that only the sandbox knows."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def sign(outgoing: Outgoing) -> dict[str, str]:
    """The signature header ``t=...,v1=...``: HMAC-SHA256 over ``t.body`` with the whole secret as key.

    Source: docs.stripe.com/webhooks/signature.
    """
    stamp = int(outgoing.sent_at)
    signed = f"{stamp}.".encode() + outgoing.body
    digest = hmac.digest(outgoing.secret.encode(), signed, "sha256").hex()
    return {"Stripe-Signature": f"t={stamp},v1={digest}", "User-Agent": "Stripe/1.0 (sandbox)"}


_PATH_PARAMS = {"payment_intent": "intent", "payment_method": "payment_method"}
