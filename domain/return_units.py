"""The units of a return: what has come of them, what an inspection found, and what goes back on the shelf."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from domain.errors import InvalidReturn, MoreThanSent
from domain.return_rules import OURS, ReturnReason
from domain.returns import ReturnStatus

_S = ReturnStatus


class Condition(StrEnum):
    """What an inspection finds of a unit."""

    RESALEABLE = "resaleable"
    """back on the shelf"""
    DAMAGED = "damaged"
    """back on the shelf, as damaged"""
    WRONG_ITEM = "wrong_item"
    """another thing came in its place: the books of stock do not know it"""
    MISSING = "missing"
    """it never came"""


@dataclass(frozen=True)
class ReturnLine:
    """Units of an order's line that come back, and what became of them.

    Of the ``quantity`` that is asked for ``received`` have come, and ``missing`` ones will not. Of those received
    ``resaleable``, ``damaged`` and ``wrong_item`` ones were inspected. Money is given back for ``refunded``; ``kept``
    are missing or wrong ones for which it is not: the customer still has them.
    """

    number: int
    sku: str
    quantity: int
    received: int = 0
    resaleable: int = 0
    damaged: int = 0
    wrong_item: int = 0
    missing: int = 0
    refunded: int = 0
    kept: int = 0

    @property
    def expected(self) -> int:
        """Not received, and not given up for missing."""
        return self.quantity - self.received - self.missing

    @property
    def uninspected(self) -> int:
        """Received, and not inspected."""
        return self.received - self.resaleable - self.damaged - self.wrong_item


@dataclass(frozen=True)
class Arrived:
    """Units of a line that have arrived."""

    line: int
    units: int


@dataclass(frozen=True)
class ReturnReceipt:
    """What has arrived of a return. A ``reference`` counts once within its return."""

    reference: str
    by: str
    lines: tuple[Arrived, ...]
    note: str = ""


@dataclass(frozen=True)
class Inspected:
    """What was found of units of a line. ``refund`` None: as the condition and the return's reason have it."""

    line: int
    condition: Condition
    units: int
    refund: bool | None = None
    note: str = ""


@dataclass(frozen=True)
class Inspection:
    """What somebody found when looking at what has arrived. A ``reference`` counts once within its return."""

    reference: str
    by: str
    found: tuple[Inspected, ...]
    note: str = ""


@dataclass(frozen=True)
class Restocked:
    """Units that go back on a shelf. ``name`` tells it apart from the return's others, the same on every attempt."""

    name: str
    sku: str
    units: int
    damaged: bool
    reason: str


@dataclass(frozen=True)
class Turn:
    """What one step does to a return: where it stands after it, its lines, and what goes on the shelf."""

    status: ReturnStatus
    lines: tuple[ReturnLine, ...]
    restocked: tuple[Restocked, ...] = ()


def receive(lines: Sequence[ReturnLine], receipt: ReturnReceipt) -> Turn:
    """Units have arrived. Raises InvalidReturn, or MoreThanSent with everything beyond what is expected."""
    by_number = {line.number: line for line in lines}
    beyond = []
    for index, arrived in enumerate(receipt.lines):
        line = _line(by_number, arrived.line, f"lines[{index}].line")
        if arrived.units > line.expected:
            told = f"{arrived.units} of line {line.number} cannot have arrived: {line.expected} are expected."
            beyond.append((f"lines[{index}].quantity", told))
            continue
        by_number[line.number] = replace(line, received=line.received + arrived.units)
    if beyond:
        raise MoreThanSent(beyond)
    after = tuple(by_number[line.number] for line in lines)
    return Turn(_status_of(after), after)


def inspect(
    lines: Sequence[ReturnLine], inspection: Inspection, *, reason: ReturnReason, units: Mapping[int, Mapping[str, int]]
) -> Turn:
    """Units were looked at, or have not come. ``units`` is what one unit of a line is made of on the shelves, by SKU.

    Raises InvalidReturn, or MoreThanSent with everything beyond what has come, or is expected.
    """
    by_number = {line.number: line for line in lines}
    restocked: list[Restocked] = []
    beyond = []
    for index, found in enumerate(inspection.found):
        line = _line(by_number, found.line, f"units[{index}].line")
        there = line.expected if found.condition is Condition.MISSING else line.uninspected
        if found.units > there:
            state = "have not come" if found.condition is Condition.MISSING else "have come and are not inspected"
            told = (
                f"{found.units} of line {line.number} cannot be {found.condition.replace('_', ' ')}: {there} {state}."
            )
            beyond.append((f"units[{index}].quantity", told))
            continue
        by_number[line.number] = _judged(line, found, reason)
        restocked += _restocked(f"inspection:{inspection.reference}:{index + 1}", found, units[line.number])
    if beyond:
        raise MoreThanSent(beyond)
    after = tuple(by_number[line.number] for line in lines)
    return Turn(_status_of(after), after, tuple(restocked))


def give_up(lines: Sequence[ReturnLine]) -> Turn:
    """What has not come by now is missing, and is not refunded."""
    after = tuple(replace(line, missing=line.missing + line.expected, kept=line.kept + line.expected) for line in lines)
    return Turn(_status_of(after), after)


def is_refunded(condition: Condition, reason: ReturnReason) -> bool:
    """Whether money is given back for a unit about which nobody has said it."""
    match condition:
        case Condition.RESALEABLE:
            return True
        case Condition.DAMAGED:
            return reason in OURS
        case Condition.WRONG_ITEM:  # it is what we have sent
            return reason is ReturnReason.WRONG_ITEM
        case Condition.MISSING:
            return False


def _line(lines: Mapping[int, ReturnLine], number: int, field: str) -> ReturnLine:
    line = lines.get(number)
    if line is None:
        raise InvalidReturn(f"The return has no line {number}.", field=field)
    return line


def _judged(line: ReturnLine, found: Inspected, reason: ReturnReason) -> ReturnLine:
    refund = is_refunded(found.condition, reason) if found.refund is None else found.refund
    with_customer = found.condition in {Condition.MISSING, Condition.WRONG_ITEM} and not refund
    counted = found.condition.value
    return replace(
        line,
        **{counted: getattr(line, counted) + found.units},
        refunded=line.refunded + (found.units if refund else 0),
        kept=line.kept + (found.units if with_customer else 0),
    )


def _restocked(name: str, found: Inspected, one: Mapping[str, int]) -> Iterator[Restocked]:
    if found.condition not in {Condition.RESALEABLE, Condition.DAMAGED}:
        return
    damaged = found.condition is Condition.DAMAGED
    reason = found.condition.value + (f": {found.note}" if found.note else "")
    for sku, units in sorted(one.items()):
        yield Restocked(f"{name}:{sku}", sku, units * found.units, damaged, reason)


def _status_of(lines: Sequence[ReturnLine]) -> ReturnStatus:
    if any(line.expected for line in lines):
        return _S.PARTLY_RECEIVED
    return _S.RECEIVED if any(line.uninspected for line in lines) else _S.INSPECTED
