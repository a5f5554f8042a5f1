"""What the order's workflow does with its money and its parcels."""

from datetime import UTC, datetime

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from activities.money_checks import CompareAfter, MoneyChecks
from activities.orders import order_line
from activities.projections import ship_fulfilment
from activities.stock import Release
from db import orders, rejections, shipments
from domain.exceptions import Action, ExceptionKind, OrderException
from domain.money import Money
from domain.orders import OrderStatus, derived_id
from domain.parcel_shares import EVERYTHING, Purse, rest_of, shares_of
from domain.payments import PaymentStatus
from domain.shipments import LEFT, FulfilmentStatus
from domain.stock import Allocation
from tests.activities.days.day import FAULTS, METHODS, PICKS, DisputedMeanwhile, Fault
from tests.activities.days.holding import Holding
from tests.activities.test_money_checks import awake

_LEAVING = frozenset({OrderStatus.FULFILLING, OrderStatus.PARTLY_SHIPPED})
_SETTLED = frozenset({PaymentStatus.CAPTURED})


class Paying(Holding):
    """Authorising, capturing, shipping, cancelling, comparing."""

    def authorise_first(self, fault: Fault, times: int) -> None:
        """The first thing that the order's workflow does."""
        self.befall("payment_intents.create", fault)
        for _ in range(times):
            self.states[None] = self.insist("authorise", lambda step: self.shop.payments().authorise(step))

    def go_as_far_as(self, far: str) -> None:
        """What follows without any trouble: a day is too short to come there step by step."""
        if far == "shared" and self._gives_shares:
            self.a_parcel_leaves_once_its_share_is_taken(None, arrive=False)
        if self.secured and far in {"captured", "delivered"}:
            self.it_captures(None, 0)
        if self.secured and far == "delivered":
            self.do(self._leave(2, arrive=True))

    @precondition(lambda self: self.secured and self.unsettled)
    @rule(fault=FAULTS, short=st.sampled_from([0, 0, 5]))
    def it_captures(self, fault: Fault, short: int) -> None:
        """Of each payment what is due of it; a hold of which nothing is due is released. A parcel is about to leave."""
        if not self.do(self.free_to_leave()):
            return
        if short:
            self.shop.sandbox.dial(capture_short_by=short)
        for change in self.unsettled:
            self._give(change, EVERYTHING, fault)
        if short:
            self.shop.sandbox.dial(capture_short_by=0)

    @property
    def unsettled(self) -> list[str | None]:
        """The order's payments that are held, and not taken."""
        return [change for change in self.own if self.states[change].status is PaymentStatus.AUTHORISED]

    @property
    def _gives_shares(self) -> bool:
        """Whether a payment still has parcels' shares to give, and none of them is lost."""
        mine = [self.states[change] for change in self.own]
        paid = all(state.status in {PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED} for state in mine)
        return paid and any(state.multicapture and state.status is PaymentStatus.AUTHORISED for state in mine)

    @precondition(lambda self: self.status in _LEAVING and self._gives_shares)
    @rule(fault=FAULTS, arrive=st.booleans())
    def a_parcel_leaves_once_its_share_is_taken(self, fault: Fault, arrive: bool) -> None:
        """Of what can be captured in parts; what else pays for the order is captured whole."""
        if self.a_share_is_taken(fault):
            self.do(self._leave(1, arrive=arrive))

    def a_share_is_taken(self, fault: Fault) -> bool:
        """That of the first parcel which may leave, if one may; whether it was."""
        leaving = self.do(self.free_to_leave())[:1]
        if leaving and self._gives_shares:
            for change, share in self.do(self._shares(leaving[0])).items():
                if share != 0:
                    self._give(change, share, fault)
            assert self.do(self.money()).captured <= self.do(self.money()).invoiced
        return bool(leaving)

    @precondition(lambda self: self.left and self.unsettled)
    @rule(fault=FAULTS)
    def what_is_held_for_nothing_is_released(self, fault: Fault) -> None:
        """What had not left was taken off the order."""
        if self.do(self.unsent()):
            return
        for change in self.unsettled:
            if self.states[change].captured.minor >= self.do(self.due(change)).minor:
                self._give(change, EVERYTHING, fault)

    async def _shares(self, leaving: str) -> dict[str | None, int | None]:
        async with self.database.reading() as connection:
            order = await orders.find(connection, self.order)
            lines = [order_line(row) for row in await orders.lines(connection, self.order)]
            standing = await rejections.standing(connection, self.order)
        assert order is not None
        gone = [
            Allocation(row.line, row.sku, row.warehouse, row.quantity)
            for row in standing
            if row.status in LEFT or row.id == leaving
        ]
        purses = [
            Purse((await self.due(change)).minor, state.captured.minor, state.multicapture, state.status in _SETTLED)
            for change, state in ((change, self.states[change]) for change in self.own)
        ]
        to_pay = order.total - (order.credit or 0)
        return dict(zip(self.own, shares_of(purses, to_pay=to_pay, rest=rest_of(lines, gone)), strict=True))

    def _give(self, change: str | None, share: int | None, fault: Fault) -> None:
        """A share of a payment, or everything that is due of it; a hold of which nothing is due is released."""
        due, taken = self.do(self.due(change)), self.states[change].captured.minor
        if share is EVERYTHING and not due.minor and not taken:
            self.befall("payment_intents.cancel", fault)
            done = self.insist("void", lambda step: self.shop.payments().void(step), change)
            self.states[change] = done or self.states[change]
            return
        self.befall("payment_intents.capture", fault)
        amount, final = max(0, due.minor - taken) if share is EVERYTHING else share, share is EVERYTHING
        self.states[change] = self.insist(
            "capture",
            lambda step: self.shop.payments().capture(step),
            change,
            amount=Money(amount, due.currency),
            final=final,
        )

    @precondition(
        lambda self: (
            self.status in _LEAVING and self.is_(PaymentStatus.CAPTURED, PaymentStatus.CANCELLED) and not self.unsettled
        )
    )
    @rule(parcels=st.integers(1, 2), arrive=st.booleans())
    def parcels_leave(self, parcels: int, arrive: bool) -> None:
        """So many of them; and they arrive, or are still on the way."""
        self.do(self._leave(parcels, arrive=arrive))

    async def _leave(self, parcels: int, *, arrive: bool) -> None:
        unsent = await self.unsent()
        leave = (await self.free_to_leave())[:parcels]
        for fulfilment in leave:
            async with self.database.transaction() as connection:
                await ship_fulfilment(connection, self.order, fulfilment)
                await shipments.advance(connection, fulfilment, FulfilmentStatus.HANDED_OVER, at=datetime.now(UTC))
        if leave or not unsent:
            await self._arrive(arrive=arrive, all_left=len(unsent) == len(leave))

    async def _arrive(self, *, arrive: bool, all_left: bool) -> None:
        if arrive:
            await self.world.execute(_ARRIVE, id=self.order, at=datetime.now(UTC))
        there = OrderStatus.DELIVERED if arrive else OrderStatus.SHIPPED
        await self.stand(there if all_left else OrderStatus.PARTLY_SHIPPED)

    @precondition(lambda self: self.status is OrderStatus.SHIPPED)
    @rule()
    def all_of_it_arrives(self) -> None:
        self.do(self._arrive(arrive=True, all_left=True))

    @precondition(lambda self: self.awaits is None and not self.left and self.named)
    @rule(fault=FAULTS)
    def it_is_cancelled(self, fault: Fault) -> None:
        """Every hold is released, everything taken is refunded, and nothing stays reserved."""
        self.do(self.stand(OrderStatus.CANCELLING))
        try:
            for change in self.own:
                self.take_back(change, fault)
        except DisputedMeanwhile:  # a person is asked, and it stays so
            self.do(self._asked_for_a_decision())
            return
        self.do(self._cancelled())
        assert self.do(self.money()).due == 0

    async def _asked_for_a_decision(self) -> None:
        if self.asks is None:
            id, why = derived_id(self.order, self.name()), "The refund failed. Retry tries again; skip leaves it."
            actions = (Action.RETRY, Action.SKIP)
            self.asks = OrderException(id, ExceptionKind.UNWIND_FAILED, why, actions, datetime.now(UTC))
        await self.publish()

    async def _cancelled(self) -> None:
        for _ in range(2):
            await self.shop.stock.release(Release(self.order, "cancelled"))
        decided, self.asks = [self.asks] if self.asks is not None else [], None
        self.status = OrderStatus.CANCELLED
        await self.publish(decided=decided)
        await self.end_holds()
        assert not await self.world.rows(_RESERVED, id=self.order)

    @precondition(lambda self: self._unpaid)
    @rule(pick=PICKS, method=METHODS, told=st.booleans())
    def the_customer_pays_in_another_way(self, pick: int, method: str, told: bool) -> None:
        """And the provider tells of it, or an event does later, or nothing does."""
        change = self._unpaid[pick % len(self._unpaid)]
        path = f"stripe/payment_intents/{self.states[change].reference}/pay"
        self.shop.sandbox.http.post(f"/control/{path}", json={"payment_method": method})
        self.unheard = True
        if told:
            self.everything_is_asked_for()

    @property
    def _unpaid(self) -> list[str | None]:
        return [change for change, state in self.states.items() if state.status is PaymentStatus.REQUIRES_METHOD]

    @rule()
    def the_comparison_finds_nothing_that_is_not_so(self) -> None:
        assert self.the_comparison_is_made() == 0 or self.dark

    def the_comparison_is_made(self) -> int:
        """The differences that it finds, or would if no step were being made."""
        self.befall("*", None)
        self.everything_is_asked_for()
        checks = MoneyChecks(self.database, {"stripe": self.shop.stripe()}, awake, pause=0)
        compared = self.do(checks.compare(CompareAfter("check", only=self.order)))
        return compared.at.differences + compared.at.busy


_ARRIVE = (
    "UPDATE fulfilments SET status = 'delivered', delivered_at = :at WHERE order_id = :id AND status = 'handed_over'"
)
_RESERVED = "SELECT 1 FROM reservations WHERE order_id = :id AND status IN ('held', 'committed')"
