"""What every payment provider's adapter can do."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.disputes import DisputeState
from domain.inbox import ProviderEvent
from domain.money import Money
from domain.payments import PaymentState, RefundState


@dataclass(frozen=True)
class Authorisation:
    """A hold to be placed: ``amount`` on ``method`` (the provider's token of a way to pay) for one order.

    ``change_id`` is the change of the order that it pays for, if it is not what was placed. Whether several parts of
    it can be captured is asked for where the account has that, and what came of it is said by the payment's state.
    """

    order_id: str
    order_number: str
    amount: Money
    method: str
    change_id: str | None = None


class PaymentProvider(Protocol):
    """One provider. Money moves only under an idempotency ``key``; the same key and arguments move it once.

    All methods raise the tree of `integrations.errors`. A decline is a `PaymentState`, never an error.
    """

    name: str

    async def authorise(self, request: Authorisation, *, key: str) -> PaymentState:
        """Create a payment with manual capture and confirm it."""

    async def confirm(self, reference: str, *, key: str, method: str | None = None) -> PaymentState:
        """Confirm a payment that exists (an adopted one that the shop left unconfirmed)."""

    async def reprice(self, reference: str, amount: Money, *, key: str) -> PaymentState:
        """Ask for another amount than before. Raises Rejected once the customer has paid, or is about to."""

    async def retrieve(self, reference: str) -> PaymentState:
        """What the provider says now."""

    async def find(self, order_id: str, *, since: datetime) -> list[PaymentState]:
        """Payments whose metadata names the order, created at or after ``since``, newest first."""

    async def capture(self, reference: str, amount: Money, *, key: str, final: bool = True) -> PaymentState:
        """Take ``amount`` of what is held; the rest is released, if it is ``final``.

        One already captured is answered as it is. Without ``final`` the payment must be one with ``multicapture``; only
        of one that was captured before the rest can be released by an ``amount`` of nothing.
        """

    async def void(self, reference: str, *, key: str) -> PaymentState:
        """Release the hold. One already cancelled is answered as it is."""

    async def refund(
        self, reference: str, amount: Money, *, order_id: str, key: str, refund_id: str | None = None
    ) -> RefundState:
        """Give ``amount`` back. ``refund_id`` is kept with it, so that one of several can be found again."""

    async def refunds(self, reference: str) -> list[RefundState]:
        """The refunds that we made of a payment, newest first."""

    async def disputes(self, reference: str) -> list[DisputeState]:
        """The disputes of a payment, newest first."""

    def parse_capture(self, body: bytes) -> Money | None:
        """What was taken of its payment by then, if a verified event tells of a capture; None for any other event."""

    def parse_webhook(self, body: bytes, headers: Mapping[str, str], *, path: str, now: datetime) -> ProviderEvent:
        """Verify and read a webhook; ``headers`` have lower-case names. Raises BadSignature or BadPayload."""
