"""The journal: status, waiting sentence and exceptions of an order, and how the world gets to see them."""

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeUpdate

from activities.orders import OrderRecords
from activities.projections import Agreed, Entry, FulfilmentChange, Projection, Resolved
from domain.editions import Edition
from domain.exceptions import Action, ExceptionKind, OrderException, Resolution
from domain.holds import Hold
from domain.orders import ENDED, OrderStatus, PlacedOrder, Revision, can_follow, derived_id
from domain.shipments import FulfilmentStatus
from domain.waiting import Party, Waiting
from workflows.orders import attributes
from workflows.orders.steps import WISHES_GO_FIRST, keep_record


@dataclass(frozen=True)
class LookAgain:
    """How an exception may end without a person.

    ``settled`` looks whether the matter is still the same: when there is ``news`` of it, and ``every`` so often, since
    news can be lost. It must take the news as read, and look once only: meanwhile no decision is heeded.
    """

    settled: Callable[[], Awaitable[bool]]
    news: Callable[[], bool]
    every: timedelta


class Journal:
    """What an order knows of itself. Every change is shown in the Temporal UI and written to the order's record."""

    def __init__(self, order: PlacedOrder) -> None:
        self.order = order
        self.status = OrderStatus.ACCEPTED
        self.open: dict[str, OrderException] = {}
        self.delivered_at: datetime | None = None
        self.kept = 0
        """what a cancellation did not give back, in minor units"""
        self._latest = Waiting("its workflow to begin", Party.WAYBILL, workflow.now())
        self._waits: dict[str, Waiting] = {}
        self._held_up: dict[str, Waiting] = {}
        self._decisions: dict[str, Resolution] = {}
        self._entries: list[Entry] = []
        self._opened: list[OrderException] = []
        self._resolved: list[Resolved] = []
        self._changes: list[FulfilmentChange] = []
        self._held: list[Hold] = []
        self._agreed: list[Agreed] = []
        self._revision = 0
        self._asked: list[str] = []
        self._noted_at = datetime.min.replace(tzinfo=UTC)
        self._happened: Counter[str] = Counter()
        self._lines: list[str] = []
        self._findable: dict[str, SearchAttributeUpdate[Any]] = {}
        self._written: Projection | None = None
        self._settling: list[str] = []
        self._judged_by: datetime | None = None

    @property
    def now(self) -> datetime:
        """What time it is; where a wait looks whether it is over, the time at which that wait began."""
        return self._judged_by or workflow.now()

    async def until(
        self, over: Callable[[], bool], *, timeout: timedelta | None = None, timeout_summary: str | None = None
    ) -> None:
        """Wait until ``over`` comes true, which may ask for `now`. Raises TimeoutError.

        Time alone ends no wait but by a timer, since conditions are looked at more often than the history tells: also
        where a wish is refused, of which nothing stands there. What one of them found then, no replay would find.
        """
        began = workflow.now()

        def judged() -> bool:
            self._judged_by = began if self.order.edition >= Edition.WITHIN_TASKS else None
            try:
                return over()
            finally:
                self._judged_by = None

        await workflow.wait_condition(judged, timeout=timeout, timeout_summary=timeout_summary)

    @property
    def waiting(self) -> Waiting:
        """What the order waits for: an operator first of all, then what holds it up, else the part that can move."""
        exception = next(iter(self.open.values()), None)
        if exception is not None:
            return Waiting(
                f"a decision ({', '.join(exception.actions)}): {exception.reason}", Party.OPERATOR, exception.opened_at
            )
        if self._held_up:
            return next(iter(self._held_up.values()))
        return min(self._waits.values(), key=lambda wait: _ACTS_FIRST.index(wait.on), default=self._latest)

    def wait_for(
        self, what: str, on: Party, *, until: datetime | None = None, then: str | None = None, part: str = ""
    ) -> None:
        """Say what the order, or one ``part`` of it, now waits for. Said again, it is the same wait, and no younger."""
        before = self._waits.get(part)
        since = before.since if before is not None and (before.what, before.on) == (what, on) else workflow.now()
        self._latest = self._waits[part] = Waiting(what, on, since, until, then)

    def hold_up(self, step: str, what: str, on: Party, *, until: datetime | None = None) -> None:
        """Say that something holds the order up; this goes before what it otherwise waits for."""
        then = "an operator decides" if until is not None else None
        self._held_up[step] = Waiting(what, on, workflow.now(), until, then)

    def let_go(self, step: str) -> None:
        """A step is no longer held up."""
        self._held_up.pop(step, None)

    def no_longer_waits(self, part: str = "") -> None:
        """A part waits no more."""
        self._waits.pop(part, None)

    def move_to(self, status: OrderStatus) -> None:
        """Give the order another status. A transition that the table forbids is a bug and stops the workflow task."""
        if not can_follow(self.status, status):
            raise RuntimeError(f"an order cannot go from {self.status} to {status}")
        if status is not self.status:
            self.status = status
            self.find_by(attributes.STATUS.value_set(status.value))

    def revise(self, revision: Revision) -> None:
        """Take note that the order was changed: from now on it is another one, also for its next label and capture."""
        self.order = replace(
            self.order,
            request=revision.request,
            version=revision.version,
            asked=revision.asked,
            promised_at=revision.promised_at,
            further=revision.further,
        )

    def find_by(self, update: SearchAttributeUpdate[Any]) -> None:
        """Give the order a search attribute; it is written with the next `publish`."""
        self._findable[update.key.name] = update

    def note(
        self, kind: str, text: str, *, actor: str = "waybill", once: str | None = None, link: str | None = None
    ) -> None:
        """Add a line to the timeline; it is written with the next `publish`.

        ``once`` names what can happen once only, so that a run which starts anew does not tell it again. ``link`` leads
        to more of it.
        """
        key = once or self._name(f"line:{kind}:{actor}:{text}")
        self._noted_at = max(workflow.now(), self._noted_at + _INSTANT)  # lines of one moment keep their order
        self._entries.append(Entry(key, self._noted_at, kind, text, actor, link))
        self.show(f"{text} [More]({link})" if link else text)

    def _name(self, what: str) -> str:
        """An id for something that happens, by what it is and how often that has happened.

        A worker may die after it was written and before Temporal knows. Then the task is done anew, later, and perhaps
        with more that has happened since: neither the time nor a number in all would be the same again. A run that was
        reset in Temporal has another seed from there on.
        """
        self._happened[what] += 1
        return derived_id(self.order.id, f"{workflow.random_seed()}:{self._happened[what]}:{what}")

    def show(self, text: str) -> None:
        """Add a line to what the Temporal UI shows. The step that it tells of has written its own entry."""
        self._lines.append(f"- `{workflow.now():%m-%d %H:%M:%S}` {text}")

    def change(self, fulfilment_id: str, status: FulfilmentStatus) -> None:
        """Give a fulfilment another status; it is written with the next `publish`."""
        self._changes.append(FulfilmentChange(fulfilment_id, status, workflow.now()))

    def held(self, hold: Hold) -> None:
        """Note a hold; it is written with the next `publish`."""
        self._held.append(hold)
        self.note("held", f"Held: {hold.words}.", actor=hold.by, once=f"held:{hold.id}")

    def agreed(self, agreed: Agreed, text: str) -> None:
        """Note that somebody agrees to a hold's release; it is written with the next `publish`."""
        self._agreed.append(agreed)
        self.note("released" if agreed.released else "release_agreed", text, actor=agreed.by)

    async def publish(self, *, closed: bool = False) -> None:
        """Show everything in the Temporal UI and write it to the record, in one transaction, unless it stands there."""
        projection = self._projection(closed=closed)
        if not closed and self._stands(projection):
            return
        attention = attributes.NEEDS_ATTENTION.value_set(bool(self.open))
        self.find_by(attention)
        record_first = self.order.edition >= Edition.RECORDS_FIRST
        if not record_first or _is_news(attention):  # a database that is away keeps nobody from being told
            self._make_findable()
        workflow.set_current_details(self._markdown())
        # Emptied before the write is awaited: what is noted meanwhile belongs to the next projection.
        self._entries, self._opened, self._resolved, self._changes = [], [], [], []
        self._held, self._agreed = [], []
        self._written = projection
        # Another projection may be written first: it must not take these for exceptions that nobody waits for.
        ending = [end.exception_id for end in projection.resolved]
        self._settling += ending
        await keep_record(OrderRecords.record, projection, summary=f"Record: {self.status}")
        self._settling = [id for id in self._settling if id not in ending]
        # Each makes Temporal write its lists anew. What was superseded meanwhile is not written, and an end, which is
        # but a mail away, together with the end of the workflow.
        if record_first and (closed or self.status not in ENDED):
            self._make_findable()

    def _make_findable(self) -> None:
        changed = [update for update in self._findable.values() if _is_news(update)]
        if changed:
            workflow.upsert_search_attributes(changed)
        self._findable = {}

    def foretell(self, status: OrderStatus, what: str, on: Party) -> Projection:
        """What holds if the next step of our own succeeds. The step writes it in its own transaction."""
        waiting = Waiting(what, on, workflow.now())
        return replace(self._projection(), status=status, waiting=waiting)

    def came_true(self, foretold: Projection) -> None:
        """The step has succeeded, and written it."""
        self._entries = [entry for entry in self._entries if entry not in foretold.entries]
        self._written = foretold

    def _projection(self, *, closed: bool = False) -> Projection:
        # From the clock, so that a run that was reset or started anew writes over what the run before it wrote.
        self._revision = max(self._revision + 1, int(workflow.now().timestamp() * 1_000_000))
        return Projection(
            order_id=self.order.id,
            revision=self._revision,
            status=self.status,
            waiting=self.waiting,
            entries=tuple(self._entries),
            open=tuple(self.open),
            opened=tuple(self._opened),
            resolved=tuple(self._resolved),
            fulfilments=tuple(self._changes),
            held=tuple(self._held),
            agreed=tuple(self._agreed),
            delivered_at=self.delivered_at,
            closed_at=workflow.now() if closed else None,
            settling=tuple(self._settling),
            kept=self.kept,
        )

    def _stands(self, projection: Projection) -> bool:
        """Whether the record says all this already."""
        before = self._written
        if before is None or any((projection.entries, projection.opened, projection.resolved, projection.fulfilments)):
            return False
        same = replace(projection.waiting, since=before.waiting.since) == before.waiting
        return same and (projection.status, projection.open, projection.delivered_at) == (
            before.status,
            before.open,
            before.delivered_at,
        )

    async def ask(
        self,
        kind: ExceptionKind,
        reason: str,
        actions: tuple[Action, ...],
        *,
        fulfilment_id: str | None = None,
        until: Callable[[], bool] = lambda: False,
        again: LookAgain | None = None,
    ) -> Action | None:
        """Open an exception and wait for a person's decision; None if ``until`` came true, or it was settled, first."""
        id = self._exception_id(kind, fulfilment_id)
        self._asked.append(id)
        exception = OrderException(id, kind, reason, actions, workflow.now(), fulfilment_id)
        self.open[exception.id] = exception
        self._opened.append(exception)
        self.note("exception", reason)
        await self.publish()
        await self._decided(lambda: exception.id in self._decisions or until(), again)
        decision = self._decisions.pop(exception.id, None)
        del self.open[exception.id]
        if decision is not None:
            self.resolve(decision)
        else:
            self._resolve(exception.id, "resolved_itself", by="waybill", note="")
        await self.publish()
        return decision.action if decision else None

    def _exception_id(self, kind: ExceptionKind, fulfilment_id: str | None) -> str:
        if self.order.edition < Edition.WITHIN_TASKS:  # decisions in their histories go by these
            return derived_id(self.order.id, f"exception:{workflow.now().timestamp()}:{len(self._asked) + 1}")
        return self._name(f"exception:{kind}:{fulfilment_id or 'order'}")

    async def _decided(self, over: Callable[[], bool], again: LookAgain | None) -> None:
        if again is None:
            await self.until(over)
            return
        while not over():
            with suppress(TimeoutError):  # no news came: look all the same
                await self.until(lambda: over() or again.news(), timeout=again.every, timeout_summary="Look again")
            if not over() and await again.settled():
                return

    def asks(self, exception_id: str) -> bool:
        """Whether this run waits for an exception, or has waited for it."""
        return exception_id in self._asked

    def refusal(self, resolution: Resolution) -> str | None:
        """Why a resolution cannot be taken; None if it can."""
        exception = self.open.get(resolution.exception_id)
        if exception is None or resolution.exception_id in self._decisions:
            return "The exception has been resolved already."
        if resolution.action not in exception.actions:
            return f"It can be resolved by {', '.join(exception.actions)}, not by {resolution.action}."
        return None

    def decide(self, resolution: Resolution) -> None:
        """Take a person's decision."""
        self._decisions[resolution.exception_id] = resolution

    async def settled(self, exception_id: str) -> None:
        """Wait until an exception is closed, on record, too."""
        await workflow.wait_condition(lambda: exception_id not in self.open)
        if workflow.patched(WISHES_GO_FIRST):
            await workflow.wait_condition(lambda: exception_id not in self._settling)

    def resolve(self, decision: Resolution) -> None:
        """Note a person's decision; it is written with the next `publish`."""
        self._resolve(decision.exception_id, decision.action.value, by=decision.by, note=decision.note)

    def _resolve(self, exception_id: str, how: str, *, by: str, note: str) -> None:
        self._resolved.append(Resolved(exception_id, how, by, note, workflow.now()))
        self.note("resolved", f"{_DECIDED.get(how, how)}{f': {note}' if note else '.'}", actor=by)

    def _markdown(self) -> str:
        order = self.order.request
        head = f"## {self.order.number}: {self.status.replace('_', ' ')}\n\n**{self.waiting.sentence}**\n\n"
        goods = ", ".join(f"{line.quantity} × {line.sku}" for line in order.lines)
        return head + f"{goods} · {order.money} · {order.channel}\n\n" + "\n".join(self._lines)


def _is_news(update: SearchAttributeUpdate[Any]) -> bool:
    return workflow.info().typed_search_attributes.get(update.key) != update.value


_INSTANT = timedelta(microseconds=1)
# Of several waits the one is told on which somebody can act soonest.
_ACTS_FIRST = (
    Party.OPERATOR,
    Party.CUSTOMER,
    Party.WAREHOUSE,
    Party.PAYMENT_PROVIDER,
    Party.WAYBILL,
    Party.SUPPLIER,
    Party.CARRIER,
    Party.NOBODY,
)
_DECIDED = {
    "retry": "Decided to try again",
    "skip": "Decided to go on without it",
    "cancel": "Decided to cancel",
    "resolved_itself": "Resolved by itself",
}
