"""The desk: where people's wishes and decisions reach an order."""

from collections.abc import Awaitable, Callable
from typing import Never, TypeVar

from temporalio import workflow

from domain.exceptions import Action, ExceptionKind
from domain.orders import CANCELLABLE, CancelRequest, OrderStatus
from domain.waiting import Party
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.outside import Refusal

Result = TypeVar("Result")


class OrderStopped(Exception):
    """The order goes no further: it is cancelled by somebody, or expired. Raised at safe points only."""

    def __init__(self, ends_as: OrderStatus, reason: str, *, wish: CancelRequest) -> None:
        """``wish`` says how; where nobody had one, it is Waybill's own."""
        super().__init__(reason)
        self.ends_as = ends_as
        self.reason = reason
        self.wish = wish


class HandOverRefused(Exception):
    """The parcel must not leave; the text says why."""


class Desk:
    """Takes wishes to cancel, and asks people what to do."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._cancel: CancelRequest | None = None
        self.begun = False
        """its first record is written; before that no wish is taken: see `refusals.not_begun`"""
        self.handing_over = 0
        """hand-overs now being made: while one runs the order cannot be cancelled"""
        self.changing = False
        """the record of the order is being changed: for that moment the order cannot be cancelled"""
        self.expired = False
        """it was not paid in time, and is being unwound"""
        self._has_left = False

    @property
    def cancel_wished(self) -> bool:
        """Whether somebody's wish to cancel was accepted."""
        return self._cancel is not None

    @property
    def cancelled_by(self) -> str:
        """Whose wish to cancel it was that counts."""
        return "" if self._cancel is None else self._cancel.by

    def cancels_otherwise(self, request: CancelRequest) -> bool:
        """Whether the wish to cancel that was accepted asks for another end."""
        before = self._cancel
        return before is not None and (before.restock, before.kept) != (request.restock, request.kept)

    @property
    def cancellable(self) -> bool:
        """Whether the whole order may still be cancelled."""
        open_still = self._journal.status in CANCELLABLE and not self._has_left and not self.expired
        return open_still and not self.handing_over and not self.changing

    def wish_cancel(self, request: CancelRequest) -> None:
        """Accept a wish to cancel; the first one counts."""
        if self._cancel is None:
            self._cancel = request
            self._journal.hold_up("cancel", "the step in hand to end, before the order is unwound", Party.WAYBILL)

    def has_left(self) -> None:
        """Something of the order left in an earlier run of its workflow: it is too late to cancel, wished or not."""
        self._has_left = True
        if self._cancel is not None:
            self._cancel = None
            self._journal.let_go("cancel")
            self._journal.note("cancel_refused", "A wish to cancel came too late and was passed over.")

    def check(self) -> None:
        """A safe point: raise OrderStopped if the order is to be cancelled."""
        if self._cancel is not None:
            reason = f"Cancelled by {self._cancel.by}" + (f": {self._cancel.reason}" if self._cancel.reason else ".")
            raise OrderStopped(OrderStatus.CANCELLED, reason, wish=self._cancel)

    def expire(self) -> Never:
        """The order is not paid in time: raise OrderStopped. A wish to cancel that was accepted by now is heeded."""
        if self._cancel is not None and workflow.patched("an-accepted-cancel-outdoes-expiry"):
            self.check()
        self.expired = True
        raise OrderStopped(OrderStatus.EXPIRED, "The order was not paid in time.", wish=CancelRequest(by="waybill"))

    async def ask(
        self,
        kind: ExceptionKind,
        reason: str,
        *,
        actions: tuple[Action, ...] = (Action.RETRY,),
        fulfilment_id: str | None = None,
        until: Callable[[], bool] = lambda: False,
        again: LookAgain | None = None,
    ) -> Action | None:
        """Ask a person; None if ``until`` came true first, or the matter was settled.

        Cancelling the order is offered as long as it is possible; if that is decided, or wished meanwhile, OrderStopped
        is raised.
        """
        if self.cancellable:
            actions = (*actions, Action.CANCEL)
        action = await self._journal.ask(
            kind,
            reason,
            actions,
            fulfilment_id=fulfilment_id,
            until=lambda: until() or self.cancel_wished,
            again=again,
        )
        self.check()
        return action

    async def insist(
        self,
        call: Callable[[], Awaitable[Result | Refusal]],
        *,
        what: str,
        kind: ExceptionKind = ExceptionKind.UNWIND_FAILED,
    ) -> Result | None:
        """Do what must be done even while the order is being cancelled; None if a person decides to skip it."""
        while True:
            outcome = await call()
            if not isinstance(outcome, Refusal):
                return outcome
            reason = f"{what} failed: {outcome.reason}. Retry tries again; skip goes on, and a person sees to it."
            if await self._journal.ask(kind, reason, (Action.RETRY, Action.SKIP)) is Action.SKIP:
                return None
