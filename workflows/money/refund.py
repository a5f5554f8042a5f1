"""One refund, from the decision to pay it to the customer's mail."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError

from activities.failures import KEY_SPENT, TOLD
from activities.notifications import Notice, Notifications
from activities.refunds import MOST_KEYS, RefundOutcome, RefundRefused, Refunds, RefundStep
from domain.notifications import NoticeKind, NotificationStatus
from domain.refunds import GrantStatus

Input = TypeVar("Input")
Result = TypeVar("Result")

# A provider's idempotency keys live 24 h at least; no step retries beyond them.
_PATIENCE = timedelta(hours=20)
_PATIENTLY = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_interval=timedelta(seconds=60))
_UNCONFIRMED = "the mail server was given the e-mail twice and confirmed neither, so it may have arrived or not"


@dataclass(frozen=True)
class PayRefund:
    """Pay a refund by a decision, the first or one after a failure. ``amount`` is in words, for people."""

    refund_id: str
    decision: int
    order_number: str
    amount: str


@dataclass(frozen=True)
class RefundResult:
    """Where the refund stood when nothing was left to be done."""

    status: GrantStatus


@workflow.defn(name="Refund")
class RefundWorkflow:
    """Pays a refund and tells the customer. What cannot be done becomes an exception of the order."""

    @workflow.run
    async def run(self, refund: PayRefund) -> RefundResult:
        """Until it is paid, or a person must decide."""
        outcome = await self._pay(refund)
        if isinstance(outcome, RefundRefused):
            await self._refuse(outcome)
            return RefundResult(GrantStatus.FAILED)
        if outcome.tell_customer:
            await self._tell(refund, outcome)
        return RefundResult(outcome.status)

    async def _pay(self, refund: PayRefund) -> RefundOutcome | RefundRefused:
        reason = ""
        for attempt in range(1, MOST_KEYS + 1):
            step = RefundStep(refund.refund_id, refund.decision, attempt)
            try:
                return await _run(Refunds.pay, step, f"Refund {refund.amount}")
            except ActivityError as error:
                reason = _reason(error)
                if not (isinstance(error.cause, ApplicationError) and error.cause.type == KEY_SPENT):
                    break
        return RefundRefused(refund.refund_id, refund.decision, reason)

    async def _tell(self, refund: PayRefund, outcome: RefundOutcome) -> None:
        notice = Notice(outcome.order_id, NoticeKind.REFUNDED, refund.refund_id)
        try:
            sent = await _run(Notifications.notify, notice, "Tell the customer: refunded")
            reason = _UNCONFIRMED if sent is NotificationStatus.UNCONFIRMED else None
        except ActivityError as error:
            reason = _reason(error)
        if reason is not None:
            await self._refuse(RefundRefused(refund.refund_id, refund.decision, reason, untold=True))

    async def _refuse(self, refused: RefundRefused) -> None:
        await workflow.execute_activity_method(
            Refunds.refuse,
            refused,
            start_to_close_timeout=timedelta(seconds=10),
            heartbeat_timeout=timedelta(seconds=3),
            retry_policy=_PATIENTLY,
            summary="Have a person see to it",
        )


async def _run(method: Callable[[Any, Input], Coroutine[Any, Any, Result]], argument: Input, summary: str) -> Result:
    return await workflow.execute_activity_method(
        method,
        argument,
        start_to_close_timeout=timedelta(seconds=40),
        heartbeat_timeout=timedelta(seconds=3),  # the worker beats by itself: a killed one is missed this soon
        schedule_to_close_timeout=_PATIENCE,
        retry_policy=_PATIENTLY,
        summary=summary,
    )


def _reason(error: ActivityError) -> str:
    """What went wrong, in words for an operator. A cancellation passes through untouched."""
    cause: BaseException | None = error.cause
    while isinstance(getattr(cause, "cause", None), ApplicationError):
        cause = getattr(cause, "cause", None)
    if isinstance(cause, ApplicationError):
        return cause.message if cause.type in TOLD else f"a failure inside Waybill, {cause.type}"
    if isinstance(error.cause, ApplicationError) or "imeout" in type(error.cause).__name__:
        return f"it did not succeed within {_PATIENCE}"
    raise error
