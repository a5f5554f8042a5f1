"""Stripe as a `PaymentProvider`.

**Confirming.** A payment is created and confirmed in one call, with ``automatic_payment_methods[enabled]=true`` and
``allow_redirects=never``: any token that the account accepts and that needs no page of ours to come back to, so no
``return_url`` is needed. A card whose bank wants 3-D Secure is then answered with ``requires_action`` and a
``next_action`` of type ``use_stripe_sdk``, for which the shop's page calls Stripe.js; an adopted intent that the shop
created with a ``return_url`` answers ``redirect_to_url``, and its address becomes `PaymentState.action_url`.

**Repeating.** Every POST carries the caller's key. Stripe answers a repeated key with the first answer, 500s included,
and keeps it for at least 24 h: a stored 500 comes back as ``ProviderDown(replayed=True)``, and only a look-up helps.

**Looking up** walks the list and compares metadata. Stripe's search would be one call, but its index may lag behind the
write by a minute or more, which is just when it is asked.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import httpx2

from domain.disputes import DisputeState
from domain.inbox import ProviderEvent
from domain.money import Money
from domain.payments import Decline, PaymentState, PaymentStatus, RefundState
from integrations.breaker import Breaker
from integrations.errors import ProviderDown, ProviderError, Rejected
from integrations.http import TOTAL, Answer, Caller, Request, failure, require_base_url, safe_id, unreadable, word
from integrations.observing import Observe, unobserved
from integrations.payments.provider import Authorisation
from integrations.payments.stripe import objects
from integrations.payments.stripe.objects import NAME, Json
from integrations.payments.stripe.webhooks import read_capture, read_event
from integrations.signatures import verify_stripe

API_VERSION = "2026-10-28.endive"
PAGE = 100
MOST_PAGES = 50

_EXPANDED = {"expand[0]": "latest_charge"}
_SEVERAL = {"payment_method_options[card][request_multicapture]": "if_available"}
# Statuses in which a refused confirmation, or a refused capture, still stands.
_UNPAID = frozenset({PaymentStatus.REQUIRES_METHOD})
_HELD = frozenset({PaymentStatus.AUTHORISED})
_SETTLED = frozenset({PaymentStatus.CAPTURED, PaymentStatus.CANCELLED})
_CONFIRMED = _SETTLED | {PaymentStatus.AUTHORISED, PaymentStatus.PROCESSING, PaymentStatus.REQUIRES_ACTION}
# What Stripe says of an intent or charge that has already come to the end that was asked for, or to another one.
_MOVED_ON = frozenset({"payment_intent_unexpected_state", "charge_already_captured", "charge_expired_for_capture"})


@dataclass(frozen=True)
class _Declined:
    """402 with a card error: an answer, not a failure. ``intent`` is the payment it leaves behind."""

    decline: Decline
    intent: str | None


class Stripe:
    """The adapter. ``base_url`` without ``/v1``; ``timeout`` bounds each call. ``client`` stays the caller's to close.

    ``multicapture`` asks for that with every hold: an account that has not got it is refused such a hold. With no
    ``webhook_secrets`` every webhook is refused. Raises ValueError for a base URL or key that cannot work.
    """

    name = NAME

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str,
        webhook_secrets: Sequence[str],
        client: httpx2.AsyncClient,
        multicapture: bool = False,
        observe: Observe = unobserved,
        timeout: timedelta = TOTAL,
        breaker: Breaker | None = None,
    ) -> None:
        if not api_key:
            raise ValueError("stripe: an API key is needed")
        self._base = require_base_url(NAME, base_url)
        self._headers = {"Authorization": f"Bearer {api_key}", "Stripe-Version": API_VERSION}
        self._secrets = tuple(webhook_secrets)
        self._multicapture = multicapture
        self._caller = Caller(
            provider=NAME, client=client, breaker=breaker or Breaker(NAME), timeout=timeout, observe=observe
        )

    async def authorise(self, request: Authorisation, *, key: str) -> PaymentState:
        """Create a payment with manual capture and confirm it. A decline is answered as a state."""
        form = {
            "amount": str(request.amount.minor),
            "currency": request.amount.currency.lower(),
            "capture_method": "manual",
            "confirm": "true",
            "payment_method": request.method,
            "automatic_payment_methods[enabled]": "true",
            "automatic_payment_methods[allow_redirects]": "never",
            "description": f"Order {request.order_number}",
            "metadata[order_id]": request.order_id,
            **({} if request.change_id is None else {"metadata[change_id]": request.change_id}),
            **(_SEVERAL if self._multicapture else {}),
        }
        reply = await self._post("authorise", "/v1/payment_intents", form, key=key)
        return await self._state(reply, refused=_UNPAID)

    async def confirm(self, reference: str, *, key: str, method: str | None = None) -> PaymentState:
        """Confirm a payment that exists. One already confirmed is answered as it is."""
        form = {"payment_method": method} if method is not None else {}
        return await self._move(reference, "confirm", form, key=key, refused=_UNPAID, already=_CONFIRMED)

    async def reprice(self, reference: str, amount: Money, *, key: str) -> PaymentState:
        """Ask for another amount. Stripe allows it until the payment is confirmed by the customer and his bank."""
        path = f"/v1/payment_intents/{safe_id(NAME, reference)}"
        reply = await self._post("reprice", path, {"amount": str(amount.minor)}, key=key)
        return await self._state(reply, refused=_UNPAID, reference=reference)

    async def retrieve(self, reference: str) -> PaymentState:
        """What Stripe says now."""
        path = f"/v1/payment_intents/{safe_id(NAME, reference)}"
        return objects.payment(await self._get("retrieve", path, _EXPANDED))

    async def find(self, order_id: str, *, since: datetime) -> list[PaymentState]:
        """Payments whose metadata names the order, created at or after ``since``, newest first.

        Raises Rejected where more than 5000 payments would have to be read: then a person must look.
        """
        query = {"created[gte]": str(int(since.timestamp())), "expand[0]": "data.latest_charge"}
        found = self._list("find", "/v1/payment_intents", query)
        return [objects.payment(intent) async for intent in found if objects.order_id(intent) == order_id]

    async def capture(self, reference: str, amount: Money, *, key: str, final: bool = True) -> PaymentState:
        """Take ``amount`` of what is held; the rest is released, if it is ``final``.

        One captured or cancelled is answered as it is. Without ``final`` only where Stripe says that multicapture is
        available (docs.stripe.com/payments/multicapture); then at most fifty times.
        """
        form = {"amount_to_capture": str(amount.minor), **({} if final else {"final_capture": "false"})}
        return await self._move(reference, "capture", form, key=key, refused=_HELD, already=_SETTLED)

    async def void(self, reference: str, *, key: str) -> PaymentState:
        """Release the hold. One captured or cancelled is answered as it is."""
        return await self._move(reference, "cancel", {}, key=key, refused=_HELD, already=_SETTLED)

    async def refund(
        self, reference: str, amount: Money, *, order_id: str, key: str, refund_id: str | None = None
    ) -> RefundState:
        """Give ``amount`` back."""
        form = {
            "payment_intent": safe_id(NAME, reference),
            "amount": str(amount.minor),
            "metadata[order_id]": order_id,
            **({} if refund_id is None else {"metadata[refund_id]": refund_id}),
        }
        reply = await self._post("refund", "/v1/refunds", form, key=key, expand=False)
        if isinstance(reply, _Declined):
            raise Rejected(NAME, f"HTTP 402 {reply.decline.code}", status=402, code=reply.decline.code)
        return objects.refund(reply)

    async def refunds(self, reference: str) -> list[RefundState]:
        """The refunds that we made of a payment, newest first. Stripe lists released holds beside them."""
        query = {"payment_intent": safe_id(NAME, reference)}
        listed = self._list("refunds", "/v1/refunds", query)
        return [objects.refund(obj) async for obj in listed if objects.order_id(obj) is not None]

    async def disputes(self, reference: str) -> list[DisputeState]:
        """The disputes of a payment, newest first."""
        listed = self._list("disputes", "/v1/disputes", {"payment_intent": safe_id(NAME, reference)})
        return [objects.dispute(obj) async for obj in listed]

    def parse_capture(self, body: bytes) -> Money | None:
        """What was taken of its payment by then, if a verified event tells of a capture; None for any other event."""
        return read_capture(body)

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], *, path: str, now: datetime) -> ProviderEvent:
        """Verify and read a webhook. Raises BadSignature or BadPayload."""
        verify_stripe(body, headers, secrets=self._secrets, now=now)
        return read_event(body)

    async def _move(
        self,
        reference: str,
        step: str,
        form: Mapping[str, str],
        *,
        key: str,
        refused: frozenset[PaymentStatus],
        already: frozenset[PaymentStatus],
    ) -> PaymentState:
        """POST ``step`` to an intent; where Stripe refuses since it has moved on to ``already``, answer what it is."""
        path = f"/v1/payment_intents/{safe_id(NAME, reference)}/{step}"
        try:
            reply = await self._post(step, path, form, key=key)
        except Rejected as refusal:
            if refusal.code not in _MOVED_ON:
                raise
            state = await self.retrieve(reference)
            if state.status not in already:
                raise
            return state
        return await self._state(reply, refused=refused, reference=reference)

    async def _state(
        self, reply: "Json | _Declined", *, refused: frozenset[PaymentStatus], reference: str | None = None
    ) -> PaymentState:
        if not isinstance(reply, _Declined):
            return objects.payment(reply)
        intent = reply.intent or reference
        if intent is None:
            raise Rejected(NAME, f"HTTP 402 {reply.decline.code}", status=402, code=reply.decline.code)
        # A repeated key repeats the old refusal, though the customer may have paid since: ask what is so now.
        state = await self.retrieve(intent)
        if state.decline is None and state.status in refused:
            return replace(state, decline=reply.decline)
        return state

    async def _list(self, operation: str, path: str, query: Mapping[str, str]) -> AsyncIterator[Json]:
        """The objects of a list, newest first, page by page."""
        params = {**query, "limit": str(PAGE)}
        for _ in range(MOST_PAGES):
            page = await self._get(operation, path, params)
            data = objects.field(page, "data", list)
            for obj in data:
                if not isinstance(obj, dict):
                    raise unreadable(NAME, "a list's item")
                yield obj
            if not page.get("has_more") or not data:
                return
            params["starting_after"] = objects.field(data[-1], "id", str)
        raise Rejected(NAME, f"{operation}: more than {PAGE * MOST_PAGES} objects", status=200, code="too_many")

    async def _get(self, operation: str, path: str, params: Mapping[str, str]) -> Json:
        request = Request(
            operation=operation, method="GET", url=self._base + path, headers=self._headers, params=params
        )
        return await self._caller.call(request, _read)

    async def _post(
        self, operation: str, path: str, form: Mapping[str, str], *, key: str, expand: bool = True
    ) -> "Json | _Declined":
        request = Request(
            operation=operation,
            method="POST",
            url=self._base + path,
            headers={**self._headers, "Idempotency-Key": key},
            form={**form, **(_EXPANDED if expand else {})},
        )
        return await self._caller.call(request, _read_or_declined)


def _read(answer: Answer) -> Json:
    body = answer.json()
    if not answer.ok:
        raise _failure(answer, body)
    if body is None:
        raise unreadable(NAME, "not JSON")
    return body


def _read_or_declined(answer: Answer) -> Json | _Declined:
    error = _error(answer.json())
    if answer.status == 402 and error.get("type") == "card_error":
        intent = error.get("payment_intent")
        named = intent.get("id") if isinstance(intent, dict) else None
        return _Declined(objects.decline(error), named if isinstance(named, str) else None)
    return _read(answer)


def _failure(answer: Answer, body: Json | None) -> ProviderError:
    """The error for a refusal, from codes and ids alone: Stripe's messages can quote the request."""
    error = _error(body)
    code = word(error.get("code")) or word(error.get("type"))
    words = (code, word(error.get("param")), word(answer.headers.get("request-id")))
    detail = " ".join(w for w in words if w)
    if answer.headers.get("stripe-should-retry") == "true" and 400 <= answer.status < 409:
        return ProviderDown(NAME, f"HTTP {answer.status} {detail}")
    replayed = answer.headers.get("idempotent-replayed") == "true"
    return failure(NAME, answer, detail=detail, code=code, replayed=replayed)


def _error(body: Json | None) -> Json:
    error = (body or {}).get("error")
    return error if isinstance(error, dict) else {}
