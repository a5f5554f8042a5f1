"""What customers send back: asked for, received in part, inspected unit by unit, settled. And what they get for it."""

from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from activities.case_steps import CaseStep
from activities.exchange_requests import exchange
from activities.exchanges import ExchangeOutcome
from activities.return_requests import ask
from activities.returns import Inspect, Outcome, Receive, Step
from db import returns as records
from domain.errors import WaybillError
from domain.exchanges import ExchangeRequest, Ships
from domain.orders import Line, OrderStatus, PaymentSource
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.return_units import Arrived, Condition, Inspected, Inspection, ReturnReceipt
from domain.returns import ReturnStatus
from tests.activities.days.day import PICKS, Day

T = TypeVar("T")
REASONS = st.sampled_from(
    [ReturnReason.CHANGED_MIND, ReturnReason.CHANGED_MIND, ReturnReason.DAMAGED, ReturnReason.OTHER]
)
WANTED = st.lists(st.builds(WantedLine, st.integers(1, 2), st.integers(1, 3)), min_size=1, max_size=2)
FOUND = st.sampled_from([Condition.RESALEABLE, Condition.RESALEABLE, *Condition])
TIMES = st.integers(1, 2)
_CARD = PaymentSource("stripe", "pm_card_visa")
_WAITS = {ReturnStatus.APPROVED, ReturnStatus.PARTLY_RECEIVED, ReturnStatus.RECEIVED, ReturnStatus.IN_TRANSIT}


class Returning(Day):
    """Returns and exchanges. Each of their steps is made ``times`` times, and counts once."""

    @precondition(lambda self: self.left)
    @rule(reason=REASONS, wanted=WANTED, steps=st.integers(0, 4), found=FOUND, times=TIMES)
    def a_return_is_asked_for(
        self, reason: ReturnReason, wanted: list[WantedLine], steps: int, found: Condition, times: int
    ) -> None:
        request = ReturnRequest(self.name(), reason, tuple(wanted), label=False)

        async def asked() -> str | None:
            async with self.database.transaction() as connection:
                row, _ = await ask(connection, self.order, request, actor="Ada", at=_now())
                return str(row.id)

        for _ in range(times):
            made = self._if_allowed(asked)
        if made is not None:
            self.returns.append(made)
            for _ in range(steps):
                self.a_return_goes_on(-1, 2, found, times)

    @precondition(lambda self: self.returns)
    @rule(pick=PICKS, units=st.integers(1, 3), found=FOUND, times=TIMES)
    def a_return_goes_on(self, pick: int, units: int, found: Condition, times: int) -> None:
        """By one step: so many units arrive, or are looked at and ``found`` so; or it is approved, or settled."""
        back = self.returns[pick % len(self.returns)] if pick >= 0 else self.returns[-1]
        status, lines = self.do(self._stands(back))
        if status is ReturnStatus.REQUESTED:
            self._step(lambda: self.shop.returns.approve(Step(back, _now(), "Ann")), times)
        elif status in _WAITS and any(line.uninspected for line in lines):
            seen = tuple(Inspected(n.number, found, min(units, n.uninspected)) for n in lines if n.uninspected)
            missing = found is Condition.MISSING
            seen = tuple(Inspected(n.number, found, n.expected) for n in lines if n.expected) if missing else seen
            if seen:
                inspection = Inspection(self.name(), "Bob", seen)
                self._inspect(back, inspection, times)
        elif status in _WAITS:
            there = tuple(Arrived(n.number, min(units, n.expected)) for n in lines if n.expected)
            receipt = ReturnReceipt(self.name(), "Bob", there)
            self._step(lambda: self.shop.returns.receive(Receive(back, _now(), receipt)), times)
        elif status is ReturnStatus.INSPECTED:
            self._settle(back, times)

    @precondition(lambda self: self.returns)
    @rule(pick=PICKS, times=TIMES)
    def a_return_is_withdrawn(self, pick: int, times: int) -> None:
        back = self.returns[pick % len(self.returns)]
        for _ in range(times):
            self.do(self.shop.returns.withdraw(Step(back, _now(), "Ada")))

    @precondition(lambda self: self.left)
    @rule(
        wanted=WANTED,
        price=st.sampled_from([900, 1500, 4000]),
        ships=st.sampled_from(Ships),
        steps=st.integers(0, 4),
        found=FOUND,
    )
    def an_exchange_is_asked_for(
        self, wanted: list[WantedLine], price: int, ships: Ships, steps: int, found: Condition
    ) -> None:
        name = self.name()
        back = ReturnRequest(name, ReturnReason.DOES_NOT_FIT, tuple(wanted), label=False)
        request = ExchangeRequest(name, back, (Line(1, "TEE", 1, price),), ships, "standard", 0, _CARD)

        async def asked() -> tuple[str, str]:
            async with self.database.transaction() as connection:
                row, _ = await exchange(connection, self.order, request, actor="Ada", at=_now())
                return str(row.id), str(row.return_id)

        made = self._if_allowed(asked)
        if made is not None:
            self.exchanges.append(made[0])
            self.returns.append(made[1])
            for _ in range(steps):
                self.a_return_goes_on(-1, 3, found, 1)
                self.an_exchange_goes_on(-1, 2)

    @precondition(lambda self: self.exchanges)
    @rule(pick=PICKS, times=TIMES)
    def an_exchange_goes_on(self, pick: int, times: int) -> None:
        """What follows from how its return and its order stand."""
        one = self.exchanges[pick % len(self.exchanges)] if pick >= 0 else self.exchanges[-1]
        self._step(lambda: self.shop.exchanges.look(CaseStep(one, _now(), "waybill")), times)

    @precondition(lambda self: self.exchanges)
    @rule(pick=PICKS, arrives=st.booleans(), times=TIMES)
    def what_is_sent_in_exchange_ends(self, pick: int, arrives: bool, times: int) -> None:
        """It arrives, or is never sent."""
        one = self.exchanges[pick % len(self.exchanges)]
        self.do(self.end_linked("exchanges", one, arrives=arrives))
        self._step(lambda: self.shop.exchanges.look(CaseStep(one, _now(), "waybill")), times)

    @precondition(lambda self: self.exchanges)
    @rule(pick=PICKS, times=TIMES)
    def an_exchange_is_withdrawn(self, pick: int, times: int) -> None:
        one = self.exchanges[pick % len(self.exchanges)]
        for _ in range(times):
            self.do(self.shop.exchanges.withdraw(CaseStep(one, _now(), "Ada")))

    # --- how ---------------------------------------------------------------------------------------------------------

    def _if_allowed(self, do: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """What comes of it; None where it is refused, which leaves no trace."""
        try:
            return self.do(do())
        except WaybillError:
            return None

    def _step(self, do: Callable[[], Coroutine[Any, Any, Outcome | ExchangeOutcome]], times: int) -> None:
        told = [self.do(do()) for _ in range(times)]
        assert all(one.refusal is None and one == told[0] for one in told), told

    async def _stands(self, back: str) -> tuple[ReturnStatus, list[Any]]:
        async with self.database.reading() as connection:
            row = await records.find(connection, back)
            assert row is not None
            return ReturnStatus(row.status), list(await records.lines(connection, back))

    def _inspect(self, back: str, inspection: Inspection, times: int) -> None:
        """What is found good or damaged is on the shelf after it, once."""
        before = self.do(self._shelves())
        self._step(lambda: self.shop.returns.inspect(Inspect(back, _now(), inspection)), times)
        shelved = {Condition.RESALEABLE, Condition.DAMAGED}
        units = sum(found.units for found in inspection.found if found.condition in shelved)
        damaged = sum(found.units for found in inspection.found if found.condition is Condition.DAMAGED)
        after = self.do(self._shelves())
        assert (after[0] - before[0], after[1] - before[1]) == (units, damaged)

    def _settle(self, back: str, times: int) -> None:
        """At most what is left is granted, once, and what a return's exchange keeps is not granted as well."""
        before = self.do(self._granted())
        self._step(lambda: self.shop.returns.settle(Step(back, _now(), "waybill")), times)
        row = self.do(self.world.row("SELECT settlement FROM returns WHERE id = :id", id=back))
        amount = row.settlement["amount"]
        assert 0 <= row.settlement["exchanged"] <= amount <= row.settlement["worth"]
        kept = self.do(self.world.rows("SELECT credit FROM exchanges WHERE return_id = :id", id=back))
        granted = self.do(self._granted()) - before
        assert granted == amount - row.settlement["exchanged"], (granted, row.settlement, kept)

    async def _shelves(self) -> tuple[int, int]:
        query = "SELECT coalesce(sum(on_hand), 0) AS there, coalesce(sum(damaged), 0) AS damaged FROM stock_levels"
        row = await self.world.row(query)
        return int(row.there), int(row.damaged)

    async def _granted(self) -> int:
        return int((await self.world.row(_GRANTED, id=self.order)).amount)

    async def end_linked(self, table: str, case: str, *, arrives: bool) -> None:
        """The order that a case has placed ends, if it has placed one."""
        status = OrderStatus.DELIVERED if arrives else OrderStatus.CANCELLED
        mine = f"(SELECT linked_id FROM {table} WHERE id = :case)"  # noqa: S608 - one of two constants
        ended = f"UPDATE orders SET status = :s, closed_at = :at WHERE closed_at IS NULL AND id IN {mine}"  # noqa: S608
        await self.world.execute(ended, s=status.value, at=_now(), case=case)


def _now() -> datetime:
    return datetime.now(UTC)


_GRANTED = "SELECT coalesce(sum(amount), 0) AS amount FROM refunds WHERE order_id = :id AND status <> 'exchanged'"
