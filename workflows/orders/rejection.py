"""A fulfilment that its warehouse rejects, and the units that then need another place."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from temporalio import workflow

from activities.changes import Changed
from activities.rejections import Rejections
from domain.changes.wish import OrderChange
from domain.exceptions import Action, ExceptionKind
from domain.promises import promised_to
from domain.rejections import Reject, Rejection, Reroute, Rerouted, fault
from domain.stock import Allocation, PlannedFulfilment, Shortage
from domain.waiting import Party
from workflows.orders.changes import ChangeRun
from workflows.orders.desk import Desk, OrderStopped
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.recall import Recall
from workflows.orders.reservation import LOOK_EVERY, LOOK_FOR_PROMISED_EVERY
from workflows.orders.steps import keep_record

_BACKORDER = "backorder"


class RejectionRefused(Exception):
    """The fulfilment cannot be rejected any more; the text says why."""


class Rerouting:
    """Finds other places for what warehouses reject, or waits until there is one."""

    def __init__(
        self,
        journal: Journal,
        desk: Desk,
        known: Callable[[], tuple[str, ...]],
        begin: Callable[[Sequence[PlannedFulfilment]], None],
    ) -> None:
        """``known`` gives the ids of all fulfilments that the order ever had; ``begin`` starts those new to it.

        It also starts to `wait` if something has no place.
        """
        self._journal = journal
        self._desk = desk
        self._known = known
        self._begin = begin
        self._short: tuple[Shortage, ...] = ()
        self._refused_by: tuple[str, ...] = ()
        self._backordered: Mapping[str, tuple[str, ...]] = {}
        self._arrived = False
        self._one = asyncio.Lock()
        """held while the record is asked, so that no older answer comes after a newer one"""

    @property
    def waits(self) -> bool:
        """Whether units of the order have no place."""
        return bool(self._short)

    def stock_arrived(self) -> None:
        """Units of one of the order's SKUs have come in."""
        self._arrived = True

    async def reject(self, rejection: Rejection, number: int) -> tuple[Allocation, ...]:
        """Carry a rejection out: stock, books, new places; what the fulfilment still ships."""
        summary = f"Parcel {number} rejected ({rejection.reason}): put stock right, route again"
        self._journal.show(f"Parcel {number} was rejected by {rejection.by}: {rejection.reason}.")
        async with self._one:
            step = Reject(rejection, number, self._step())
            rerouted = await keep_record(Rejections.reject, step, summary=summary)
            self._take(rerouted)
        return rerouted.staying

    async def change(self, changes: ChangeRun, change: OrderChange) -> Changed:
        """Make a change; if it is of one parcel, wait for what has no place since. Raises ChangeRefused."""
        if change.edits.parcel is None:
            return await changes.change(change, known=self._known())
        async with self._one:
            changed = await changes.change(change, known=self._known())
            if changed.rerouted is not None:
                self._take(changed.rerouted)
        return changed

    async def look(self, *, despite: bool = False) -> None:
        """Look once for places for what has none; ``despite`` rejections, if a person has decided so."""
        self._arrived = False
        async with self._one:
            step = self._step(despite=despite)
            self._take(await keep_record(Rejections.reroute, step, summary="Route again what has no place"))

    async def wait(self) -> None:
        """Until everything has a place. Ends early when the order is to be cancelled."""
        try:
            while self._short:
                until = promised_to(self._journal.order)
                if (
                    until is not None
                    and workflow.now() < until
                    and all(s.sku in self._backordered for s in self._short)
                ):
                    await self._await_backorder(until)
                else:
                    await self._ask()
        except OrderStopped:
            pass  # the order's own coroutine sees the same wish once all fulfilments stand still
        self._journal.no_longer_waits(_BACKORDER)

    async def _await_backorder(self, until: datetime) -> None:
        """Wait, as somebody has decided, for stock to come in where the units were missing; then look again."""
        short = self._short
        missing = ", ".join(f"{s.missing} of {s.sku} at {' and '.join(self._backordered[s.sku])}" for s in short)
        what, then = f"stock of what is backordered to come in: {missing}", "an operator decides"
        self._journal.wait_for(what, Party.WAREHOUSE, until=until, then=then, part=_BACKORDER)
        await self._journal.publish()
        over = lambda: self._arrived or self._short != short or self._desk.cancel_wished  # noqa: E731
        with suppress(TimeoutError):  # no news came: look all the same
            patience = min(LOOK_FOR_PROMISED_EVERY, until - workflow.now())
            await workflow.wait_condition(over, timeout=patience, timeout_summary="Look for backordered units")
        self._desk.check()
        if self._short == short:
            await self.look()

    async def _ask(self) -> None:
        """Ask a person, unless stock comes in that is enough, or changes at least what is missing.

        The units wait in a queue, and are told of news about their stock when it is their turn.
        """
        short = self._short

        async def settled() -> bool:
            await self.look()
            return self._short != short

        reason = _reason(short, self._refused_by, self._backordered)
        again = LookAgain(settled, news=lambda: self._arrived, every=LOOK_EVERY)
        decided = await self._desk.ask(
            ExceptionKind.OUT_OF_STOCK, reason, until=lambda: self._short != short, again=again
        )
        if decided is Action.RETRY:
            await self.look(despite=True)

    def _step(self, *, despite: bool = False) -> Reroute:
        order = self._journal.order
        return Reroute(
            order_id=order.id,
            lines=order.request.lines,
            address=order.request.shipping_address,
            at=workflow.now(),
            known=self._known(),
            despite=despite,
        )

    def _take(self, rerouted: Rerouted) -> None:
        self._short, self._refused_by = rerouted.shortages, rerouted.refused_by
        self._backordered = rerouted.backordered
        for sentence in rerouted.explanation:
            self._journal.show(sentence)
        self._begin(rerouted.fulfilments)


class RejectionRun:
    """One fulfilment's rejections: somebody wishes one, and the fulfilment's own coroutine carries it out."""

    def __init__(
        self,
        planned: PlannedFulfilment,
        journal: Journal,
        recall: Recall,
        rerouting: Rerouting,
        changes: ChangeRun,
    ) -> None:
        self.done = False
        """everything was rejected, or is no longer ordered: nothing ships from here"""
        self.planned = planned
        """what the fulfilment ships; less after a rejection or a change of the order"""
        self._journal = journal
        self._recall = recall
        self._rerouting = rerouting
        self._changes = changes
        self._wished: Rejection | None = None
        self._refusals: dict[str, str] = {}

    @property
    def wished(self) -> bool:
        """Whether a rejection is on its way, or a change of the order: nothing may leave meanwhile."""
        return self._wished is not None or self._changes.concerns(self.planned.id)

    def refusal(self, rejection: Rejection, *, gone: bool) -> tuple[str, str] | None:
        """Why it cannot be rejected so, as the kind of error and a sentence; None if it can."""
        if gone:
            return "too_late", "The parcel has left, or is being handed over."
        if self.done:
            return "too_late", "The fulfilment has been rejected already."
        if self.wished:
            return "conflict", "Somebody is rejecting it at this moment, or changing the order. Read the order again."
        wrong = fault(rejection, self.planned.allocations)
        return None if wrong is None else ("conflict", wrong[1])

    async def wish(self, rejection: Rejection) -> None:
        """Have it carried out at the next safe point, and wait for that. Raises RejectionRefused."""
        self._wished = rejection
        await workflow.wait_condition(lambda: self._wished is not rejection)
        refusal = self._refusals.pop(rejection.id, None)
        if refusal is not None:
            raise RejectionRefused(refusal)

    def refuse(self, why: str) -> None:
        """It came too late, if there is one."""
        if self._wished is not None:
            self._refusals[self._wished.id] = why
            self._journal.note("rejection_refused", f"A rejection came too late: {why}", actor=self._wished.by)
            self._wished = None

    async def carry_out(self) -> bool:
        """Carry out the rejection or the change that is wished; False if none has taken the label.

        The label is given back first, as when an order is cancelled. If the carrier says that it was used, the parcel
        has left, and the rejection is refused.
        """
        rejection = self._wished
        if rejection is None:
            return await self._changes.stand_still(self)
        name = f"parcel {self.planned.number}"
        self._journal.wait_for(f"{name} to be taken back", Party.WAYBILL, part=self.planned.id)
        await self._journal.publish()
        left = await self._recall.fulfilment(self.planned.id)
        if left is not None:
            self.refuse(left)
            return False
        kept = await self._rerouting.reject(rejection, self.planned.number)
        self.planned = replace(self.planned, allocations=kept)
        self.done = not kept
        self._wished = None  # nothing is awaited after this, until the fulfilment knows that it has no label
        return True


def _reason(short: Sequence[Shortage], refused_by: Sequence[str], backordered: Mapping[str, tuple[str, ...]]) -> str:
    missing = ", ".join(f"{s.missing} of {s.sku}" for s in short)
    places = sorted({place for s in short for place in backordered.get(s.sku, ())})
    if places:
        receipt = f"A receipt of stock at {' and '.join(places)} moves it on"
        return f"Backordered units are not there: {missing} missing. {receipt}; retry looks again now, everywhere."
    reason = (
        f"A warehouse rejected it, and no other has it: {missing} missing. A receipt of stock elsewhere moves it on"
    )
    if refused_by:
        return f"{reason}; retry looks again now, also at {' and '.join(refused_by)}, which rejected it."
    return f"{reason}; retry looks again now, also where it was rejected."
