"""The order's stock: reserved whole, or waited for."""

from datetime import timedelta

from temporalio import workflow

from activities.stock import Commit, PlannedFulfilment, Reserve, StockKeeper
from domain.exceptions import Action, ExceptionKind
from domain.orders import OrderStatus
from domain.stock import Plan
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.steps import keep_record

# The workflow gives up an unpaid order first; the record's own expiry is for a workflow that cannot run.
_SLACK = timedelta(hours=1)
# Receipts tell the orders that wait; units that others give back, and news that was lost, are found by this.
_LOOK_EVERY = timedelta(hours=6)
_ASKING = ("an operator to be told of the missing units", Party.WAYBILL)
AUTHORISING = ("the payment to be authorised", Party.PAYMENT_PROVIDER)
"""what an order waits for whose units are held, and on whom"""


def booking(parcel: str) -> tuple[str, Party]:
    """What a paid order waits for, and on whom."""
    return f"the carrier's rates and label for {parcel}", Party.CARRIER


class ReservationRun:
    """Holds units for the order."""

    def __init__(self, journal: Journal, desk: Desk) -> None:
        self._journal = journal
        self._desk = desk
        self._round = 0
        self._arrived = False
        self._plan = Plan((), (), ())

    def stock_arrived(self) -> None:
        """Units of one of the order's SKUs have come in."""
        self._arrived = True

    async def reserve(self) -> Plan:
        """Hold every unit of the order, waiting for stock or for a person's decision where it is short."""
        self._round += 1
        plan = await self._hold()
        while not plan.allocations:
            self._desk.check()
            self._journal.move_to(OrderStatus.AWAITING_STOCK)
            decided = await self._ask(plan)
            plan = self._plan if decided is None else await self._hold()
        if plan.left:
            self._desk.has_left()
        self._journal.show(" ".join(plan.explanation) or "The units are held.")
        return plan

    async def _hold(self) -> Plan:
        order = self._journal.order
        self._journal.wait_for("its units to be reserved", Party.WAYBILL)
        self._arrived = False
        expires_at = workflow.now() + order.policy.payment_window + _SLACK
        # While a person is asked, the answer is told first.
        asked = bool(self._journal.open)
        then = None if asked else self._journal.foretell(OrderStatus.AWAITING_PAYMENT, *AUTHORISING)
        otherwise = None if asked else self._journal.foretell(OrderStatus.AWAITING_STOCK, *_ASKING)
        request = Reserve(
            order_id=order.id,
            round=self._round,
            lines=order.request.lines,
            address=order.request.shipping_address,
            at=workflow.now(),
            expires_at=expires_at,
            then=then,
            otherwise=otherwise,
        )
        self._plan = await keep_record(StockKeeper.reserve, request, summary="Route and reserve")
        if self._plan.allocations and then is not None:
            self._journal.came_true(then)
        return self._plan

    async def _ask(self, plan: Plan) -> Action | None:
        """Ask a person, unless stock comes in that is enough, or changes at least what is missing."""

        async def settled() -> bool:
            return (await self._hold()).shortages != plan.shortages

        short = ", ".join(f"{s.missing} of {s.sku}" for s in plan.shortages)
        reason = f"Out of stock: {short} missing. A receipt of stock moves the order on; retry looks again now."
        again = LookAgain(settled, news=lambda: self._arrived, every=_LOOK_EVERY)
        return await self._desk.ask(ExceptionKind.OUT_OF_STOCK, reason, again=again)

    async def commit(self, fulfilments: tuple[PlannedFulfilment, ...]) -> bool:
        """Make the hold firm, now that the order is paid; False if it was lost meanwhile."""
        then = self._journal.foretell(OrderStatus.FULFILLING, *booking(f"parcel {fulfilments[0].number}"))
        commit = Commit(self._journal.order.id, fulfilments, then)
        firm = await keep_record(StockKeeper.commit, commit, summary="Make the reservation firm")
        if firm:
            self._journal.came_true(then)
        return firm
