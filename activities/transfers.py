"""Transfers: hold, send, receive, cancel. Each step is one transaction, and is made once however often it is asked."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.projections import waiting_json
from activities.refusals import Refusal, refusal_of
from db import stock as stock_records
from db import stock_alerts as alert_records
from db import transfers as records
from db.base import Database
from db.stock import Change
from domain.errors import Conflict, KeyReused, TooLate
from domain.stock_alerts import AlertKind
from domain.transfers import (
    ENDED,
    ON_THE_WAY,
    TRANSIT_TAKES,
    End,
    OpenTransfer,
    Receipt,
    Rest,
    Standing,
    TransferLine,
    TransferStatus,
    Turn,
    cancel,
    check_follows,
    hold,
    on_the_way,
    receive,
    send,
)

RECEIPT: TypeAdapter[Receipt] = TypeAdapter(Receipt)
_MOST_NAMED = 50
"""lines that an alert names"""


@dataclass(frozen=True)
class Step:
    """Somebody wants a transfer moved on, ``at`` that moment."""

    transfer_id: str
    at: datetime
    by: str


@dataclass(frozen=True)
class Send(Step):
    """The goods leave; they are expected at the other end by ``expected_at``, or by what the transfer says."""

    expected_at: datetime | None = None


@dataclass(frozen=True)
class Expect(Step):
    """The goods are expected at another moment."""

    expected_at: datetime


@dataclass(frozen=True)
class Receive:
    """Somebody found what arrived."""

    transfer_id: str
    at: datetime
    receipt: Receipt


@dataclass(frozen=True)
class Cancel(Step):
    """Somebody cancels it; ``rest`` is needed where units are on their way."""

    reason: str = ""
    rest: Rest | None = None


@dataclass(frozen=True)
class Outcome:
    """Where the transfer stands after a step, made or refused."""

    standing: Standing
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Case:
    """A transfer with its lines, locked."""

    row: Row[Any]
    lines: tuple[TransferLine, ...]

    @property
    def status(self) -> TransferStatus:
        """Where it stands."""
        return TransferStatus(self.row.status)

    @property
    def standing(self) -> Standing:
        """The same for its workflow."""
        return standing_of(dict(self.row._mapping), self.lines)

    def expects(self, following: TransferStatus, what: str) -> None:
        """Raise TooEarly or TooLate unless it may come to stand in ``following``."""
        check_follows(self.row.number, self.status, following, what)


class Transfers:
    """Moves units between warehouses."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them, for a worker."""
        return (
            self.hold,
            self.send,
            self.receive,
            self.cancel,
            self.expect,
            self.tell_late,
            self.note_cancel_refused,
        )

    @activity.defn(name="hold_transfer")
    async def hold(self, step: Step) -> Outcome:
        """Keep the units from sale. Refused, with every line at fault, where the source has not enough of them."""

        async def ready(connection: AsyncConnection, case: Case) -> None:
            if case.status is TransferStatus.READY:
                return
            case.expects(TransferStatus.READY, "be made ready")
            source = case.row.source
            keys = [(line.sku, source) for line in case.lines]
            await stock_records.ensure_levels(connection, keys)
            levels = await stock_records.lock(connection, keys)
            turn = hold(case.lines, {level.sku: level.available for level in levels}, source=source)
            text = f"{_units(sum(line.held for line in turn.lines))} are kept for it at {source}."
            await _make(connection, case, turn, step.at, _event("ready", step, text))

        return await self._once(step.transfer_id, ready)

    @activity.defn(name="send_transfer")
    async def send(self, step: Send) -> Outcome:
        """The units leave the source and are incoming at the destination."""

        async def leave(connection: AsyncConnection, case: Case) -> None:
            if case.status in ON_THE_WAY:
                return
            case.expects(TransferStatus.IN_TRANSIT, "leave")
            turn = send(case.lines)
            expected = step.expected_at or case.row.expected_at or step.at + TRANSIT_TAKES
            text = (
                f"{_units(on_the_way(turn.lines))} left {case.row.source}, expected by {expected:%Y-%m-%d %H:%M} UTC."
            )
            values = {"sent_at": step.at, "expected_at": expected}
            await _make(connection, case, turn, step.at, _event("sent", step, text), **values)

        return await self._once(step.transfer_id, leave)

    @activity.defn(name="receive_transfer")
    async def receive(self, request: Receive) -> Outcome:
        """Book what arrived, damaged or wrong; a receipt counts once for its reference within the transfer."""
        receipt = request.receipt

        async def arrive(connection: AsyncConnection, case: Case) -> None:
            if await booked_before(connection, case.row.id, receipt):
                return
            case.expects(TransferStatus.RECEIVED, "be received")
            turn = receive(case.lines, receipt)
            event = {
                "key": f"receipt:{receipt.reference}",
                "at": request.at,
                "kind": "receipt",
                "text": _told(receipt, case.row.destination, on_the_way(turn.lines)),
                "actor": receipt.by,
                "entered": RECEIPT.dump_python(receipt, mode="json"),
            }
            await _make(connection, case, turn, request.at, event)

        return await self._once(request.transfer_id, arrive)

    @activity.defn(name="cancel_transfer")
    async def cancel(self, step: Cancel) -> Outcome:
        """Give back what is held; what is on its way is put back at the source, or written off."""

        async def stop(connection: AsyncConnection, case: Case) -> None:
            if case.status is TransferStatus.CANCELLED:
                return
            case.expects(TransferStatus.CANCELLED, "be cancelled")
            rest = step.rest if case.status in ON_THE_WAY else None
            turn = cancel(case.status, case.lines, step.rest, reason=step.reason or "the transfer was cancelled")
            text = "It was cancelled" + (f"; {_RESTS[rest]}." if rest is not None else ".")
            text += f" {step.reason}" if step.reason else ""
            await _make(connection, case, turn, step.at, _event("cancelled", step, text), rest=rest and rest.value)

        return await self._once(step.transfer_id, stop)

    @activity.defn(name="expect_transfer")
    async def expect(self, step: Expect) -> Outcome:
        """Expect the goods at another moment; an alert that they are late is closed."""

        async def later(connection: AsyncConnection, case: Case) -> None:
            if case.status in ENDED:
                raise TooLate(f"Transfer {case.row.number} is {case.status}: nothing is expected of it any more.")
            if case.row.expected_at == step.expected_at and case.row.late_at is None:
                return  # nothing new, or done already, of which a worker that died told nobody
            text = f"It is expected by {step.expected_at:%Y-%m-%d %H:%M} UTC."
            event = _event(f"expected:{step.at.isoformat()}", step, text)
            values: dict[str, Any] = {"expected_at": step.expected_at}
            if case.status in ON_THE_WAY:
                values |= {"late_at": None}
                await alert_records.close_about_transfer(connection, case.row.id, by=step.by, note=text)
            await _write(connection, case, case.lines, values, event)

        return await self._once(step.transfer_id, later)

    @activity.defn(name="tell_late_transfer")
    async def tell_late(self, step: Step) -> Outcome:
        """Open an alert about a transfer that has waited too long; nothing where it has moved on meanwhile."""

        async def tell(connection: AsyncConnection, case: Case) -> None:
            standing = case.standing
            if standing.deadline is None or standing.deadline > step.at:
                return
            reason = standing.lateness(case.row.number)
            waits = [n for n in case.lines if n.held or n.on_the_way][:_MOST_NAMED]
            alert = {
                "warehouse": case.row.destination,
                "kind": AlertKind.TRANSFER_LATE.value,
                "reason": reason,
                "facts": {
                    "transfer": case.row.number,
                    "source": case.row.source,
                    "units": standing.units,
                    "lines": [{"sku": n.sku, "units": n.held or n.on_the_way} for n in waits],
                },
            }
            await alert_records.open_about_transfer(connection, case.row.id, alert)
            event = _event(f"late:{step.at.isoformat()}", step, reason)
            await _write(connection, case, case.lines, {"late_at": step.at}, event)

        return await self._once(step.transfer_id, tell)

    @activity.defn(name="note_transfer")
    async def note_cancel_refused(self, step: Step) -> Outcome:
        """Note that a cancellation in Temporal was passed over: nobody said what becomes of the units on their way."""

        async def note(connection: AsyncConnection, case: Case) -> None:
            text = "A cancellation in Temporal was passed over: the API asks what becomes of the units on their way."
            key = f"passed-over:{activity.info().workflow_run_id}"  # no run can be cancelled twice
            await records.add_event(connection, case.row.id, _event(key, step, text))

        return await self._once(step.transfer_id, note)

    async def _once(self, transfer_id: str, do: Callable[[AsyncConnection, Case], Awaitable[None]]) -> Outcome:
        """Do something with a transfer in one transaction, while nobody else does."""
        refusal = None
        try:
            async with self._database.transaction() as connection:
                await do(connection, await _case(connection, transfer_id, lock=True))
        except Conflict as error:  # an answer; nothing is written
            refusal = refusal_of(error)
        async with self._database.reading() as connection:
            case = await _case(connection, transfer_id)
        return Outcome(case.standing, refusal)


async def open_transfer(connection: AsyncConnection, row: Row[Any]) -> OpenTransfer:
    """What a transfer's workflow starts with, by its record."""
    lines = await records.lines(connection, row.id)
    return OpenTransfer(row.id, row.number, standing_of(dict(row._mapping), lines))


def standing_of(transfer: Mapping[str, Any], lines: Sequence[TransferLine]) -> Standing:
    """Where a transfer stands, by its record's columns."""
    status = TransferStatus(transfer["status"])
    return Standing(
        status=status,
        source=transfer["source"],
        destination=transfer["destination"],
        since=transfer["since"],
        units=on_the_way(lines) if status in ON_THE_WAY else sum(line.quantity for line in lines),
        expected_at=transfer["expected_at"],
        late=transfer["late_at"] is not None,
    )


async def booked_before(connection: AsyncConnection, transfer_id: str, receipt: Receipt) -> bool:
    """Whether a receipt is booked. Raises KeyReused where another one has its reference."""
    event = await records.find_event(connection, transfer_id, f"receipt:{receipt.reference}")
    if event is None:
        return False
    if replace(RECEIPT.validate_python(event.entered), by=receipt.by) != receipt:
        text = f"The reference {receipt.reference!r} was used for another receipt of this transfer before."
        raise KeyReused(text, field="reference")
    return True


async def _case(connection: AsyncConnection, transfer_id: str, *, lock: bool = False) -> Case:
    row = await records.find(connection, transfer_id, lock=lock)
    if row is None:
        raise LookupError("a step of a transfer without a record")
    return Case(row, tuple(await records.lines(connection, transfer_id)))


async def _make(
    connection: AsyncConnection, case: Case, turn: Turn, at: datetime, event: dict[str, Any], **values: Any
) -> None:
    """Write a turn: movements, lines, status and event together."""
    places = {End.SOURCE: case.row.source, End.DESTINATION: case.row.destination}
    cause = f"transfer:{case.row.id}"
    changes = [
        Change(
            key=f"{cause}:{move.name}",
            sku=move.sku,
            warehouse=places[move.end],
            kind=move.kind,
            on_hand=move.on_hand,
            reserved=move.reserved,
            cause=cause,
            actor=event["actor"],
            reason=move.reason,
            damaged=move.damaged,
            incoming=move.incoming,
        )
        for move in turn.moves
    ]
    keys = [(change.sku, change.warehouse) for change in changes]
    await stock_records.ensure_levels(connection, keys)
    await stock_records.lock(connection, keys)
    await stock_records.move(connection, changes)
    moved = turn.status is not case.status
    more = {"status": turn.status.value, **values}
    if moved:
        more |= {"since": at}
    if turn.status in ENDED:
        more |= {"closed_at": at}
    if (moved and case.status is TransferStatus.READY) or turn.status in ENDED:
        more |= {"late_at": None}
        text = f"The transfer is {turn.status.replace('_', ' ')}."
        await alert_records.close_about_transfer(connection, case.row.id, by=event["actor"], note=text)
    await _write(connection, case, turn.lines, more, event)


async def _write(
    connection: AsyncConnection,
    case: Case,
    lines: Sequence[TransferLine],
    values: dict[str, Any],
    event: dict[str, Any],
) -> None:
    waiting = waiting_json(standing_of({**case.row._mapping, **values}, lines).waiting)
    changed = [line for line, before in zip(lines, case.lines, strict=True) if line != before]
    await records.save(connection, case.row.id, {**values, "waiting": waiting}, changed)
    await records.add_event(connection, case.row.id, event)


def _event(key: str, step: Step, text: str) -> dict[str, Any]:
    return {"key": key, "at": step.at, "kind": key.partition(":")[0], "text": text, "actor": step.by, "entered": None}


def _told(receipt: Receipt, destination: str, left: int) -> str:
    parts = [f"{_units(sum(line.units for line in receipt.lines))} arrived at {destination}"]
    parts += [f"{one.units} of {one.sku} {one.reason.replace('_', ' ')}" for one in receipt.discrepancies]
    parts.append(f"{_units(left)} are still on the way" if left else "nothing is on the way any more")
    return "; ".join(parts) + "."


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"


_RESTS = {
    Rest.RESTOCK: "the units on their way were put back",
    Rest.WRITE_OFF: "the units on their way were written off",
}
