"""Exchanges: what is sent back, and what is sent for it. Where one stands, and what follows."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import Conflict, TooLate
from domain.exceptions import ExceptionKind
from domain.linked_orders import Linked
from domain.money import Money
from domain.notifications import NoticeKind
from domain.orders import Line, OrderStatus, PaymentSource
from domain.return_requests import ReturnRequest
from domain.returns import GIVEN_UP, LabelState, ReturnStatus
from domain.waiting import Party, Waiting

NOUN = "exchange"
BACK_WITHIN_DAYS = 28


class Ships(StrEnum):
    """When the new goods are ordered."""

    AFTER_INSPECTION = "after_inspection"
    AT_ONCE = "at_once"
    """as soon as the return is approved: at the shop's risk"""


class ExchangeStatus(StrEnum):
    """Where an exchange stands. `TRANSITIONS` says what may follow what."""

    WAITING = "waiting"
    """for the return"""
    ORDERED = "ordered"
    """the new goods are an order of their own"""
    COMPLETED = "completed"
    ENDED = "ended"
    """nothing is sent in exchange: what is returned is refunded"""


_S = ExchangeStatus
TRANSITIONS: dict[ExchangeStatus, frozenset[ExchangeStatus]] = {
    _S.WAITING: frozenset({_S.ORDERED, _S.ENDED}),
    _S.ORDERED: frozenset({_S.COMPLETED, _S.ENDED}),
    _S.COMPLETED: frozenset(),
    _S.ENDED: frozenset(),
}
"""Status -> the statuses that may follow it. A status without followers is an end."""

OVER = frozenset(status for status, after in TRANSITIONS.items() if not after)


def check_withdrawable(number: str, current: ExchangeStatus) -> None:
    """Raise TooLate, or Conflict while its order is on the way, unless an exchange can be withdrawn, or was ended."""
    if current is _S.ORDERED:
        raise Conflict(f"What is sent for exchange {number} is ordered: cancel that order.")
    if current is _S.COMPLETED:
        raise TooLate(f"Exchange {number} is completed: it cannot be withdrawn.")


@dataclass(frozen=True)
class ExchangeRequest:
    """What is sent back, and what is sent for it; ``goods`` cost what their lines say, and ``shipping_charge``.

    What they cost more than is given back for the return is charged to ``payment``. ``back_days``: so long may what is
    sent back take where the goods do not wait for it, until a person is asked.
    """

    reference: str
    returned: ReturnRequest
    goods: tuple[Line, ...]
    ships: Ships
    shipping_service: str
    shipping_charge: int
    payment: PaymentSource
    back_days: int = BACK_WITHIN_DAYS

    @property
    def total(self) -> int:
        """What the goods come to, in minor units of the order's currency."""
        return sum(line.total for line in self.goods) + self.shipping_charge


@dataclass(frozen=True)
class Back:
    """How an exchange's return stands."""

    number: str
    status: ReturnStatus
    label: LabelState

    @property
    def approved(self) -> bool:
        """Whether it is taken, and has the label that it needs."""
        lacks_label = self.status is ReturnStatus.APPROVED and self.label is LabelState.WANTED
        return self.status is not ReturnStatus.REQUESTED and self.status not in GIVEN_UP and not lacks_label

    @property
    def settled(self) -> bool:
        """Whether what came was looked at, and is paid for."""
        return self.status is ReturnStatus.CLOSED

    @property
    def given_up(self) -> bool:
        """Whether nothing comes."""
        return self.status in GIVEN_UP


class Move(StrEnum):
    """What follows from how an exchange's return and its order stand."""

    ORDER = "order"
    """have the new goods placed as an order"""
    END = "end"
    """nothing is sent: give back what was kept for it"""
    COMPLETE = "complete"
    TELL_SHORT = "tell_short"
    """what came back is worth less than was credited"""
    TELL_LATE = "tell_late"
    """nothing will come back"""


@dataclass(frozen=True)
class Facts:
    """What the next move of an exchange depends on.

    ``credit`` minor units were kept for its order, None before that is known; what came back is ``worth`` so much, None
    before it is settled. ``accepted``: a person has decided to go on without the rest.
    """

    status: ExchangeStatus
    ships: Ships
    back: Back
    linked: Linked | None
    credit: int | None
    worth: int | None
    accepted: bool
    troubled: bool

    @property
    def fell_through(self) -> bool:
        """Whether its order has ended, and the customer has not got the goods."""
        return self.linked is not None and self.linked.closed and self.linked.status is not OrderStatus.DELIVERED


def next_move(facts: Facts) -> Move | None:
    """What is to be done now; None while something else has to happen first."""
    if facts.status is _S.WAITING:
        return _before_order(facts)
    if facts.status is not _S.ORDERED:
        return None
    if facts.fell_through:
        return Move.END
    short = facts.worth is not None and facts.worth < (facts.credit or 0)
    if facts.ships is Ships.AT_ONCE and not facts.accepted:
        if facts.back.given_up:
            return None if facts.troubled else Move.TELL_LATE
        if short:
            return None if facts.troubled else Move.TELL_SHORT
        if not facts.back.settled:
            return None
    delivered = facts.linked is not None and facts.linked.closed
    return Move.COMPLETE if delivered else None


def _before_order(facts: Facts) -> Move | None:
    if facts.back.given_up:
        return Move.END
    if facts.ships is Ships.AT_ONCE and facts.back.approved and not facts.back.settled:
        return Move.ORDER
    if facts.back.settled:
        # For what is worth nothing nothing is sent: the customer would pay for all of it.
        return Move.ORDER if facts.credit else Move.END
    return None


@dataclass(frozen=True)
class Standing:
    """Where an exchange stands. ``since`` is when it came to stand so, ``patient_since`` since when it is waited for.

    ``returned`` is the number of its return, ``ordered`` that of its order. ``back_by`` is until when the return may
    take; None where nobody waits for it. ``trouble``, ``letters`` and ``revision`` are as those of returns.
    """

    status: ExchangeStatus
    since: datetime
    patient_since: datetime
    returned: str
    ordered: str | None = None
    back_by: datetime | None = None
    trouble: ExceptionKind | None = None
    letters: tuple[NoticeKind, ...] = ()
    revision: int = 0

    @property
    def letter(self) -> NoticeKind | None:
        """The e-mail that is to be sent now."""
        return self.letters[0] if self.letters else None

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.status in OVER and not self.letters

    @property
    def deadline(self) -> datetime | None:
        """When it has waited too long; None where it may wait, or operators know."""
        return self.back_by if self.status is _S.ORDERED and self.trouble is None else None

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""
        then = "operators are told" if self.deadline is not None else None
        if self.trouble is not None:
            what = f"somebody to look after return {self.returned}"
            return Waiting(what, Party.OPERATOR, self.since)
        # The return and the order say themselves on whom they wait.
        match self.status:
            case _S.WAITING:
                what, party = f"return {self.returned}", Party.WAYBILL
            case _S.ORDERED if self.back_by is not None:
                what, party = f"return {self.returned}, and order {self.ordered}, which is sent for it", Party.WAYBILL
            case _S.ORDERED:
                what, party = f"order {self.ordered}, which is sent in exchange", Party.WAYBILL
            case _:
                what, party = self.status.value.capitalize(), Party.NOBODY
        return Waiting(what, party, self.since, self.deadline, then)


def back_by(ships: Ships, back: Back, *, since: datetime, days: int, accepted: bool) -> datetime | None:
    """Until when what is sent back may take; None where nobody waits for it."""
    waits = ships is Ships.AT_ONCE and not back.settled and not back.given_up and not accepted
    return since + timedelta(days=days) if waits else None


@dataclass(frozen=True)
class ExchangeWish:
    """Somebody wants an exchange withdrawn."""

    by: str
    why: str = ""


@dataclass(frozen=True)
class OpenExchange:
    """An exchange that is not over, and where it stands by its record: what its workflow starts with."""

    id: str
    number: str
    order_id: str
    standing: Standing


def told_of_money(credit: int, total: int, currency: str) -> str:
    """What an order of ``total`` still costs, in words, where ``credit`` of it is settled."""
    rest = total - credit
    return f"costs {Money(rest, currency)} more" if rest else "costs nothing more"


def workflow_id(exchange_id: str) -> str:
    """The id of an exchange's workflow."""
    return f"{NOUN}-{exchange_id}"
