"""Returns: approve, receive, inspect, settle. Each step is one transaction, made once however often it is asked."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.case_records import decide, event_of, note_told, once, trouble, units, write
from activities.exchange_money import is_told_of
from activities.orders import order_line
from activities.refusals import Refusal
from activities.return_records import ReturnCase, find_case, move
from activities.return_settlements import give_back
from db import orders, return_labels
from db import returns as records
from db import stock as stock_records
from db.base import Database
from db.stock import Change
from domain.errors import KeyReused
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind
from domain.return_units import Inspection, ReturnReceipt, Turn, give_up, inspect, receive
from domain.returns import ENDED, ON_THE_WAY, LabelState, ReturnStatus, Standing
from domain.shipments import SCANNED
from domain.stock import MovementKind

RECEIPT: TypeAdapter[ReturnReceipt] = TypeAdapter(ReturnReceipt)
INSPECTION: TypeAdapter[Inspection] = TypeAdapter(Inspection)
_S = ReturnStatus


@dataclass(frozen=True)
class Step:
    """Somebody wants a return moved on, ``at`` that moment. ``why`` is needed to refuse it."""

    return_id: str
    at: datetime
    by: str
    why: str = ""


@dataclass(frozen=True)
class Receive:
    """Somebody says what has arrived."""

    return_id: str
    at: datetime
    receipt: ReturnReceipt


@dataclass(frozen=True)
class Inspect:
    """Somebody says what was found."""

    return_id: str
    at: datetime
    inspection: Inspection


@dataclass(frozen=True)
class Decide(Step):
    """Somebody decides an exception about a return."""

    exception_id: str = ""
    action: Action = Action.RETRY


@dataclass(frozen=True)
class Told(Step):
    """The customer was sent a letter, or could not be: ``why`` then says so."""

    letter: NoticeKind = NoticeKind.RETURN_APPROVED


@dataclass(frozen=True)
class Outcome:
    """Where the return stands after a step, made or refused."""

    standing: Standing
    refusal: Refusal | None = None


class Returns:
    """Takes back what customers send."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them, for a worker."""
        return (
            *(self.approve, self.refuse, self.withdraw, self.expire, self.receive, self.inspect, self.settle),
            *(self.decide, self.tell_late, self.told, self.leave_label),
        )

    @activity.defn(name="approve_return")
    async def approve(self, step: Step) -> Outcome:
        """Take the return."""

        async def take(connection: AsyncConnection, case: ReturnCase) -> None:
            if case.row.send_by is not None and case.status not in ENDED:
                return
            case.expects(_S.APPROVED, "be approved")
            send_by = step.at + timedelta(days=case.rule.send_days)
            letter = None if case.row.label == LabelState.WANTED else NoticeKind.RETURN_APPROVED
            event = event_of("approved", step, "It was approved.")
            await move(connection, case, _S.APPROVED, event, letter=letter, send_by=send_by)

        return await self._once(step.return_id, take)

    @activity.defn(name="refuse_return")
    async def refuse(self, step: Step) -> Outcome:
        """Do not take the return; the customer is told why."""

        async def decline(connection: AsyncConnection, case: ReturnCase) -> None:
            if case.status is _S.REFUSED:
                return
            case.expects(_S.REFUSED, "be refused")
            event = event_of("refused", step, f"It was refused: {step.why}")
            await move(connection, case, _S.REFUSED, event, letter=NoticeKind.RETURN_REFUSED, refusal=step.why)

        return await self._once(step.return_id, decline)

    @activity.defn(name="withdraw_return")
    async def withdraw(self, step: Step) -> Outcome:
        """The customer keeps everything."""

        async def drop(connection: AsyncConnection, case: ReturnCase) -> None:
            if case.status is _S.WITHDRAWN:
                return
            case.expects(_S.WITHDRAWN, "be withdrawn")
            event = event_of("withdrawn", step, "It was withdrawn." + (f" {step.why}" if step.why else ""))
            await move(connection, case, _S.WITHDRAWN, event, letters=[], **_unwanted(case))

        return await self._once(step.return_id, drop)

    @activity.defn(name="expire_return")
    async def expire(self, step: Step) -> Outcome:
        """Nothing was sent in time: it is not waited for any longer, and the customer is told."""

        async def end(connection: AsyncConnection, case: ReturnCase) -> None:
            deadline = case.standing.deadline
            if not case.standing.expires or deadline is None or deadline > step.at:
                return
            event = event_of("expired", step, f"Nothing was sent by {deadline:%Y-%m-%d %H:%M} UTC: it has expired.")
            more = {"letters": [], **_unwanted(case)}
            await move(connection, case, _S.EXPIRED, event, letter=NoticeKind.RETURN_EXPIRED, **more)

        return await self._once(step.return_id, end)

    @activity.defn(name="receive_return")
    async def receive(self, request: Receive) -> Outcome:
        """Book what has arrived; a receipt counts once for its reference within the return."""
        receipt = request.receipt

        async def arrive(connection: AsyncConnection, case: ReturnCase) -> None:
            if await entered_before(connection, case.row.id, receipt):
                return
            case.expects(_S.PARTLY_RECEIVED, "be received")
            turn = receive(case.lines, receipt)
            count = sum(line.units for line in receipt.lines)
            event = _entered(receipt, request.at, f"{units(count)} arrived at {case.row.warehouse}.")
            first = not any(line.received for line in case.lines)
            letter = NoticeKind.RETURN_RECEIVED if first else None
            await move(connection, case, turn.status, event, lines=turn.lines, letter=letter)

        return await self._once(request.return_id, arrive)

    @activity.defn(name="inspect_return")
    async def inspect(self, request: Inspect) -> Outcome:
        """Book what was found, and put on the shelf what can be; an inspection counts once for its reference."""
        inspection = request.inspection

        async def look(connection: AsyncConnection, case: ReturnCase) -> None:
            if await entered_before(connection, case.row.id, inspection):
                return
            case.expects(_S.INSPECTED, "be inspected")
            lines = [order_line(row) for row in await orders.lines(connection, case.row.order_id)]
            one = {line.number: replace(line, quantity=1).units for line in lines}
            turn = inspect(case.lines, inspection, reason=case.reason, units=one)
            await _restock(connection, case, turn, actor=inspection.by)
            found = ", ".join(f"{units(f.units)} {f.condition.replace('_', ' ')}" for f in inspection.found)
            event = _entered(inspection, request.at, f"Inspected at {case.row.warehouse}: {found}.")
            await move(connection, case, turn.status, event, lines=turn.lines)

        return await self._once(request.return_id, look)

    @activity.defn(name="settle_return")
    async def settle(self, step: Step) -> Outcome:
        """Grant the refund of what was inspected, once, and close the return."""

        async def pay_back(connection: AsyncConnection, case: ReturnCase) -> None:
            if case.status is not _S.INSPECTED:
                return
            settlement, refund_id = await give_back(connection, case)
            event = event_of("settled", step, f"It is settled: {settlement.words}.")
            values: dict[str, Any] = {"settlement": asdict(settlement), "refund_id": refund_id}
            label = await return_labels.bought(connection, case.row.id)
            if label is None or label.tracking_status not in SCANNED:  # it came without its label
                values |= _unwanted(case)
            told = settlement.exchanged and await is_told_of(connection, case.row.id)
            letter = None if told else NoticeKind.RETURN_SETTLED
            await move(connection, case, _S.CLOSED, event, letter=letter, **values)

        return await self._once(step.return_id, pay_back)

    @activity.defn(name="leave_return_label")
    async def leave_label(self, step: Step) -> Outcome:
        """Note that the carrier does not give a label's price back: that is all that is lost by it."""

        async def leave(connection: AsyncConnection, case: ReturnCase) -> None:
            if case.row.label == LabelState.UNWANTED:
                event = event_of("label kept", step, f"Its label could not be given back: {step.why}.")
                await write(connection, case, {"label": LabelState.BOUGHT.value}, event)

        return await self._once(step.return_id, leave)

    @activity.defn(name="decide_return")
    async def decide(self, step: Decide) -> Outcome:
        """Do what a person decided about a return."""

        async def follow(connection: AsyncConnection, case: ReturnCase) -> None:
            event = await decide(connection, case, step, step.exception_id, step.action)
            if event is None:
                return
            values: dict[str, Any] = {"trouble": None, "exception_id": None, "patient_since": step.at}
            if step.action is Action.SKIP and case.status in ON_THE_WAY:
                turn = give_up(case.lines)
                await move(connection, case, turn.status, event, lines=turn.lines, **values)
                return
            if case.row.trouble == ExceptionKind.RETURN_LABEL_FAILED:
                values |= _about_label(case, step.action)
                if step.action is Action.SKIP:
                    await return_labels.call_off(connection, case.row.id)
            await write(connection, case, values, event)

        return await self._once(step.return_id, follow)

    @activity.defn(name="tell_late_return")
    async def tell_late(self, step: Step) -> Outcome:
        """Have a person see to a return that has waited too long; nothing where it has moved on meanwhile."""

        async def tell(connection: AsyncConnection, case: ReturnCase) -> None:
            standing = case.standing
            if standing.deadline is None or standing.deadline > step.at:
                return
            skips = standing.status in ON_THE_WAY
            actions = (Action.RETRY, Action.SKIP) if skips else (Action.RETRY,)
            reason = f"Return {case.row.number} waits for {standing.waiting.what} since {standing.since:%Y-%m-%d %H:%M}"
            reason += " UTC. Retry waits as long again"
            reason += "; skip takes what has not come for missing, and gives nothing back for it." if skips else "."
            await trouble(connection, case, ExceptionKind.RETURN_LATE, reason, actions, event_of("late", step, reason))

        return await self._once(step.return_id, tell)

    @activity.defn(name="told_return")
    async def told(self, step: Told) -> Outcome:
        """Note that the customer was told, or that a person has to."""

        async def note(connection: AsyncConnection, case: ReturnCase) -> None:
            await note_told(connection, case, step.letter, step.why)

        return await self._once(step.return_id, note)

    async def _once(self, return_id: str, do: Callable[[AsyncConnection, ReturnCase], Awaitable[None]]) -> Outcome:
        """Do something with a return in one transaction, while nobody else does."""
        case, refusal = await once(self._database, find_case, return_id, do)
        return Outcome(case.standing, refusal)


async def entered_before(connection: AsyncConnection, return_id: str, given: ReturnReceipt | Inspection) -> bool:
    """Whether a receipt or an inspection is booked. Raises KeyReused where another one has its reference."""
    event = await records.find_event(connection, return_id, _key(given))
    if event is None:
        return False
    kind: TypeAdapter[Any] = RECEIPT if isinstance(given, ReturnReceipt) else INSPECTION
    if replace(kind.validate_python(event.entered), by=given.by) != given:
        text = f"The reference {given.reference!r} was used for another one of this return before."
        raise KeyReused(text, field="reference")
    return True


async def _restock(connection: AsyncConnection, case: ReturnCase, turn: Turn, *, actor: str) -> None:
    cause = f"return:{case.row.id}"
    changes = [
        Change(
            key=f"{cause}:{one.name}",
            sku=one.sku,
            warehouse=case.row.warehouse,
            kind=MovementKind.RETURNED,
            on_hand=one.units,
            reserved=0,
            damaged=one.units if one.damaged else 0,
            cause=cause,
            actor=actor,
            reason=one.reason,
        )
        for one in turn.restocked
    ]
    keys = [(change.sku, change.warehouse) for change in changes]
    await stock_records.ensure_levels(connection, keys)
    await stock_records.lock(connection, keys)
    await stock_records.move(connection, changes)


def _unwanted(case: ReturnCase) -> dict[str, Any]:
    """A label that was bought for what is not sent is given back."""
    return {"label": LabelState.UNWANTED.value} if case.row.label == LabelState.BOUGHT else {}


def _about_label(case: ReturnCase, action: Action) -> dict[str, Any]:
    if action is Action.RETRY:
        return {"label_attempt": case.row.label_attempt + 1}
    approved = [NoticeKind.RETURN_APPROVED.value] if case.row.tell_customer else []
    return {"label": LabelState.NONE.value, "letters": [*case.row.letters, *approved]}


def _key(given: ReturnReceipt | Inspection) -> str:
    return f"{'receipt' if isinstance(given, ReturnReceipt) else 'inspection'}:{given.reference}"


def _entered(given: ReturnReceipt | Inspection, at: datetime, text: str) -> dict[str, Any]:
    kind: TypeAdapter[Any] = RECEIPT if isinstance(given, ReturnReceipt) else INSPECTION
    key = _key(given)
    entered = kind.dump_python(given, mode="json")
    return {
        "key": key,
        "at": at,
        "kind": key.partition(":")[0],
        "text": text,
        "actor": given.by,
        "entered": entered,
    }
