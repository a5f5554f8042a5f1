"""Payments: every step that moves money is intended, called, confirmed; its outcome is always the provider's word."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import activity

from activities.failures import provider_failures
from activities.refund_grants import rest_for_unwinding
from db import payments as records
from db import restores
from db.base import Database
from db.payments import Begun
from domain.money import Money
from domain.orders import PaymentSource, derived_id
from domain.payments import PaymentState, PaymentStatus, RefundState, RefundStatus, step_key
from integrations.errors import ProviderDown, ProviderError, Rejected
from integrations.payments.provider import Authorisation, PaymentProvider

_WAITS_FOR_CUSTOMER = frozenset(
    {PaymentStatus.REQUIRES_METHOD, PaymentStatus.REQUIRES_ACTION, PaymentStatus.PROCESSING}
)
REFUND_STANDS = frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED})
# The provider's clock may be behind ours: look a little further back.
_CLOCK_SKEW = timedelta(minutes=10)
KEYS_LIVE = timedelta(hours=23)
"""Stripe keeps idempotency keys for 24 hours at least."""


@dataclass(frozen=True)
class PayStep:
    """One step of an order's payment. ``n`` is the decision that it belongs to: it rises when a person retries.

    ``since`` is when the order was placed: nothing of it can be older at the provider. ``change_id`` names the change
    that the payment is for; None for the order's first one. ``keep`` is what a refund leaves, in minor units. ``taken``
    is what was captured of it before, in minor units; a capture that is not ``final`` leaves the rest held.
    """

    order_id: str
    order_number: str
    source: PaymentSource
    amount: Money
    since: datetime
    n: int = 1
    reference: str | None = None
    change_id: str | None = None
    keep: int = 0
    taken: int = 0
    final: bool = True

    @property
    def payment_id(self) -> str:
        """The id of the payment's record."""
        return derived_id(self.order_id, "payment" if self.change_id is None else f"payment:{self.change_id}")

    def key(self, purpose: str) -> str:
        """The idempotency key of this step."""
        named = purpose if self.change_id is None else f"{purpose}:{self.change_id}"
        # Whoever captures more than before does another deed, also where decisions are counted anew.
        if purpose == "capture" and self.taken:
            named = f"{named}:{self.taken}"
        return step_key(self.order_id, named, self.n)


class Payments:
    """Authorises, captures, voids and refunds through the providers by name."""

    def __init__(self, database: Database, providers: Mapping[str, PaymentProvider]) -> None:
        self._database = database
        self._providers = providers

    @activity.defn(name="authorise_payment")
    async def authorise(self, step: PayStep) -> PaymentState:
        """Place the hold, or adopt the intent that the shop made. A decline is an answer."""
        provider = self._providers[step.source.provider]
        key = step.key("authorise")
        begun = await self._intend(step, "authorised", key)
        with provider_failures():
            if step.source.intent:
                state = await self._adopt(provider, step)
            else:
                state = await self._hold(provider, step, key, begun=begun)
        called_off_at = await self._confirm(step, state, _secured(step, key, state))
        if called_off_at is not None and called_off_at > begun.since:
            return await self._let_go(provider, step, state)
        return state

    @activity.defn(name="inspect_payment")
    async def inspect(self, step: PayStep) -> PaymentState:
        """What the provider says now, written down."""
        with provider_failures():
            state = await self._retrieve(self._providers[step.source.provider], step)
        async with self._database.reading() as connection:
            # The customer has paid since: that was the last authorisation's doing, whichever decision it belonged to.
            key = await records.last_open(connection, step.payment_id, "authorised")
        await self._confirm(step, state, _secured(step, key, state) if key is not None else [])
        return state

    @activity.defn(name="reprice_payment")
    async def reprice(self, step: PayStep) -> PaymentState:
        """Ask the customer for another amount, since the order was changed before it was paid."""
        provider, key, reference = self._providers[step.source.provider], step.key("reprice"), _reference(step)
        await self._intend(step, "repriced", key)
        with provider_failures():
            state = await provider.reprice(reference, step.amount, key=key)
            if state.status is PaymentStatus.PENDING and step.source.method is not None:
                state = await provider.confirm(reference, key=step.key("confirm"), method=step.source.method)
        await self._confirm(step, state, [_event(step, key, "repriced", state.amount, state)], repriced=True)
        return state

    @activity.defn(name="capture_payment")
    async def capture(self, step: PayStep) -> PaymentState:
        """Take the money. Answered as captured already where it was, and as it is where it is not as was known."""
        provider, key, reference = self._providers[step.source.provider], step.key("capture"), _reference(step)
        await self._intend(step, "captured", key)
        with provider_failures():
            # What can be captured several times, a key keeps from that for a day only, and for one decision: later a
            # look does.
            look = step.taken or not step.final or step.n > 1
            state = await provider.retrieve(reference) if look else None
            if state is None or (state.status, state.captured.minor) == (PaymentStatus.AUTHORISED, step.taken):
                state = await self._captured(provider, step, reference, key)
        taken = state.captured - Money(step.taken, step.amount.currency)
        events = [_event(step, key, "captured", taken, state)] if _is_taken(step, state) else []
        await self._confirm(step, state, events)
        return state

    async def _captured(self, provider: PaymentProvider, step: PayStep, reference: str, key: str) -> PaymentState:
        try:
            return await provider.capture(reference, step.amount, key=key, final=step.final)
        except ProviderDown as error:
            if not error.replayed:
                raise
            state = await provider.retrieve(reference)
            if not _is_taken(step, state):
                raise
            return state

    @activity.defn(name="void_payment")
    async def void(self, step: PayStep) -> PaymentState | None:
        """Release the hold; None where the order has no payment. The state tells if the money was captured instead.

        First the payment is called off, so that an attempt that stands still and goes on later holds nothing.
        """
        provider, key = self._providers[step.source.provider], step.key("void")
        async with self._database.statement() as connection:
            await records.call_off(connection, step.payment_id)
        with provider_failures():
            reference = await self._ours(provider, step)
            if reference is None:
                return None
            await self._intend(step, "voided", key)
            try:
                state = await provider.void(reference, key=key)
            except ProviderDown as error:
                if not error.replayed:
                    raise
                state = await self._seen(provider, reference, error, PaymentStatus.CANCELLED, PaymentStatus.CAPTURED)
        done = state.status is PaymentStatus.CANCELLED
        await self._confirm(step, state, [_event(step, key, "voided", state.amount, state)] if done else [])
        return state

    @activity.defn(name="refund_payment")
    async def refund(self, step: PayStep) -> RefundState:
        """Give back what other refunds leave of ``step.amount``, but for ``step.keep``; nothing, where nothing is left.

        After a failure stored under the key the provider's own list decides.
        """
        provider, key, reference = self._providers[step.source.provider], step.key("refund"), _reference(step)
        begun, amount = await self._intend_refund(step, key)
        if not amount.minor:
            return RefundState("", RefundStatus.SUCCEEDED, amount)
        with provider_failures():
            look = step.n > 1 or _unknown_since(step, begun) is not None
            refund = await self._refunded(provider, reference) if look else None
            try:
                refund = refund or await provider.refund(reference, amount, order_id=step.order_id, key=key)
            except ProviderDown as error:
                refund = await self._refunded(provider, reference) if error.replayed else None
                if refund is None:
                    raise
            state = await provider.retrieve(reference)
        kept = refund.status in REFUND_STANDS
        event = {**_event(step, key, "refunded", refund.amount, state), "reference": refund.reference}
        await self._confirm(step, state, [event] if kept else [])
        return refund

    async def _hold(self, provider: PaymentProvider, step: PayStep, key: str, *, begun: Begun) -> PaymentState:
        if step.source.method is None:
            raise Rejected(provider.name, "the order names neither a payment method nor an intent", status=422)
        request = Authorisation(step.order_id, step.order_number, step.amount, step.source.method, step.change_id)
        # A run that starts anew must learn how the payment stands now, not what was first answered under its key. And a
        # second decision comes with a new key: what the first one may have done must be found before it is used.
        if begun.reference is not None and step.n == 1:
            return await provider.retrieve(begun.reference)
        made = await (self._forgotten(provider, step, begun) if step.n == 1 else self._live(provider, step))
        if made is not None:
            return made
        if begun.called_off:
            raise Rejected(provider.name, "the payment was given up before it was made", status=409)
        try:
            return await provider.authorise(request, key=key)
        except ProviderDown as error:
            made = await self._live(provider, step) if error.replayed else None
            if made is None:
                raise
            return made

    async def _let_go(self, provider: PaymentProvider, step: PayStep, state: PaymentState) -> PaymentState:
        """Release what was held by an attempt that had stood still until the payment was given up."""
        key = step.key("let_go")
        with provider_failures():
            state = await provider.void(state.reference, key=key)
        done = state.status is PaymentStatus.CANCELLED
        await self._confirm(step, state, [_event(step, key, "voided", state.amount, state)] if done else [])
        return state

    async def _adopt(self, provider: PaymentProvider, step: PayStep) -> PaymentState:
        state = await self._retrieve(provider, step)
        unconfirmed = state.status is PaymentStatus.PENDING  # the shop has chosen a way to pay, and no more
        if unconfirmed and not _foreign(step, state):
            return await provider.confirm(state.reference, key=step.key("confirm"), method=step.source.method)
        return state

    async def _ours(self, provider: PaymentProvider, step: PayStep) -> str | None:
        """The payment of this order, if there is one; an intent that the shop gave us may be another order's."""
        if step.source.intent is not None:
            state = await self._retrieve(provider, step)
            return None if _foreign(step, state) else state.reference
        if step.reference is not None:
            return step.reference
        made = await self._live(provider, step)
        return made.reference if made else None

    async def _retrieve(self, provider: PaymentProvider, step: PayStep) -> PaymentState:
        """What the provider says; of an intent that pays for something else already, that it belongs to that.

        That is another order, or what was placed, or another change: whatever it is, it cannot pay a second time.
        """
        reference, holder = _reference(step), None
        if step.source.intent is not None:
            async with self._database.transaction() as connection:
                holder = await records.claim(connection, step.payment_id, step.source.provider, reference)
        state = await provider.retrieve(reference)
        if holder is None:
            return state
        return replace(state, order_id=holder.id if holder.order_id == step.order_id else holder.order_id)

    async def _forgotten(self, provider: PaymentProvider, step: PayStep, begun: Begun) -> PaymentState | None:
        """The order's payment of which we know nothing. A person must see one that was cancelled."""
        since = _unknown_since(step, begun)
        made = [] if since is None else await self._made(provider, step, since=since)
        live = (state for state in made if state.status is not PaymentStatus.CANCELLED)
        return next(live, made[0] if made else None)

    async def _made(self, provider: PaymentProvider, step: PayStep, *, since: datetime) -> list[PaymentState]:
        """What the provider has made for this payment, and for no other one of the order, newest first."""
        found = await provider.find(step.order_id, since=since - _CLOCK_SKEW)
        async with self._database.reading() as connection:
            rows = await records.of_order(connection, step.order_id)
        others = {row.reference for row in rows if row.id != step.payment_id}  # the shop may have made one for a change
        return [s for s in found if s.change_id == step.change_id and s.reference not in others]

    async def _live(self, provider: PaymentProvider, step: PayStep) -> PaymentState | None:
        made = await self._made(provider, step, since=step.since)
        return next((state for state in made if state.status is not PaymentStatus.CANCELLED), None)

    async def _refunded(self, provider: PaymentProvider, reference: str) -> RefundState | None:
        # Those that people granted one by one have names of their own.
        listed = await provider.refunds(reference)
        return next((r for r in listed if r.status in REFUND_STANDS and r.refund_id is None), None)

    async def _seen(
        self, provider: PaymentProvider, reference: str, error: ProviderError, *wanted: PaymentStatus
    ) -> PaymentState:
        state = await provider.retrieve(reference)
        if state.status not in wanted:
            raise error
        return state

    async def _intend(self, step: PayStep, kind: str, key: str) -> Begun:
        """Write down that the step is about to be made."""
        payment = {
            "id": step.payment_id,
            "order_id": step.order_id,
            "change_id": step.change_id,
            "provider": step.source.provider,
            "reference": None if step.source.intent else step.reference,  # an intent must be claimed first
            "status": PaymentStatus.PENDING.value,
            "currency": step.amount.currency,
            "amount": step.amount.minor,
        }
        event = {
            "key": key,
            "payment_id": step.payment_id,
            "kind": kind,
            "amount": step.amount.minor,
            "currency": step.amount.currency,
        }
        async with self._database.statement() as connection:
            return await records.intend(connection, payment, event, placed_at=step.since)

    async def _intend_refund(self, step: PayStep, key: str) -> tuple[Begun, Money]:
        """Write down that the money is about to be given back; since when, and how much of it."""
        async with self._database.transaction() as connection:
            wanted = step.amount.minor
            of = (connection, step.order_id, step.payment_id, key)
            rest = await rest_for_unwinding(*of, wanted=wanted, keep=step.keep)
            event = {"key": key, "amount": rest, "currency": step.amount.currency}
            since = await records.begin_refund(connection, step.payment_id, event)
            forgotten = await restores.forgotten_since(connection, step.since)
        return Begun(since, step.reference, forgotten), Money(rest, step.amount.currency)

    async def _confirm(
        self, step: PayStep, state: PaymentState, events: list[dict[str, Any]], *, repriced: bool = False
    ) -> datetime | None:
        """Write down what the provider says; when the payment was last given up, None if it never was."""
        if _foreign(step, state):
            return None
        values = told(state) | ({"amount": state.amount.minor} if repriced else {})
        more = records.takes_more(values, events)
        async with self._database.transaction() if more else self._database.statement() as connection:
            return await records.confirm(connection, step.payment_id, values=values, events=events)


def told(state: PaymentState) -> dict[str, Any]:
    """What a provider says of a payment, as the payment's record keeps it."""
    return {
        "reference": state.reference,
        "status": state.status.value,
        "authorised": state.capturable.minor if _held(state) else 0,
        "captured": state.captured.minor,
        "refunded": state.refunded.minor,
        "capture_before": state.capture_before,
        "decline_code": state.decline.code if state.decline else None,
        "decline_message": state.decline.message if state.decline else None,
        "action_url": state.action_url,
        "awaiting_customer": state.status in _WAITS_FOR_CUSTOMER,
    }


def _unknown_since(step: PayStep, begun: Begun) -> datetime | None:
    """From when on the step may have been done without our knowing, and beyond what its key guards; None if not.

    Either the database was put back to what it held before, or the step was begun long ago and taken up again.
    """
    if datetime.now(UTC) - begun.since > KEYS_LIVE:
        return step.since
    return begun.forgotten_since


def _foreign(step: PayStep, state: PaymentState) -> bool:
    """Whether it is another order's payment: nothing of it may be touched, nor written down as ours."""
    return state.order_id not in {None, step.order_id}


def _is_taken(step: PayStep, state: PaymentState) -> bool:
    """Whether a capture has been made: the last one ends the hold, any other has taken its part."""
    if step.final:
        return state.status is PaymentStatus.CAPTURED
    return state.captured.minor >= step.taken + step.amount.minor


def _held(state: PaymentState) -> bool:
    return state.status is PaymentStatus.AUTHORISED


def _secured(step: PayStep, key: str, state: PaymentState) -> list[dict[str, Any]]:
    """What an authorisation has led to: a hold, or (where the shop's payment captures at once) the money itself."""
    if _held(state):
        return [_event(step, key, "authorised", state.capturable, state)]
    if state.status is PaymentStatus.CAPTURED:
        captured = _event(step, step.key("capture"), "captured", state.captured, state)
        return [_event(step, key, "authorised", state.captured, state), captured]
    return []


def _reference(step: PayStep) -> str:
    reference = step.reference or step.source.intent
    if reference is None:
        raise ValueError("this step needs the provider's reference of the payment")
    return reference


def _event(step: PayStep, key: str, kind: str, amount: Money, state: PaymentState) -> dict[str, Any]:
    return {
        "key": key,
        "payment_id": step.payment_id,
        "kind": kind,
        "amount": amount.minor,
        "currency": amount.currency,
        "reference": state.charge or state.reference,
    }
