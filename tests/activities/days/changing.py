"""What people change of the order. What the preview shows is what happens, or nothing does."""

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from activities.awaited_changes import Withdraw
from activities.changes import ApplyChange, Changed, OpenChange, Refused
from activities.rejections import standing
from db import ledger
from domain.changes.awaited import AwaitedChange
from domain.changes.effects import Effects
from domain.changes.wish import Basis, Edits, LineEdit, NewLine, OrderChange
from domain.errors import WaybillError
from domain.ledger import Balance
from domain.orders import OrderStatus, PaymentSource, derived_id
from domain.payments import PaymentStatus
from tests.activities.days.day import FAULTS, METHODS, Day, DisputedMeanwhile, Fault
from tests.activities.test_changes import AWAY, shown

_LINE = st.builds(
    LineEdit, st.integers(1, 3), st.integers(0, 4) | st.none(), st.sampled_from([None, 1200, 1500, 2000]), st.none()
)
_NEW = st.builds(NewLine, st.sampled_from(["BAG", "MUG"]), st.integers(1, 3), st.sampled_from([0, 1000]))
_FEWER = st.builds(lambda line, units: Edits((LineEdit(line, units),)), st.integers(1, 2), st.integers(0, 2))
_MORE = st.builds(lambda new: Edits(add=(new,)), _NEW)
_ANY = st.builds(
    Edits,
    st.lists(_LINE, max_size=2).map(tuple),
    st.sampled_from([None, None, AWAY]),
    st.sampled_from([None, None, "standard", "express"]),
    st.sampled_from([None, None, 0, 900]),
    st.lists(_NEW, max_size=1).map(tuple),
)
EDITS = _FEWER | _MORE | _ANY
AT_FIRST = st.none() | _FEWER | _MORE
_AT_WORK = {OrderStatus.FULFILLING, OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED}


@dataclass(frozen=True)
class _Before:
    """What a change may touch, as it was."""

    reserved: Counter[tuple[str, str]]
    money: Balance
    granted: int
    version: int


class Changing(Day):
    """Changing at once, or once the difference is paid; giving that up."""

    @precondition(lambda self: self.secured and self.status in _AT_WORK and self.awaits is None)
    @rule(edits=EDITS, method=METHODS, times=st.integers(1, 2))
    def somebody_changes_it(self, edits: Edits, method: str, times: int) -> None:
        """What costs more than is held waits for a payment of its own."""
        try:
            basis, effects = self.do(shown(self.world, self.order, edits))
        except WaybillError as refusal:
            self.do(self._refused_alike(edits, refusal))
            return
        change = self._wish(edits, basis, PaymentSource("stripe", method))
        if effects.money.asked:
            self.do(self._open(change, effects, times))
        else:
            self.do(self._make(change, effects, times))

    @precondition(lambda self: self.awaits is not None)
    @rule(fault=FAULTS, times=st.integers(1, 2), made=st.booleans())
    def the_difference_is_paid(self, fault: Fault, times: int, made: bool) -> None:
        """Or declined; and the change is ``made`` at once, or other things happen first."""
        assert self.awaits is not None
        change = self.awaits[0].change.id
        self.befall("payment_intents.create", fault)
        for _ in range(times):
            state = self.insist("authorise", lambda step: self.shop.payments().authorise(step), change)
            self.states[change] = state
        if made and state.status is PaymentStatus.AUTHORISED:
            self.the_paid_change_is_made(times)

    @precondition(lambda self: self.awaits is not None and self._difference_is_held)
    @rule(times=st.integers(1, 2))
    def the_paid_change_is_made(self, times: int) -> None:
        """As it was shown; or it cannot be made any more, and the money goes back."""
        assert self.awaits is not None
        awaited, effects = self.awaits
        if self.do(self._make_paid(awaited, effects, times)):
            self.awaits = None
        else:
            self.it_is_given_up(None, 1)

    @precondition(lambda self: self.awaits is not None)
    @rule(fault=FAULTS, times=st.integers(1, 2))
    def it_is_given_up(self, fault: Fault, times: int) -> None:
        """The difference was not paid in time: the money first, then the units."""
        assert self.awaits is not None
        change = self.awaits[0].change.id
        with suppress(DisputedMeanwhile):
            if change in self.states:
                self.take_back(change, fault)
            self.do(self._withdraw(change, times))
            self.awaits = None
            self.states.pop(change, None)

    @property
    def _difference_is_held(self) -> bool:
        state = self.states.get(self.awaits[0].change.id) if self.awaits is not None else None
        return state is not None and state.status is PaymentStatus.AUTHORISED

    # --- how ---------------------------------------------------------------------------------------------------------

    def _wish(self, edits: Edits, basis: Basis, source: PaymentSource) -> OrderChange:
        name = self.name()
        change = OrderChange(
            derived_id(self.order, name), edits, basis, by="Ann", reason="a ticket", body_hash=name, payment=source
        )
        self.sources[change.id] = source
        return change

    async def _wanted(self, change: OrderChange, *, awaited: bool = False) -> ApplyChange:
        """What the order's workflow asks for, with all of its parcels standing still."""
        rows = await self.world.rows("SELECT id FROM fulfilments WHERE order_id = :id", id=self.order)
        known = tuple(row.id for row in rows)
        return ApplyChange(self.order, change, known, known, datetime.now(UTC), awaited=awaited)

    async def _apply(self, change: OrderChange) -> Changed | Refused:
        return await self.shop.changes.apply(await self._wanted(change))

    async def _refused_alike(self, edits: Edits, refusal: WaybillError) -> None:
        """What cannot be shown cannot be made either, and leaves no trace."""
        before = await self._before()
        try:
            basis, _ = await shown(self.world, self.order, Edits(shipping_charge=(await self._charge()) + 1))
        except WaybillError:  # nothing at all can be changed now
            return
        told = await self._apply(self._wish(edits, basis, PaymentSource("stripe", "pm_card_visa")))
        assert told == Refused(refusal.code, refusal.detail)
        assert await self._before() == before

    async def _charge(self) -> int:
        return int((await self._order()).shipping_charge)

    async def _open(self, change: OrderChange, effects: Effects, times: int) -> None:
        before = await self._before()
        now = datetime.now(UTC)
        unpaid = await self._apply(change)
        assert isinstance(unpaid, Refused) and unpaid.code == "order_moved"
        step = OpenChange(self.order, change, now + timedelta(hours=1), now)
        told = [await self.shop.changes.open(step) for _ in range(times)]
        opened = told[0]
        assert isinstance(opened, AwaitedChange), opened
        assert told == [opened] * times
        assert opened.asked.minor == effects.money.asked
        self.awaits = opened, effects
        after = await self._before()
        held = Counter({key: units for key, units in (after.reserved - before.reserved).items() if units})
        assert held == _units(effects.added)
        assert (after.money, after.granted, after.version) == (before.money, before.granted, before.version)

    async def _make(self, change: OrderChange, effects: Effects, times: int) -> None:
        before, step = await self._before(), await self._wanted(change)
        told = await self.shop.changes.apply(step)
        assert isinstance(told, Changed), told
        await self._check_made(effects, before, held=Counter())
        if times > 1:
            made = await self._before()
            assert await self.shop.changes.apply(step) == told
            assert await self._before() == made

    async def _make_paid(self, awaited: AwaitedChange, effects: Effects, times: int) -> bool:
        before, step = await self._before(), await self._wanted(awaited.change, awaited=True)
        for _ in range(times):
            told = await self.shop.changes.apply(step)
        if isinstance(told, Refused):
            assert await self._before() == before
            return False
        await self._check_made(effects, before, held=_units(effects.added))
        return True

    async def _withdraw(self, change: str, times: int) -> None:
        before = await self._before()
        for _ in range(times):
            await self.shop.changes.withdraw(Withdraw(self.order, change, "Not paid.", datetime.now(UTC)))
        after = await self._before()
        assert (after.granted, after.version) == (before.granted, before.version)
        assert self.awaits is not None
        assert before.reserved - after.reserved == _units(self.awaits[1].added)

    async def _check_made(self, effects: Effects, before: _Before, *, held: Counter[tuple[str, str]]) -> None:
        """Goods, money and record are as they were shown; ``held`` units had been taken for it before."""
        after, money = await self._before(), effects.money
        # Whoever holds a parcel would otherwise see its goods leave in another one.
        assert not effects.reserved or all(hold.fulfilment_id is None for hold in self.holds.values())
        wanted = before.reserved + _units(effects.reserved) + _units(effects.added) - held - _units(effects.stock)
        assert after.reserved == wanted
        assert after.money.invoiced == before.money.invoiced + money.invoiced
        assert after.money.credited == before.money.credited + money.credited
        same = ("held", "captured", "refunded")
        assert [getattr(after.money, name) for name in same] == [getattr(before.money, name) for name in same]
        assert (after.granted, after.version) == (before.granted + money.refund, before.version + 1)
        row = await self._order()
        assert (row.total, row.shipping_service) == (effects.after.total, effects.after.shipping_service)
        assert row.promised_current == effects.promised_after
        lines = await self.world.rows(_LINES, id=self.order)
        assert [tuple(line) for line in lines] == [(n.number, n.quantity, n.unit_price) for n in effects.after.lines]
        dues = await self.world.rows("SELECT change_id, due FROM payments WHERE order_id = :id", id=self.order)
        assert {row.change_id: row.due for row in dues if row.change_id in money.dues} == dict(money.dues)
        await self._check_parcels(effects)

    async def _check_parcels(self, effects: Effects) -> None:
        """Every unit that the order has now is shipped by a parcel, and no other one is."""
        async with self.database.reading() as connection:
            ships = await standing(connection, self.order)
        found: Counter[tuple[int, str]] = Counter()
        for a in (a for fulfilment in ships for a in fulfilment.allocations):
            found[a.line, a.sku] += a.quantity
        assert found == {(n.number, sku): units for n in effects.after.lines for sku, units in n.units.items()}

    async def _before(self) -> _Before:
        reserved = {(r.sku, r.warehouse): int(r.units) for r in await self.world.rows(_RESERVED, id=self.order)}
        granted = (await self.world.row(_GRANTED, id=self.order)).amount
        async with self.database.reading() as connection:
            money = await ledger.balance_now(connection, self.order)
        return _Before(Counter(reserved), money, int(granted), (await self._order()).version)

    async def _order(self) -> Any:
        return await self.world.row("SELECT * FROM orders WHERE id = :id", id=self.order)


def _units(of: Any) -> Counter[tuple[str, str]]:
    found: Counter[tuple[str, str]] = Counter()
    for one in of:
        found[one.sku, one.warehouse] += one.quantity
    return found


_LINES = "SELECT number, quantity, unit_price FROM order_lines WHERE order_id = :id ORDER BY number"
_RESERVED = (
    "SELECT sku, warehouse, sum(quantity) AS units FROM reservations "
    "WHERE order_id = :id AND status IN ('held', 'committed') GROUP BY sku, warehouse"
)
_GRANTED = "SELECT coalesce(sum(amount), 0) AS amount FROM refunds WHERE order_id = :id"
