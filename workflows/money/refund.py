"""One refund, from the decision to pay it to the customer's mail."""

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.failures import KEY_SPENT
from activities.notifications import Notice, Notifications
from activities.refunds import MOST_KEYS, RefundOutcome, RefundRefused, Refunds, RefundStep
from domain.notifications import NoticeKind, NotificationStatus
from domain.refunds import GrantStatus
from workflows.patience import PATIENTLY, UNCONFIRMED, patiently, reason_of


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
                return await patiently(Refunds.pay, step, f"Refund {refund.amount}")
            except ActivityError as error:
                reason = reason_of(error)
                if not (isinstance(error.cause, ApplicationError) and error.cause.type == KEY_SPENT):
                    break
        return RefundRefused(refund.refund_id, refund.decision, reason)

    async def _tell(self, refund: PayRefund, outcome: RefundOutcome) -> None:
        notice = Notice(outcome.order_id, NoticeKind.REFUNDED, refund.refund_id)
        try:
            sent = await patiently(Notifications.notify, notice, "Tell the customer: refunded")
            reason = UNCONFIRMED if sent is NotificationStatus.UNCONFIRMED else None
        except ActivityError as error:
            reason = reason_of(error)
        if reason is not None:
            await self._refuse(RefundRefused(refund.refund_id, refund.decision, reason, untold=True))

    async def _refuse(self, refused: RefundRefused) -> None:
        await workflow.execute_activity_method(
            Refunds.refuse,
            refused,
            start_to_close_timeout=timedelta(seconds=10),
            heartbeat_timeout=timedelta(seconds=3),
            retry_policy=PATIENTLY,
            summary="Have a person see to it",
        )
