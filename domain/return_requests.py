"""What customers ask to return, and whether it may be: delivered, not returned yet, and allowed by the rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.claims import Settled
from domain.errors import InvalidReturn, MoreThanDelivered, NotReturnable, WindowOver
from domain.orders import Line
from domain.return_rules import ReturnReason, ReturnRule


@dataclass(frozen=True)
class WantedLine:
    """``quantity`` units of an order's line that somebody wants to return."""

    line: int
    quantity: int


@dataclass(frozen=True)
class ReturnRequest:
    """What somebody asks to return, and why. A ``reference`` counts once within its order.

    ``label``: the customer is sent a label; without one he brings or sends it himself. ``override`` says why it is
    taken although the rules forbid it. ``warehouse`` takes it in; None: the one that has shipped it.
    """

    reference: str
    reason: ReturnReason
    lines: tuple[WantedLine, ...]
    note: str = ""
    label: bool = True
    warehouse: str | None = None
    override: str | None = None


@dataclass(frozen=True)
class ShopReturn:
    """What the shop takes back of an order that it cancels after it has left, to ``warehouse``.

    It goes by no rule that limits customers. Without ``tell_customer`` nobody writes to him about it, ever.
    ``body_hash`` is of what was sent; a ``reference`` counts once within its order.
    """

    reference: str
    lines: tuple[WantedLine, ...]
    warehouse: str
    note: str = ""
    tell_customer: bool = True
    body_hash: str = ""


@dataclass(frozen=True)
class Delivered:
    """``units`` of an order's line that a parcel brings from ``warehouse``: at the customer's door, or left, ``at``."""

    line: int
    units: int
    at: datetime
    warehouse: str


def check_eligible(
    request: ReturnRequest,
    *,
    lines: Sequence[Line],
    delivered: Sequence[Delivered],
    settled: Mapping[int, Settled],
    rule: ReturnRule,
    now: datetime,
) -> None:
    """Raise unless all that is asked for may be returned; ``settled`` says what of each line is spoken for.

    Raises InvalidReturn, MoreThanDelivered with every line at fault, NotReturnable, WindowOver. The last two are passed
    over where there is an override.
    """
    by_number = {line.number: line for line in lines}
    if len({wanted.line for wanted in request.lines}) < len(request.lines):
        raise InvalidReturn("A line is named twice.", field="lines")
    for index, wanted in enumerate(request.lines):
        if wanted.line not in by_number:
            raise InvalidReturn(f"The order has no line {wanted.line}.", field=f"lines[{index}].line")
    _check_delivered(request, delivered, settled)
    if request.override is not None:
        return
    for index, wanted in enumerate(request.lines):
        sku = by_number[wanted.line].sku
        if sku in rule.not_returnable:
            raise NotReturnable(f"{sku} cannot be returned.", field=f"lines[{index}].line")
        fresh = sum(d.units for d in delivered if d.line == wanted.line and now <= d.at + rule.window)
        # What was returned before counts as the part that was delivered first.
        if wanted.quantity > min(fresh, _left(wanted.line, delivered, settled)):
            last = max(d.at for d in delivered if d.line == wanted.line)
            told = (
                f"Line {wanted.line} was last delivered on {last:%Y-%m-%d}, and could be returned for {rule.days} days"
            )
            raise WindowOver(f"{told}: {fresh} of its units still can.", field=f"lines[{index}].quantity")


def _check_delivered(request: ReturnRequest, delivered: Sequence[Delivered], settled: Mapping[int, Settled]) -> None:
    beyond = []
    for index, wanted in enumerate(request.lines):
        left = _left(wanted.line, delivered, settled)
        if wanted.quantity > left:
            told = f"Of line {wanted.line} {left} units were delivered and neither returned nor claimed"
            beyond.append((f"lines[{index}].quantity", f"{told}, not {wanted.quantity}."))
    if beyond:
        raise MoreThanDelivered(beyond)


def _left(line: int, delivered: Sequence[Delivered], settled: Mapping[int, Settled]) -> int:
    arrived = sum(d.units for d in delivered if d.line == line)
    known = settled.get(line, Settled(arrived, 0, 0))
    # What is claimed may be what never came: of the rest all can be returned.
    return min(arrived - known.returned, known.left)


def takes_in(request: ReturnRequest, delivered: Sequence[Delivered]) -> str:
    """The warehouse to which it goes: the one that is asked for, or the one that shipped most of these lines."""
    return request.warehouse or shipped_most(request.lines, delivered)


def shipped_most(lines: Sequence[WantedLine], delivered: Sequence[Delivered]) -> str:
    """The warehouse that has shipped most of these lines."""
    units: dict[str, int] = {}
    for one in delivered:
        if one.line in {wanted.line for wanted in lines}:
            units[one.warehouse] = units.get(one.warehouse, 0) + one.units
    return max(sorted(units), key=lambda warehouse: units[warehouse])
