"""Transfers: goods on their way from one warehouse of ours to another, and what arrived of them."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import Conflict, MoreThanSent, NotEnoughUnits, TooEarly, TooLate
from domain.stock import MovementKind
from domain.waiting import Party, Waiting

_TRANSFERS = uuid.UUID("5c5d0a3e-7b5f-5d0e-9a54-57a1b1110002")

READY_FOR = timedelta(days=7)
"""how long goods may stand ready, and be kept from sale, before operators are told"""
TRANSIT_TAKES = timedelta(days=7)
"""when goods are expected for which nobody said when"""


class TransferStatus(StrEnum):
    """Where a transfer stands. `TRANSITIONS` says what may follow what."""

    DRAFT = "draft"
    READY = "ready"
    IN_TRANSIT = "in_transit"
    PARTLY_RECEIVED = "partly_received"
    RECEIVED = "received"
    CANCELLED = "cancelled"


_S = TransferStatus
TRANSITIONS: dict[TransferStatus, frozenset[TransferStatus]] = {
    _S.DRAFT: frozenset({_S.READY, _S.CANCELLED}),
    _S.READY: frozenset({_S.IN_TRANSIT, _S.CANCELLED}),
    _S.IN_TRANSIT: frozenset({_S.PARTLY_RECEIVED, _S.RECEIVED, _S.CANCELLED}),
    _S.PARTLY_RECEIVED: frozenset({_S.RECEIVED, _S.CANCELLED}),
    _S.RECEIVED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""Status -> the statuses that may follow it. A status without followers is an end."""

ENDED = frozenset(status for status, after in TRANSITIONS.items() if not after)
ON_THE_WAY = frozenset({_S.IN_TRANSIT, _S.PARTLY_RECEIVED})
"""Statuses in which units have left one warehouse and are not all accounted for at the other."""


def can_follow(current: TransferStatus, following: TransferStatus) -> bool:
    """Whether a transfer in ``current`` may come to stand in ``following`` (staying is always allowed)."""
    return current == following or following in TRANSITIONS[current]


def check_follows(number: str, current: TransferStatus, following: TransferStatus, what: str) -> None:
    """Raise TooEarly or TooLate unless a transfer in ``current`` may come to stand in ``following``."""
    if can_follow(current, following):
        return
    error = TooEarly if current in {_S.DRAFT, _S.READY} else TooLate
    raise error(f"Transfer {number} is {current.replace('_', ' ')}: it cannot {what}.")


class DiscrepancyReason(StrEnum):
    """How what arrived differs from what was sent."""

    MISSING = "missing"
    """never arrived: written off"""
    DAMAGED = "damaged"
    """arrived, and cannot be sold: on the shelf as damaged"""
    EXTRA = "extra"
    """arrived beyond what was sent: on the shelf as well"""
    WRONG_ITEM = "wrong_item"
    """another SKU lay in its place: the sent units are written off, those of the other SKU go on the shelf"""


class Rest(StrEnum):
    """What becomes of the units that are on their way when a transfer is cancelled."""

    RESTOCK = "restock"
    """they came back to where they left from"""
    WRITE_OFF = "write_off"
    """they are gone"""


@dataclass(frozen=True)
class Wish:
    """Somebody wants a transfer moved on: made ready, if nothing else is said."""

    by: str


@dataclass(frozen=True)
class SendWish(Wish):
    """The goods leave, and are expected by then; None: by what the transfer says."""

    expected_at: datetime | None = None


@dataclass(frozen=True)
class ExpectWish(Wish):
    """The goods are expected at another moment."""

    expected_at: datetime


@dataclass(frozen=True)
class CancelWish(Wish):
    """It is cancelled; ``rest`` is needed where units are on their way."""

    reason: str = ""
    rest: Rest | None = None


class End(StrEnum):
    """One of a transfer's two warehouses."""

    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True)
class TransferLine:
    """Units of one SKU, and what became of them.

    ``held`` are kept from sale at the source until they leave. Of those ``sent``, ``received`` arrived whole,
    ``damaged`` did so damaged; ``missing`` and ``wrong_item`` ones were written off on arrival; ``restocked`` and
    ``written_off`` ones when the transfer was cancelled. ``extra`` arrived beyond what was sent.
    """

    number: int
    sku: str
    quantity: int
    held: int = 0
    sent: int = 0
    received: int = 0
    damaged: int = 0
    missing: int = 0
    wrong_item: int = 0
    extra: int = 0
    restocked: int = 0
    written_off: int = 0

    @property
    def on_the_way(self) -> int:
        """Sent, and not accounted for."""
        found = self.received + self.damaged + self.missing + self.wrong_item
        return self.sent - found - self.restocked - self.written_off


@dataclass(frozen=True)
class Arrived:
    """Whole units of a SKU that were sent and have arrived."""

    sku: str
    units: int


@dataclass(frozen=True)
class Discrepancy:
    """Units of a line about which something is not as it should be. ``instead`` is the SKU that lay in their place."""

    sku: str
    reason: DiscrepancyReason
    units: int
    note: str = ""
    instead: str | None = None


@dataclass(frozen=True)
class Receipt:
    """What somebody found when goods of a transfer arrived. A ``reference`` counts once within its transfer."""

    reference: str
    by: str
    lines: tuple[Arrived, ...] = ()
    discrepancies: tuple[Discrepancy, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Move:
    """One movement to be made. ``name`` tells it apart from the transfer's others, the same on every attempt."""

    name: str
    end: End
    sku: str
    kind: MovementKind
    on_hand: int = 0
    reserved: int = 0
    damaged: int = 0
    incoming: int = 0
    reason: str = ""


@dataclass(frozen=True)
class Turn:
    """What one step does to a transfer: its movements, its lines after them, and where it then stands."""

    status: TransferStatus
    lines: tuple[TransferLine, ...]
    moves: tuple[Move, ...] = ()


def hold(lines: Sequence[TransferLine], available: Mapping[str, int], *, source: str) -> Turn:
    """Keep the units from sale. Raises NotEnoughUnits with every line of which fewer can be had at the source."""
    short = [
        (index, f"{line.sku} at {source}: {available.get(line.sku, 0)} are available, {line.quantity} are to leave.")
        for index, line in enumerate(lines)
        if available.get(line.sku, 0) < line.quantity
    ]
    if short:
        raise NotEnoughUnits(short)
    moves = [
        Move(f"hold:{line.number}", End.SOURCE, line.sku, MovementKind.RESERVED, reserved=line.quantity)
        for line in lines
    ]
    return Turn(_S.READY, tuple(replace(line, held=line.quantity) for line in lines), tuple(moves))


def send(lines: Sequence[TransferLine]) -> Turn:
    """The units leave, and are expected at the other end."""
    moves: list[Move] = []
    for line in lines:
        out, units = MovementKind.TRANSFERRED_OUT, line.held
        moves.append(Move(f"out:{line.number}", End.SOURCE, line.sku, out, on_hand=-units, reserved=-units))
        announced = MovementKind.ANNOUNCED
        moves.append(Move(f"way:{line.number}", End.DESTINATION, line.sku, announced, incoming=units))
    return Turn(_S.IN_TRANSIT, tuple(replace(line, held=0, sent=line.held) for line in lines), tuple(moves))


def receive(lines: Sequence[TransferLine], receipt: Receipt) -> Turn:
    """Goods have arrived, or have been found not to.

    What is received is taken off what is on the way in the order of the receipt. Raises Conflict for a SKU that the
    transfer does not have, MoreThanSent with everything beyond what is on the way; only `extra` may be beyond it.
    """
    by_sku = {line.sku: line for line in lines}
    moves: list[Move] = []
    beyond: list[tuple[str, str]] = []
    for number, (where, sku, units, discrepancy) in enumerate(_found(receipt), start=1):
        line = by_sku.get(sku)
        if line is None:
            raise Conflict(_NOT_LISTED.format(sku=sku), field=f"{where}.sku")
        counted = "received" if discrepancy is None else discrepancy.reason.value
        if counted != DiscrepancyReason.EXTRA and units > line.on_the_way:
            beyond.append((f"{where}.quantity", _beyond(line, units)))
            continue
        by_sku[sku] = replace(line, **{counted: getattr(line, counted) + units})
        name = f"receipt:{receipt.reference}:{number}"
        moves += [_arrival(name, sku, units)] if discrepancy is None else _differs(name, discrepancy)
    if beyond:
        raise MoreThanSent(beyond)
    after = tuple(by_sku[line.sku] for line in lines)
    return Turn(_S.PARTLY_RECEIVED if on_the_way(after) else _S.RECEIVED, after, tuple(moves))


def cancel(status: TransferStatus, lines: Sequence[TransferLine], rest: Rest | None, *, reason: str) -> Turn:
    """Give back what is held; what is on its way goes where ``rest`` says. Raises Conflict where that is not said."""
    check_rest(status, on_the_way(lines), rest)
    moves: list[Move] = []
    after: list[TransferLine] = []
    for line in lines:
        away, name = line.on_the_way, f"cancel:{line.number}"
        if line.held:
            moves.append(Move(name, End.SOURCE, line.sku, MovementKind.RELEASED, reserved=-line.held, reason=reason))
        if away:
            kind = MovementKind.WRITTEN_OFF if rest is Rest.WRITE_OFF else MovementKind.ANNOUNCED
            moves.append(Move(name, End.DESTINATION, line.sku, kind, incoming=-away, reason=reason))
        if away and rest is Rest.RESTOCK:
            back = f"back:{line.number}"
            moves.append(Move(back, End.SOURCE, line.sku, MovementKind.TRANSFERRED_IN, on_hand=away, reason=reason))
        counted = "written_off" if rest is Rest.WRITE_OFF else "restocked"
        after.append(replace(line, held=0, **{counted: getattr(line, counted) + away}))
    return Turn(_S.CANCELLED, tuple(after), tuple(moves))


def check_rest(status: TransferStatus, units: int, rest: Rest | None) -> None:
    """Raise Conflict where units are on their way and nobody has said what becomes of them."""
    if status in ON_THE_WAY and rest is None:
        text = f"{units} units are on their way: say whether they were put back (restock) or are gone (write_off)."
        raise Conflict(text, field="units")


def on_the_way(lines: Sequence[TransferLine]) -> int:
    """Units that have left and are not accounted for."""
    return sum(line.on_the_way for line in lines)


@dataclass(frozen=True)
class Standing:
    """Where a transfer stands, as far as its waiting goes. ``since`` is when it came to stand so.

    ``late`` says that operators were told that it waits too long.
    """

    status: TransferStatus
    source: str
    destination: str
    since: datetime
    units: int
    expected_at: datetime | None = None
    late: bool = False

    @property
    def deadline(self) -> datetime | None:
        """When it has waited too long; None where it may wait, or operators know."""
        if self.late:
            return None
        if self.status is _S.READY:
            return self.since + READY_FOR
        return self.expected_at if self.status in ON_THE_WAY else None

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""
        goods = f"{self.units} units" if self.units != 1 else "1 unit"
        match self.status:
            case _S.RECEIVED:
                return Waiting(f"Received at {self.destination}", Party.NOBODY, self.since)
            case _S.CANCELLED:
                return Waiting("Cancelled", Party.NOBODY, self.since)
            case _S.DRAFT:
                what = f"somebody to make {goods} ready at {self.source}"
                return Waiting(what, Party.OPERATOR, self.since, then="they are kept from sale")
            case _S.READY:
                what = f"{goods} to leave {self.source}"
            case _:
                what = f"{goods} from {self.source} to arrive at {self.destination}"
        if self.late:
            return Waiting(f"somebody to look after {what}", Party.OPERATOR, self.since)
        return Waiting(what, Party.WAREHOUSE, self.since, self.deadline, "operators are told")

    def lateness(self, number: str) -> str:
        """The sentence that tells operators."""
        goods = f"{self.units} units" if self.units != 1 else "1 unit"
        if self.status is _S.READY:
            text = f"Transfer {number} is ready at {self.source} since {self.since:%Y-%m-%d %H:%M} UTC and has not left"
            return f"{text}; it keeps {goods} from sale. Send it or cancel it."
        text = f"Transfer {number} from {self.source} to {self.destination} is late"
        expected = "" if self.expected_at is None else f", expected by {self.expected_at:%Y-%m-%d %H:%M} UTC"
        return (
            f"{text}: {goods} have not arrived{expected}. Receive them, report them as missing, or expect them later."
        )


@dataclass(frozen=True)
class OpenTransfer:
    """A transfer that is not over, and where it stands by its record: what its workflow starts with."""

    id: str
    number: str
    standing: Standing


def transfer_id(reference: str) -> str:
    """The id of the transfer that callers know as ``reference``: a name-based UUID (RFC 9562, version 5)."""
    return str(uuid.uuid5(_TRANSFERS, reference))


def workflow_id(transfer: str) -> str:
    """The id of a transfer's workflow."""
    return f"transfer-{transfer}"


def _found(receipt: Receipt) -> Iterator[tuple[str, str, int, Discrepancy | None]]:
    """Each part of a receipt: where it stands there, SKU, units, and what is not as it should be."""
    for index, line in enumerate(receipt.lines):
        yield f"lines[{index}]", line.sku, line.units, None
    for index, one in enumerate(receipt.discrepancies):
        yield f"discrepancies[{index}]", one.sku, one.units, one


def _beyond(line: TransferLine, units: int) -> str:
    text = f"{units} of {line.sku} cannot have arrived: of {line.sent} sent {line.on_the_way} are still on the way"
    return f"{text}. What arrived beyond that is a discrepancy with the reason extra."


def _arrival(name: str, sku: str, units: int, *, damaged: int = 0, sent: bool = True, reason: str = "") -> Move:
    kind, taken = MovementKind.TRANSFERRED_IN, -units if sent else 0
    return Move(name, End.DESTINATION, sku, kind, on_hand=units, damaged=damaged, incoming=taken, reason=reason)


def _differs(name: str, one: Discrepancy) -> list[Move]:
    reason = one.reason.value + (f": {one.note}" if one.note else "")
    if one.reason is DiscrepancyReason.DAMAGED:
        return [_arrival(name, one.sku, one.units, damaged=one.units, reason=reason)]
    if one.reason is DiscrepancyReason.EXTRA:
        return [_arrival(name, one.sku, one.units, sent=False, reason=reason)]
    gone = Move(name, End.DESTINATION, one.sku, MovementKind.WRITTEN_OFF, incoming=-one.units, reason=reason)
    if one.instead is None:
        return [gone]
    instead = f"{reason} (instead of {one.sku})"
    return [gone, _arrival(f"{name}:instead", one.instead, one.units, sent=False, reason=instead)]


_NOT_LISTED = "The transfer has no line of {sku}. What it never listed is a delivery of its own: a receipt of stock."
