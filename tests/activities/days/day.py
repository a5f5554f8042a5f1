"""A day of one order: what is known of it, and what must be so after every step, whatever was done and went wrong."""

from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant
from temporalio.exceptions import ApplicationError

from activities.failures import KEY_SPENT
from activities.orders import OrderRecords
from activities.payments import PayStep
from activities.projections import Agreed, Projection, Resolved
from activities.stock import Commit
from db import ledger
from domain.changes.awaited import AwaitedChange
from domain.changes.effects import Effects
from domain.exceptions import Action, OrderException
from domain.holds import Hold
from domain.ledger import Balance
from domain.money import Money
from domain.orders import OrderStatus, PaymentSource
from domain.payments import PaymentState, PaymentStatus
from domain.refunds import PENDING, GrantStatus
from tests.activities.days.account import Account, look
from tests.activities.days.books import Books
from tests.activities.days.choosing import Choosing
from tests.activities.days.shop import Shop
from tests.activities.days.waiting import waits_for
from tests.activities.world import planned_of, reserve_for

T = TypeVar("T")
_KEPT = GrantStatus.EXCHANGED
_SPOKEN_FOR = PENDING | {_KEPT}
Fault = dict[str, Any] | None
FAULTS: st.SearchStrategy[Fault] = st.sampled_from(
    [
        None,
        None,
        {"status": "lost_answer"},
        {"status": "lost_answer", "times": 2},
        {"status": "drop_before"},
        {"status": "garbage"},
        {"status": 500, "deed": True},
        {"status": 500},
        {"status": 503},
        {"status": 429},
    ]
)
METHODS = st.sampled_from(
    ["pm_card_visa", "pm_card_visa", "pm_card_visa", "pm_card_pendingRefund", "pm_card_chargeDeclined"]
)
GOODS = (("MUG", 3), ("TEE", 2))
PLACED = 3 * 1500 + 2 * 1500 + 500
"""what the day's order comes to at first, in cents"""
MOST_TRIES = 6
PICKS = st.integers(0, 99)


class DisputedMeanwhile(Exception):
    """The provider moves no money of a payment that the customer's bank disputes."""


class Day(RuleBasedStateMachine):
    """One order of five things, and everything that can happen to it. What happens is added by its subclasses."""

    def __init__(self, shop: Shop) -> None:
        super().__init__()
        self._rules_strategy = Choosing(self)
        self.shop, self.do, self.world, self.database = shop, shop.do, shop.world, shop.database
        self.order = ""
        self.status = OrderStatus.FULFILLING
        self.sources: dict[str | None, PaymentSource] = {}
        self.states: dict[str | None, PaymentState] = {}
        """what the provider said last of each payment, by its change; None is the order's first one"""
        self.awaits: tuple[AwaitedChange, Effects] | None = None
        """the change that waits for its payment, and what was shown of it"""
        self.refunds: list[str] = []
        self.returns: list[str] = []
        self.claims: list[str] = []
        self.exchanges: list[str] = []
        self.disputed: set[str] = set()
        """payments that the customer's bank has disputed"""
        self.undecided = False
        self.named = 0
        self._happened = 0
        self.dark: set[str | None] = set()
        """payments of which a refund has failed at the provider, and nothing has told us yet"""
        self.holds: dict[str, Hold] = {}
        """those that stand, by id"""
        self.asks: OrderException | None = None
        """what its workflow asks a person to decide"""
        self.unheard = False
        """the customer has paid, and nothing has told us yet"""
        self._arrived: set[str] = set()
        self._decisions: Counter[tuple[str, str | None]] = Counter()

    def place(self, method: str, *, several: bool = False) -> None:
        """The order is accepted, and its units are firm.

        With ``several`` they are in two warehouses, and several parts of its payments can be captured.
        """
        name = self.shop.new_day()
        self.shop.sandbox.dial(multicapture=several)
        self._page = self.shop.books.page()
        self.sources[None] = PaymentSource("stripe", method, None)
        self._placed = datetime.now(UTC) - timedelta(minutes=1)
        self.do(self._place(name, apart=several))

    async def _place(self, name: str, *, apart: bool) -> None:
        self.order = await self.world.order(name, *GOODS, payment=asdict(self.sources[None]))
        await self.world.execute(_SET_ASIDE, units=10**6 if apart else 0)
        planned = planned_of(self.order, await self.shop.stock.reserve(reserve_for(self.order, *GOODS)))
        await self.world.execute(_SET_ASIDE, units=0)
        assert len(planned) == 1 + apart
        assert await self.shop.stock.commit(Commit(self.order, planned))
        promised = "status = 'fulfilling', promised_current = now(), promised_first = now()"
        await self.world.execute(f"UPDATE orders SET {promised} WHERE id = :id", id=self.order)  # noqa: S608

    # --- what must be so ---------------------------------------------------------------------------------------------

    @invariant()
    def everything_agrees(self) -> None:
        """One look for all of it, since looking costs more than the step itself."""
        self.shop.steps += 1
        self._happened += 1
        self.do(self._check())
        if self._happened == self.shop.length:
            self.it_has_ended_or_waits_for_somebody()

    def it_has_ended_or_waits_for_somebody(self) -> None:
        """The day is over."""
        raise NotImplementedError

    async def _check(self) -> None:
        async with self.database.reading() as connection:
            account = await look(connection, self.order)
        assert not account.disagreeing, account.disagreeing
        assert not account.overdrawn, account.overdrawn
        now, books = account.money, self.books()
        assert [one.fault for one in (now, *account.linked)] == [None] * (1 + len(account.linked))
        assert now.captured - now.refunded == now.invoiced - now.credited - now.owed
        self._check_money(account, books)
        self._check_refunds(account, books)
        assert all(linked.captured == linked.refunded == 0 for linked in account.linked)
        self.refunds = [row.id for row in account.refunds if row.part_of is None and row.status != _KEPT]

    def _check_money(self, account: Account, books: Books) -> None:
        now = account.money
        assert now.captured == books.captured
        assert now.held == books.held or self.unheard
        assert now.refunded == books.refunded or self.dark
        named = Counter(refund["metadata"].get("refund_id") for refund in books.standing)
        assert all(count == 1 for name, count in named.items() if name is not None), named
        promised = sum(row.amount for row in account.refunds if row.status in _SPOKEN_FOR)
        assert sum(refund["amount"] for refund in books.standing) + promised <= now.captured

    def _check_refunds(self, account: Account, books: Books) -> None:
        """What was paid is there, and what failed waits for a person."""
        standing = {refund["metadata"].get("refund_id") for refund in books.standing}
        for row in account.refunds:
            assert row.status != GrantStatus.PAYING
            if row.status == GrantStatus.PAID:
                assert row.id in standing or self.dark
            if row.status == GrantStatus.FAILED:
                assert row.id in account.failed

    # --- how ---------------------------------------------------------------------------------------------------------

    def is_(self, *statuses: PaymentStatus) -> bool:
        """Whether the first payment stands in one of these."""
        state = self.states.get(None)
        return state is not None and state.status in statuses

    @property
    def secured(self) -> bool:
        """Whether the order is paid, so that it can be packed, changed and shipped."""
        return self.is_(PaymentStatus.AUTHORISED, PaymentStatus.CAPTURED)

    @property
    def left(self) -> bool:
        """Whether something of it has left."""
        return self.status in {OrderStatus.PARTLY_SHIPPED, OrderStatus.SHIPPED, OrderStatus.DELIVERED}

    @property
    def own(self) -> list[str | None]:
        """The payments that pay for the order, without one that a change still waits for."""
        waiting = None if self.awaits is None else self.awaits[0].change.id
        return [change for change in self.states if change is None or change != waiting]

    def name(self) -> str:
        """A reference that nothing has had before."""
        self.named += 1
        return f"n{self.named}"

    def insist(
        self,
        purpose: str,
        call: Callable[[PayStep], Coroutine[Any, Any, T]],
        change: str | None = None,
        *,
        amount: Money | None = None,
        final: bool = True,
    ) -> T:
        """Try until it succeeds, as the workflow does: the same decision again, a new one where its key is spent."""
        due = amount or self.do(self.due(change))
        for _ in range(MOST_TRIES):
            n, state = self._decisions[purpose, change] + 1, self.states.get(change)
            reference = state.reference if state else None
            taken = state.captured.minor if state else 0
            step = PayStep(
                *(self.order, "WB-1", self.sources[change], due, self._placed, n, reference, change),
                taken=taken,
                final=final,
            )
            try:
                return self.do(call(step))
            except ApplicationError as error:
                self._decisions[purpose, change] += error.type == KEY_SPENT
                if error.type == "Rejected":
                    assert "charge_disputed" in str(error), error
                    self._decisions[purpose, change] += 1
                    raise DisputedMeanwhile from None
        raise AssertionError(f"{purpose} never succeeded")

    def decide_anew(self, purpose: str, change: str | None = None) -> None:
        """What comes next is another decision, with another key."""
        self._decisions[purpose, change] += 1

    async def due(self, change: str | None) -> Money:
        """What of the order a payment is for."""
        if self.awaits is not None and self.awaits[0].change.id == change:
            return self.awaits[0].asked
        row = await self.world.row(_DUE, id=self.order, change=change)
        return Money(row.due, "USD")

    def befall(self, operation: str, fault: Fault) -> None:
        """Let the next call of an operation go wrong. What was not used up of the one before is forgotten."""
        if fault is not None or self.shop.books.faults_to_come():
            self.shop.sandbox.dial(fail_next=[] if fault is None else [{"operation": operation, **fault}])

    def books(self) -> Books:
        """What has come into the provider's books in the day."""
        return self.shop.books.since(self._page)

    def everything_is_asked_for(self) -> None:
        """What the provider says now of each payment, as the order's workflow asks when it is woken."""
        self.unheard = False
        for change in self.states:
            self.states[change] = self.insist("inspect", lambda step: self.shop.payments().inspect(step), change)

    async def money(self) -> Balance:
        """What the order's ledger comes to."""
        async with self.database.reading() as connection:
            return await ledger.balance_now(connection, self.order)

    def take_back(self, change: str | None, fault: Fault) -> None:
        """Release a hold, or refund what was captured. Raises DisputedMeanwhile."""
        self.befall("payment_intents.cancel", fault)
        state = self.insist("void", lambda step: self.shop.payments().void(step), change)
        if state is None:
            return
        self.states[change] = state
        if state.status is PaymentStatus.CAPTURED and state.refunded < state.captured:
            self.befall("refunds.create", fault)
            rest = state.captured - state.refunded
            self.insist("refund", lambda step: self.shop.payments().refund(step), change, amount=rest)
            self.decide_anew("refund", change)  # the next one, of a run that starts anew, would be a new decision

    async def stand(self, status: OrderStatus) -> None:
        """The order comes to stand so."""
        self.status = status
        await self.publish()

    async def publish(
        self,
        times: int = 1,
        *,
        held: Sequence[Hold] = (),
        agreed: Sequence[Agreed] = (),
        decided: Sequence[OrderException] = (),
    ) -> None:
        """Write the newest view of the order as its workflow does, with what it waits for."""
        now = datetime.now(UTC)
        opened = () if self.asks is None else (self.asks,)
        projection = Projection(
            self.order,
            int(now.timestamp() * 1_000_000),
            self.status,
            waits_for(self),
            open=tuple(exception.id for exception in opened),
            opened=opened,
            resolved=tuple(Resolved(exception.id, Action.RETRY, "Ann", "", now) for exception in decided),
            held=tuple(held),
            agreed=tuple(agreed),
        )
        for _ in range(times):
            await OrderRecords(self.database).record(projection)


_SET_ASIDE = """
UPDATE stock_levels SET safety_stock = :units WHERE (sku, warehouse) IN (('TEE', 'EDI'), ('MUG', 'RNO'))
"""
_DUE = """
SELECT CASE WHEN CAST(:change AS text) IS NULL
    THEN o.total - coalesce(o.credit, 0) - coalesce((SELECT sum(due) FROM payments WHERE order_id = o.id), 0)
    ELSE (SELECT due FROM payments WHERE order_id = o.id AND change_id = :change) END::bigint AS due
FROM orders o WHERE o.id = :id
"""
