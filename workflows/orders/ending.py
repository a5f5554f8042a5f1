"""How an order ends: fulfilled, or undone."""

from collections.abc import Callable

from temporalio import workflow

from activities.notifications import Notice
from activities.stock import Release, StockKeeper
from domain.notifications import NoticeKind
from domain.orders import OrderStatus
from domain.waiting import Party
from workflows.orders.desk import OrderStopped
from workflows.orders.fulfilment import Team
from workflows.orders.notices import Notices
from workflows.orders.steps import keep_record


class Ending:
    """Closes the order once nothing is left open."""

    def __init__(
        self, team: Team, notices: Notices, tell: Callable[[NoticeKind], None], told: Callable[[], bool]
    ) -> None:
        """``tell`` has ``notices`` send an e-mail in their own time, ``told`` says whether all of them are sent."""
        self._journal = team.journal
        self._holds = team.holds
        self._recall = team.recall
        self._payment = team.payment
        self._notices = notices
        self._tell = tell
        self._told = told

    async def fulfilled(self, *, returned: bool) -> None:
        """Everything has come to its end: delivered, or, if all of it was ``returned``, back at the sender."""
        if returned:
            await self._end(OrderStatus.RETURNED)
        else:
            self._journal.delivered_at = workflow.now()
            await self._end(OrderStatus.DELIVERED, NoticeKind.DELIVERED)

    async def _end(self, status: OrderStatus, notice: NoticeKind | None = None) -> None:
        """Say how the order ends, tell the customer, and close once nothing is left open."""
        self._holds.end()
        self._journal.move_to(status)
        self._journal.wait_for("the last e-mail to go out", Party.WAYBILL)
        told = notice is not None and await self._notices.send_at_once(
            Notice(self._journal.order.id, notice, kept=self._journal.kept)
        )
        if notice is not None and not told:
            self._tell(notice)
        if not (told and self._told()):
            await self._journal.publish()
            await workflow.wait_condition(self._told)
        self._journal.wait_for(_ENDS[status], Party.NOBODY)
        self._journal.note("closed", f"{_ENDS[status]}; the order is closed.")
        await self._journal.publish(closed=True)

    async def unwind(self, stopped: OrderStopped) -> None:
        """Undo what was done: labels, money, stock."""
        expired = stopped.ends_as is OrderStatus.EXPIRED
        if not expired:
            self._journal.move_to(OrderStatus.CANCELLING)
        self._journal.note("stopped", stopped.reason, actor=stopped.wish.by)
        self._journal.no_longer_waits()
        self._journal.let_go("cancel")
        self._journal.wait_for("labels, payment and stock to be given back", Party.WAYBILL)
        await self._journal.publish()
        await self._recall.everything()
        self._journal.kept = await self._payment.take_back(stopped.wish.kept)
        why, wish = "the order expired" if expired else "the order was cancelled", stopped.wish
        release = Release(self._journal.order.id, why, restock=wish.restock, by=wish.by)
        await keep_record(StockKeeper.release, release, summary="Give the units back to stock")
        notice = NoticeKind.EXPIRED if expired else NoticeKind.CANCELLED
        await self._end(stopped.ends_as, notice if wish.tell_customer else None)


_ENDS = {
    OrderStatus.DELIVERED: "Delivered",
    OrderStatus.RETURNED: "Returned to the sender",
    OrderStatus.CANCELLED: "Cancelled",
    OrderStatus.EXPIRED: "Expired unpaid",
}
