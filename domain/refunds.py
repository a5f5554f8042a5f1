"""Refunds: granted by one person, paid on the word of another, never more than was taken and not given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import InvalidRefund, RefundTooLarge
from domain.money import Money
from domain.orders import Line


class GrantStatus(StrEnum):
    """Where a refund stands with us."""

    GRANTED = "granted"
    PAYING = "paying"
    PAID = "paid"
    """the provider has taken it on; until it has reached the customer it may still fail"""
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    EXCHANGED = "exchanged"
    """not given back at all: it goes into the order of an exchange"""


PENDING = frozenset({GrantStatus.GRANTED, GrantStatus.PAYING})
"""Those whose money is spoken for, and may not have left."""


@dataclass(frozen=True)
class RefundLine:
    """Units of an order's line for which money is given back."""

    line: int
    quantity: int


@dataclass(frozen=True)
class RefundRequest:
    """What somebody grants: units of ``lines``, ``shipping`` or not, or just an ``amount``; ``reason`` says why.

    ``amount`` is in minor units; None is all that lines and shipping come to. Where both are given it may be less.
    """

    reference: str
    reason: str
    lines: tuple[RefundLine, ...] = ()
    shipping: bool = False
    amount: int | None = None
    tell_customer: bool = True


@dataclass(frozen=True)
class Given:
    """What earlier refunds, paid or pending, were for: units by line, and whether shipping was among it."""

    units: Mapping[int, int]
    shipping: bool = False


def amount_of(
    request: RefundRequest, *, lines: Sequence[Line], shipping_charge: int, currency: str, given: Given
) -> int:
    """What is to be given back, in minor units. Raises InvalidRefund, or RefundTooLarge for what was given before."""
    if not request.lines and not request.shipping:
        if not request.amount:
            raise InvalidRefund("Say what is refunded: lines, shipping, or an amount.", field="amount")
        return request.amount
    worth = worth_of(request.lines, lines=lines, given=given)
    if request.shipping:
        if given.shipping:
            raise RefundTooLarge("The shipping charge was refunded before.", field="shipping")
        worth += shipping_charge
    if request.amount is not None and request.amount > worth:
        told = f"That comes to {Money(worth, currency)}; the amount may be less, not more."
        raise InvalidRefund(told, field="amount")
    amount = worth if request.amount is None else request.amount
    if amount <= 0:
        raise InvalidRefund("That comes to nothing: there is nothing to give back.", field="amount")
    return amount


def worth_of(wanted: Sequence[RefundLine], *, lines: Sequence[Line], given: Given) -> int:
    """What units are worth, in minor units. Raises InvalidRefund, or RefundTooLarge for what was given before."""
    if len({one.line for one in wanted}) < len(wanted):
        raise InvalidRefund("A line is named twice.", field="lines")
    return sum(_share(one, index, lines, already=given.units.get(one.line, 0)) for index, one in enumerate(wanted))


def _share(wanted: RefundLine, index: int, lines: Sequence[Line], *, already: int) -> int:
    """What units of a line are worth. All of them, in however many refunds, are worth the line's total exactly."""
    line = next((line for line in lines if line.number == wanted.line), None)
    if line is None:
        raise InvalidRefund(f"The order has no line {wanted.line}.", field=f"lines[{index}].line")
    if wanted.quantity > line.quantity:
        raise InvalidRefund(
            f"Line {line.number} has {line.quantity} units, not {wanted.quantity}.", field=f"lines[{index}].quantity"
        )
    if already + wanted.quantity > line.quantity:
        raise RefundTooLarge(
            f"Of line {line.number}'s {line.quantity} units {already} were refunded before.",
            field=f"lines[{index}].quantity",
        )
    upto = already + wanted.quantity
    return line.total * upto // line.quantity - line.total * already // line.quantity


def shared_out(amount: int, rooms: Mapping[str, int]) -> dict[str, int]:
    """Which payments give back how much of ``amount``, which ``rooms`` have: as few as can be, the oldest first."""
    alone = next((payment for payment, room in rooms.items() if room >= amount), None)
    if alone is not None:
        return {alone: amount}
    found = {}
    for payment, room in rooms.items():
        found[payment] = min(room, amount)
        amount -= found[payment]
    return {payment: share for payment, share in found.items() if share}
