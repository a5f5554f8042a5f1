"""An order that is cancelled after something of it has left: what comes back, and what is taken out of it."""

from collections.abc import Iterator, Mapping, Sequence

from domain.cancellations import CancelWish
from domain.changes.effects import Facts
from domain.changes.wish import Edits, LineEdit, Stage
from domain.claims import Settled
from domain.errors import Conflict
from domain.orders import Line
from domain.return_requests import Delivered, WantedLine


def check_wish(wish: CancelWish) -> None:
    """Raise Conflict for what only an order of which nothing has left can be asked."""
    if not wish.restock:
        why = "What comes back is inspected, and that says what can be sold again: leave out `restock`."
        raise Conflict(why, field="restock")
    if wish.refund is not None:
        why = "What is given back follows from what comes back and how: leave out `refund`, and refund more beside it."
        raise Conflict(why, field="refund")


def to_take_back(
    lines: Sequence[Line], sent: Sequence[Delivered], settled: Mapping[int, Settled]
) -> tuple[WantedLine, ...]:
    """Units that are with the customer, or on their way to him, and are neither coming back nor claimed."""
    return tuple(WantedLine(line.number, units) for line in lines if (units := _out(line, sent, settled)) > 0)


def _out(line: Line, sent: Sequence[Delivered], settled: Mapping[int, Settled]) -> int:
    known = settled[line.number]
    out = sum(one.units for one in sent if one.line == line.number)
    # What is claimed may be what came back under its own label: of the rest all can be taken back.
    return min(out - known.returned, known.left)


def without_unsent(facts: Facts) -> Edits | None:
    """The change after which an order is what has left of it; None where everything has.

    Raises Conflict where a bundle has left in part.
    """
    lines = tuple(_edits(facts))
    return Edits(lines) if lines else None


def _edits(facts: Facts) -> Iterator[LineEdit]:
    left: dict[tuple[int, str], int] = {}
    for share in facts.shares:
        for a in share.allocations if share.stage is Stage.LEFT else ():
            left[a.line, a.sku] = left.get((a.line, a.sku), 0) + a.quantity
    for line in facts.content.lines:
        gone = {sku: (left.get((line.number, sku), 0), units // line.quantity) for sku, units in line.units.items()}
        whole, begun = min(n // each for n, each in gone.values()), max(-(-n // each) for n, each in gone.values())
        if begun > whole:
            raise Conflict(f"A bundle of line {line.number} has left in part: it cannot be cancelled before the rest.")
        if whole < line.quantity:
            yield LineEdit(line.number, whole)
