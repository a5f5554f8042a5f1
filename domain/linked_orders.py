"""Linked orders: placed for a claim or an exchange of another order, which settles what they cost, or part of it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from domain.orders import Line, OrderStatus


class OriginKind(StrEnum):
    """What a linked order is placed for."""

    CLAIM = "claim"
    EXCHANGE = "exchange"


@dataclass(frozen=True)
class Origin:
    """The claim or exchange that an order was placed for, and the order that this is about."""

    kind: OriginKind
    id: str
    number: str
    order_id: str
    order_number: str

    @property
    def cause(self) -> str:
        """What the ledger names as the cause of what the customer need not pay."""
        return f"{self.kind}:{self.id}"


@dataclass(frozen=True)
class Linked:
    """How an order stands that a claim or an exchange has had placed. ``closed``: its workflow has ended."""

    id: str
    number: str
    status: OrderStatus
    closed: bool


def share_of(line: Line, units: int) -> Line:
    """A line of as many ``units``, at the prices of ``line``; discount and tax are the units' share, rounded down."""
    return replace(
        line,
        quantity=units,
        discount=line.discount * units // line.quantity,
        tax=line.tax * units // line.quantity,
    )


def total_of(lines: Sequence[Line], shipping_charge: int = 0) -> int:
    """What an order of ``lines`` comes to, in minor units."""
    return sum(line.total for line in lines) + shipping_charge
