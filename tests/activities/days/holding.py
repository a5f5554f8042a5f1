"""Holds: placed and released one by one, of the order or of a parcel. What one stops does not leave."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from activities.holds import hold_of
from activities.projections import Agreed
from db import holds
from domain.holds import Hold, HoldReason
from domain.orders import OrderStatus, derived_id
from tests.activities.days.day import PICKS
from tests.activities.days.judging import Judging

_TIMES = st.integers(1, 2)
_UNSENT = "SELECT id FROM fulfilments WHERE order_id = :id AND status IN ('planned', 'labelled') ORDER BY number"


class Holding(Judging):
    """The order's workflow writes its holds down, and asks them before each irrevocable step."""

    @precondition(lambda self: self.secured and self.status in {OrderStatus.FULFILLING, OrderStatus.PARTLY_SHIPPED})
    @rule(reason=st.sampled_from(HoldReason), parcel=st.none() | PICKS, people=st.integers(1, 2), times=_TIMES)
    def somebody_holds_it(self, reason: HoldReason, parcel: int | None, people: int, times: int) -> None:
        """The order, or a parcel; ``people`` must agree to its release."""
        unsent = self.do(self.unsent())
        of = unsent[parcel % len(unsent)] if unsent and parcel is not None else None
        hold = Hold(derived_id(self.order, self.name()), reason, "Ann", _now(), "?", of, approvals=people)
        self.holds[hold.id] = hold
        self.do(self._record(times, held=(hold,)))

    @precondition(lambda self: self.holds)
    @rule(pick=PICKS, by=st.sampled_from(["Ann", "Ben"]), times=_TIMES)
    def somebody_agrees_to_a_release(self, pick: int, by: str, times: int) -> None:
        """Who agrees twice has agreed once."""
        hold = list(self.holds.values())[pick % len(self.holds)]
        agreed = replace(hold, approved_by=tuple(dict.fromkeys((*hold.approved_by, by))))
        released = len(agreed.approved_by) == hold.approvals
        self.holds[hold.id] = agreed
        if released:
            del self.holds[hold.id]
        self.do(self._record(times, agreed=(Agreed(hold.id, by, "", _now(), released),)))

    # --- how ---------------------------------------------------------------------------------------------------------

    async def unsent(self) -> list[str]:
        """The parcels that are not on their way, by number."""
        return [row.id for row in await self.world.rows(_UNSENT, id=self.order)]

    async def free_to_leave(self) -> list[str]:
        """The parcels that are not on their way, and that no hold stops by its record."""
        standing = [hold for hold in await self._standing() if hold.stands(_now())]
        return [id for id in await self.unsent() if not any(hold.concerns(id) for hold in standing)]

    async def end_holds(self) -> None:
        """The order ends: nothing is left to be held."""
        ended = tuple(Agreed(id, "waybill", "the order has ended", _now(), released=True) for id in self.holds)
        self.holds = {}
        await self._record(1, agreed=ended)

    async def _record(self, times: int, *, held: Sequence[Hold] = (), agreed: Sequence[Agreed] = ()) -> None:
        await self.publish(times, held=held, agreed=agreed)
        assert {_known(hold) for hold in await self._standing()} == {_known(hold) for hold in self.holds.values()}

    async def _standing(self) -> list[Hold]:
        async with self.database.reading() as connection:
            rows = await holds.of_order(connection, self.order)
        return [hold_of(row) for row in rows if row.released_at is None]


def _known(hold: Hold) -> tuple[Any, ...]:
    return hold.id, hold.reason, hold.fulfilment_id, hold.approvals, hold.approved_by


def _now() -> datetime:
    return datetime.now(UTC)
