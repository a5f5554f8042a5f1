"""What a hold stops, and what goes on when it is released."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.changes.wish import Share, Stage
from domain.holds import Hold
from domain.orders import OrderStatus


class Step(StrEnum):
    """The next step of a parcel, as far as holds are concerned."""

    LABEL = "label"
    """its label is bought, or it is ordered with its supplier"""
    HAND_OVER = "hand_over"
    DELIVERY = "delivery"
    """it has left: no hold stops it"""


@dataclass(frozen=True)
class ParcelStop:
    """A parcel and its ``next`` step; both ids are None where none is planned yet.

    ``held_by`` are the other holds that stop it afterwards.
    """

    fulfilment_id: str | None
    parcel: int | None
    next: Step
    stopped_before: bool
    stopped_after: bool
    held_by: tuple[str, ...]


@dataclass(frozen=True)
class Standstill:
    """What placing or releasing a hold does, in words and for each parcel.

    ``goes_on`` are the steps of the order that no hold stops. ``approvals_missing`` is how many more people must agree.
    ``promised_at`` is when the order should be at the door, ``late`` whether that is past, ``money_held_until`` when
    the first hold on its money ends by itself.
    """

    said: str
    parcels: tuple[ParcelStop, ...]
    goes_on: tuple[str, ...]
    approvals_missing: int
    promised_at: datetime | None
    late: bool
    money_held_until: datetime | None


_NEXT = {Stage.PLANNED: Step.LABEL, Stage.LABELLED: Step.HAND_OVER, Stage.LEFT: Step.DELIVERY}
_GOES_ON = {
    OrderStatus.ACCEPTED: ("stock", "payment"),
    OrderStatus.AWAITING_STOCK: ("stock", "payment"),
    OrderStatus.AWAITING_PAYMENT: ("payment",),
}
_WORDS = {Step.LABEL: "the label of {}", Step.HAND_OVER: "the hand-over of {}", Step.DELIVERY: "the delivery of {}"}


def steps_that_go_on(status: OrderStatus) -> tuple[str, ...]:
    """What of an order no hold stops: what can be undone."""
    return _GOES_ON.get(status, ())


def stops_of(shares: Sequence[Share], before: Sequence[Hold], after: Sequence[Hold]) -> tuple[ParcelStop, ...]:
    """Which parcels stand still with the holds of ``before``, and with those of ``after``."""
    if not shares:
        return (_stop(None, None, Step.LABEL, before, after),)
    return tuple(_stop(share.fulfilment_id, share.number, _NEXT[share.stage], before, after) for share in shares)


def said(parcels: Sequence[ParcelStop], *, missing: int) -> str:
    """In a sentence, what becomes of the parcels."""
    if missing:
        return f"Nothing goes on yet: it takes the agreement of {missing} more."
    parts = list(_parts(parcels))
    return f"{', and '.join(parts)}." if parts else "Nothing stands still that did not before, and nothing goes on."


def _parts(parcels: Sequence[ParcelStop]) -> Iterator[str]:
    stopped = [_named(p) for p in parcels if p.stopped_after and not p.stopped_before]
    freed = [_named(p) for p in parcels if p.stopped_before and not p.stopped_after]
    if stopped:
        yield f"It stops {' and '.join(stopped)}"
    if freed:
        yield f"{'it' if stopped else 'It'} goes on with {' and '.join(freed)}"


def _named(parcel: ParcelStop) -> str:
    return _WORDS[parcel.next].format("every parcel" if parcel.parcel is None else f"parcel {parcel.parcel}")


def _stop(id: str | None, number: int | None, step: Step, before: Sequence[Hold], after: Sequence[Hold]) -> ParcelStop:
    stoppable = step is not Step.DELIVERY
    was = [hold.id for hold in before if stoppable and _concerns(hold, id)]
    now = [hold.id for hold in after if stoppable and _concerns(hold, id)]
    known = {hold.id for hold in before}
    return ParcelStop(id, number, step, bool(was), bool(now), tuple(hold for hold in now if hold in known))


def _concerns(hold: Hold, id: str | None) -> bool:
    return hold.fulfilment_id is None if id is None else hold.concerns(id)
