"""A change of an order while it runs: its parcels stand still, then everything moves in one step, or nothing does."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from temporalio import workflow

from activities.changes import ApplyChange, Changed, OpenChange, Refused
from activities.changes import Changes as ChangeRecords
from domain.changes.awaited import AwaitedChange
from domain.changes.effects import Effects, Facts
from domain.changes.parcel_effects import effects_of_edits
from domain.changes.wish import Basis, Content, OrderChange, Share, Stage, basis_of
from domain.errors import WaybillError
from domain.orders import Line, OrderStatus
from domain.previews import Shown
from domain.promises import promised_to
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders import attributes
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.payment import PaymentRun
from workflows.orders.recall import Recall
from workflows.orders.steps import keep_record

_STEP = "change"
_MOST_TRIES = 5
"""tries of a change that is paid, while parcels go on and leave; after that it is withdrawn"""
_VERIFIED = frozenset({OrderStatus.AWAITING_PAYMENT, OrderStatus.FULFILLING})
"""statuses in which an order's address was verified already, where the rules want that"""


class ChangeRefused(Exception):
    """The order stays as it is. ``kind`` is the error's code, the text says why."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class Standing(Protocol):
    """A fulfilment that stands still: what it ships is the change's to say."""

    planned: PlannedFulfilment
    done: bool

    @property
    def wished(self) -> bool:
        """Whether its warehouse is rejecting it, or a change is about it."""


class Run(Protocol):
    """A fulfilment, as far as a change is concerned."""

    left: bool
    left_before: bool
    ready: bool
    leaving: int
    promised: datetime | None

    @property
    def planned(self) -> PlannedFulfilment:
        """What it ships."""

    @property
    def held(self) -> bool:
        """Whether a hold stands on it alone."""

    @property
    def rejection(self) -> Standing:
        """Where its contents are kept."""

    def stop_waiting(self) -> None:
        """End what it waits for: somebody wants it to stand still."""


@dataclass
class _Turn:
    """One change that is being made: of these fulfilments, or of ``everything`` that ever begins meanwhile."""

    stops: frozenset[str]
    everything: bool
    awaited: bool = False
    standing: dict[str, Standing] = field(default_factory=dict)
    recalled: set[str] = field(default_factory=set)


class ChangeRun:
    """Makes one change of an order at a time."""

    def __init__(
        self,
        journal: Journal,
        desk: Desk,
        payment: PaymentRun,
        recall: Recall,
        runs: Callable[[], Mapping[str, Run]],
        verify: Callable[[str], Awaitable[None]],
    ) -> None:
        """``runs`` gives the fulfilments from which something ships or has shipped.

        ``verify`` asks the carrier about the new address that a change has brought, where the rules want that.
        """
        self._journal = journal
        self._desk = desk
        self._payment = payment
        self._recall = recall
        self._runs = runs
        self._verify = verify
        self._turn: _Turn | None = None
        self._said: dict[int, str] = {}
        self._promised = promised_to(journal.order)
        self.awaits: AwaitedChange | None = None
        """a change that waits for its payment: until it is made or withdrawn there is no other one"""

    def concerns(self, fulfilment_id: str) -> bool:
        """Whether a fulfilment shall stand still now, since the order is being changed."""
        turn = self._turn
        return turn is not None and (turn.everything or fulfilment_id in turn.stops)

    async def stand_still(self, fulfilment: Standing) -> bool:
        """Called by a fulfilment between two of its steps: wait for the change; whether its label is gone since."""
        turn = self._turn
        if turn is None or not self.concerns(fulfilment.planned.id):
            return False
        turn.standing[fulfilment.planned.id] = fulfilment
        await workflow.wait_condition(lambda: self._turn is not turn)
        return fulfilment.planned.id in turn.recalled

    def refusal(self, change: OrderChange) -> tuple[str, str] | None:
        """Why a change cannot be made now, as the kind of error and a sentence; None if it can, as far as is known."""
        if self._turn is not None:
            return "order_moved", "Somebody else is changing the order at this moment. Preview it again."
        if self._desk.cancel_wished:
            return "too_late", "The order is being cancelled."
        if self._desk.expired:
            return "too_late", "The order was not paid in time."
        if self.awaits is not None:
            asked, until = self.awaits.asked, self.awaits.until
            why = f"Another change of the order waits until {until:%Y-%m-%d %H:%M} UTC for the customer to pay {asked}."
            return "change_awaits_payment", why
        if self._desk.handing_over:
            return "order_moved", "A parcel of the order is being handed over at this moment."
        if any(run.rejection.wished for run in self._runs().values()):
            return "order_moved", "A warehouse is rejecting a parcel of the order at this moment."
        moved = self._moved(change.basis)
        if moved:
            return "order_moved", moved
        try:
            effects = self._effects(change)
        except WaybillError as error:
            return error.code, error.detail
        paying = self._journal.status is OrderStatus.AWAITING_PAYMENT and not self._payment.waits
        if paying and _priced(effects.before) != _priced(effects.after):
            return "order_moved", "The order is being paid at this moment. Preview it again."
        if effects.money.asked and change.payment is None:
            return "payment_missing", "The change costs more than is held. Say how the customer pays the difference."
        if effects.money.credited and self._payment.disputed:
            return "disputed", "The customer's bank disputes the payment: a person must decide about that first."
        return None

    async def change(self, change: OrderChange, *, known: Sequence[str]) -> Changed:
        """Make a change. Raises ChangeRefused, and then nothing has changed but labels that are bought anew."""
        return await self._make(change, known, awaited=False)

    async def make_awaited(self, change: OrderChange, *, known: Sequence[str]) -> Changed:
        """Make a change that is paid by now, as soon as nothing else is being done with the order.

        Raises ChangeRefused where it cannot be made any more.
        """
        for _ in range(_MOST_TRIES):
            await workflow.wait_condition(lambda: self._turn is None and not self._is_busy())
            try:
                return await self._make(change, known, awaited=True)
            except ChangeRefused as refused:
                if refused.kind != "order_moved" or self._desk.cancel_wished:
                    raise
                last = refused
        raise last

    async def open(self, change: OrderChange, until: datetime) -> AwaitedChange:
        """Have a change wait for its payment, what it adds held for it. Raises ChangeRefused."""
        self._check(change)
        self._desk.changing = True  # units that are held meanwhile would not be found by an unwinding that begins now
        try:
            step = OpenChange(self._journal.order.id, change, until, workflow.now())
            opened = await keep_record(ChangeRecords.open, step, summary="Hold what the change adds, until it is paid")
        finally:
            self._desk.changing = False
        if isinstance(opened, Refused):
            raise ChangeRefused(opened.code, opened.detail)
        return opened

    def asks(self, change: OrderChange) -> bool:
        """Whether a change costs more than what the order's payments hold. Raises ChangeRefused."""
        return self._effects_now(change).money.asked > 0

    def _effects_now(self, change: OrderChange) -> Effects:
        try:
            return self._effects(change)
        except WaybillError as error:
            raise ChangeRefused(error.code, error.detail) from None

    def _is_busy(self) -> bool:
        """Whether a parcel is being handed over, or rejected."""
        return bool(self._desk.handing_over) or any(run.rejection.wished for run in self._runs().values())

    async def _make(self, change: OrderChange, known: Sequence[str], *, awaited: bool) -> Changed:
        effects = self._effects_now(change)
        turn = self._turn = _Turn(frozenset(effects.stops), everything=effects.goes_elsewhere, awaited=awaited)
        self._journal.hold_up(_STEP, "the order to be changed", Party.WAYBILL)
        try:
            if turn.stops:
                await self._journal.publish()
            await self._halt(turn)
            self._check(change, awaited=awaited)
            await self._take_labels_back(turn)
            self._check_cancel()
            changed = await self._apply(change, turn, known)
            self._take_over(changed, turn)
            if _priced(effects.before) != _priced(effects.after):
                self._follow(changed)
            if effects.before.shipping_address != effects.after.shipping_address and self._journal.status in _VERIFIED:
                await self._verify(change.id)
            return changed
        finally:
            self._journal.let_go(_STEP)
            self._turn = None

    def _follow(self, changed: Changed) -> None:
        """Lines or prices are others: an order that is not paid is reserved, and paid, as it is now."""
        if self._journal.status is OrderStatus.AWAITING_STOCK:
            self._payment.reserve_anew()
        elif self._journal.status is OrderStatus.AWAITING_PAYMENT:
            self._payment.replan(changed.plan)

    async def _halt(self, turn: _Turn) -> None:
        """Wait until every parcel that is concerned stands between two steps, or has gone too far."""
        runs = {id: run for id, run in self._runs().items() if id in turn.stops}
        for run in runs.values():
            run.stop_waiting()

        def over(id: str, run: Run) -> bool:
            return id in turn.standing or run.left or bool(run.leaving)

        await workflow.wait_condition(
            lambda: self._desk.cancel_wished or all(over(id, run) for id, run in runs.items())
        )
        self._check_cancel()
        if not turn.stops <= turn.standing.keys():  # the carrier has scanned one, and its money is being taken
            raise ChangeRefused("order_moved", "A parcel of the order is leaving at this moment.")

    async def _take_labels_back(self, turn: _Turn) -> None:
        for id in sorted(turn.stops):
            turn.recalled.add(id)
            if await self._recall.fulfilment(id):
                turn.recalled.discard(id)
                number = turn.standing[id].planned.number
                raise ChangeRefused("too_late", f"The carrier has parcel {number} already; it has left.")

    async def _apply(self, change: OrderChange, turn: _Turn, known: Sequence[str]) -> Changed:
        """Nothing is captured and nobody can cancel while the record changes."""
        stopped = tuple(sorted(turn.standing))
        order_id, awaited = self._journal.order.id, turn.awaited
        step = ApplyChange(order_id, change, stopped, tuple(known), workflow.now(), awaited=awaited)
        async with self._payment.untaken():
            self._check(change, awaited=turn.awaited)
            self._desk.changing = True
            try:
                changed = await keep_record(ChangeRecords.apply, step, summary="Change the order, whole or not at all")
            finally:
                self._desk.changing = False
            if isinstance(changed, Refused):
                raise ChangeRefused(changed.code, changed.detail)
            self._journal.revise(changed.revision)
        return changed

    def _take_over(self, changed: Changed, turn: _Turn) -> None:
        """What stands still goes on with what it ships now."""
        for id, kept in changed.staying.items():
            fulfilment = turn.standing[id]
            fulfilment.planned = replace(fulfilment.planned, allocations=kept)
            fulfilment.done = not kept
            if fulfilment.done:
                self._journal.no_longer_waits(id)
        promised = promised_to(self._journal.order)
        if promised != self._promised:
            for run in self._runs().values():
                run.promised = promised
            self._journal.find_by(attributes.PROMISED_BY.value_set(promised))
        self._promised = promised
        self._said[changed.revision.version] = changed.said
        self._journal.show(changed.said)

    def _check(self, change: OrderChange, *, awaited: bool = False) -> None:
        """Whether what was waited for has made it another order."""
        self._check_cancel()
        moved = "" if awaited else self._moved(change.basis)
        if moved:
            raise ChangeRefused("order_moved", moved)
        if change.edits.parcel is not None:
            self._effects_now(change)  # a hold may have been placed meanwhile

    def _check_cancel(self) -> None:
        if self._desk.cancel_wished:
            raise ChangeRefused("too_late", "The order is being cancelled.")

    def moved_since(self, shown: Shown) -> str:
        """What is different from what somebody was shown, in sentences; nothing if it still is so."""
        moved = shown.moved or self._moved(basis_of(shown.version))
        if not moved and shown.status != self._journal.status:
            return f"The order is {self._journal.status.replace('_', ' ')} now."
        return moved

    def _moved(self, basis: Basis) -> str:
        order = self._journal.order
        taken = order.to_pay.minor if self._payment.taken else 0
        now = replace(
            basis,
            version=order.version,
            parcels=self._parcels(),
            captured=basis.captured if bool(basis.captured) is self._payment.taken else taken,
            at=workflow.now(),
            effects="",
        )
        since = (said for version, said in self._said.items() if version > basis.version)
        return " ".join((*basis.moved(now, order.request.currency), *since))

    def _parcels(self) -> tuple[tuple[int, Stage], ...]:
        return tuple(sorted((run.planned.number, _stage(run)) for run in self._runs().values()))

    def _effects(self, change: OrderChange) -> Effects:
        """As far as the workflow itself knows: what the record knows besides is looked at when it is applied."""
        request, basis = self._journal.order.request, change.basis
        content = Content(
            request.lines,
            request.shipping_address,
            request.shipping_service,
            request.shipping_charge,
            request.currency,
        )
        shares = tuple(
            Share(id, run.planned.number, _stage(run), run.planned.allocations, run.planned.portal, run.held)
            for id, run in self._runs().items()
        )
        now = Basis(basis.version, self._parcels(), basis.captured, basis.refunded, basis.credited, basis.at)
        paid = self._payment.paid()
        facts = Facts(self._journal.status, content, now, shares, refundable=content.total, payments=paid)
        return effects_of_edits(change.edits, facts)


def _priced(content: Content) -> tuple[tuple[Line, ...], int]:
    return content.lines, content.shipping_charge


def _stage(run: Run) -> Stage:
    if run.left or run.left_before:
        return Stage.LEFT
    return Stage.LABELLED if run.ready else Stage.PLANNED
