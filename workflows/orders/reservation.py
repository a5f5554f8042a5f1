"""The order's stock: reserved whole, or waited for."""

from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta

from temporalio import workflow

from activities.stock import Commit, Reserve, StockKeeper
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind
from domain.orders import OrderStatus, derived_id
from domain.stock import Plan, PlannedFulfilment
from domain.stock_queues import Backorder
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal, LookAgain
from workflows.orders.steps import keep_record

# The workflow gives up an unpaid order first; the record's own expiry is for a workflow that cannot run.
_SLACK = timedelta(hours=1)
# Receipts tell the orders that wait; units that others give back, and news that was lost, are found by this.
LOOK_EVERY = timedelta(hours=6)
LOOK_FOR_PROMISED_EVERY = timedelta(days=1)
AUTHORISING = ("the payment to be authorised", Party.PAYMENT_PROVIDER)
"""what an order waits for whose units are held, and on whom"""


def booking(parcel: str) -> tuple[str, Party]:
    """What a paid order waits for, and on whom."""
    return f"the carrier's rates and label for {parcel}", Party.CARRIER


def fulfilments_of(plan: Plan, order_id: str) -> tuple[PlannedFulfilment, ...]:
    """Each warehouse's share of an order."""
    if plan.standing is not None:
        return plan.standing
    return tuple(
        PlannedFulfilment(
            derived_id(order_id, f"fulfilment:{number}"),
            number,
            warehouse,
            tuple(a for a in plan.allocations if a.warehouse == warehouse),
            portal=plan.portals.get(warehouse),
        )
        for number, warehouse in enumerate(plan.warehouses, start=1)
    )


class ReservationRun:
    """Holds units for the order."""

    def __init__(self, journal: Journal, desk: Desk, tell: Callable[[NoticeKind], None]) -> None:
        self._journal = journal
        self._desk = desk
        self._tell = tell
        self._told = False
        self._round = 0
        self._arrived = False
        self._plan = Plan((), (), ())

    def stock_arrived(self) -> None:
        """Units of one of the order's SKUs have come in, or it wants fewer of them."""
        self._arrived = True

    async def reserve(self) -> Plan:
        """Hold every unit of the order; where it is short, wait for what was promised, or for a person's decision."""
        self._round += 1
        plan = await self._hold()
        while not plan.allocations and plan.standing is None:
            self._desk.check()
            self._journal.move_to(OrderStatus.AWAITING_STOCK)
            if plan.backorder is not None and workflow.now() < plan.backorder.expected:
                plan = await self._wait(plan.backorder)
                continue
            decided = await self._ask(plan)
            plan = self._plan if decided is None else await self._hold()
        if plan.left or any(fulfilment.left for fulfilment in plan.standing or ()):
            self._desk.has_left()
        self._journal.show(" ".join(plan.explanation) or "The units are held.")
        return plan

    async def _hold(self) -> Plan:
        order = self._journal.order
        self._journal.wait_for("its units to be reserved", Party.WAYBILL)
        self._arrived = False
        expires_at = workflow.now() + order.policy.payment_window + _SLACK
        # While a person is asked, the answer is told first.
        then = None if self._journal.open else self._journal.foretell(OrderStatus.AWAITING_PAYMENT, *AUTHORISING)
        request = Reserve(
            order_id=order.id,
            round=self._round,
            lines=order.request.lines,
            address=order.request.shipping_address,
            at=workflow.now(),
            expires_at=expires_at,
            then=then,
            version=order.version,
        )
        self._plan = await keep_record(StockKeeper.reserve, request, summary="Route and reserve")
        self._desk.begun = True
        if self._plan.revision is not None:  # this run was reset to before a change, or began before it
            self._journal.revise(self._plan.revision)
        if self._plan.allocations and then is not None:
            self._journal.came_true(then)
        return self._plan

    async def _wait(self, promised: Backorder) -> Plan:
        """Wait for promised units until they come in, or should have; then look again."""
        if not self._told:
            self._tell(NoticeKind.BACKORDERED)
            self._told = True
        then = "it is packed" if promised.pre_order else "an operator decides"
        self._journal.wait_for(promised.says, Party.WAREHOUSE, until=promised.expected, then=then)
        await self._journal.publish()
        patience = min(LOOK_FOR_PROMISED_EVERY, promised.expected - workflow.now())
        with suppress(TimeoutError):  # no news came: look all the same
            await workflow.wait_condition(
                lambda: self._arrived or self._desk.cancel_wished,
                timeout=max(patience, timedelta(0)),
                timeout_summary="Look for promised units",
            )
        self._desk.check()
        return await self._hold()

    async def _ask(self, plan: Plan) -> Action | None:
        """Ask a person, unless stock comes in that is enough, or changes at least what is missing."""

        async def settled() -> bool:
            now = await self._hold()
            return (now.shortages, now.backorder) != (plan.shortages, plan.backorder)

        short = ", ".join(f"{s.missing} of {s.sku}" for s in plan.shortages)
        late = f" It was promised to leave by {plan.backorder.expected:%Y-%m-%d}." if plan.backorder else ""
        reason = f"Out of stock: {short} missing.{late} A receipt of stock moves the order on; retry looks again now."
        again = LookAgain(settled, news=lambda: self._arrived, every=LOOK_EVERY)
        return await self._desk.ask(ExceptionKind.OUT_OF_STOCK, reason, again=again)

    async def commit(self, fulfilments: tuple[PlannedFulfilment, ...]) -> bool:
        """Make the hold firm, now that the order is paid; False if it was lost meanwhile."""
        if not fulfilments:
            return True  # taken up after everything was rejected: what it ships is still to be placed
        then = self._journal.foretell(OrderStatus.FULFILLING, *booking(f"parcel {fulfilments[0].number}"))
        commit = Commit(self._journal.order.id, fulfilments, then)
        firm = await keep_record(StockKeeper.commit, commit, summary="Make the reservation firm")
        if firm:
            self._journal.came_true(then)
        return firm
