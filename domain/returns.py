"""Returns: where one stands, what may follow, and what it waits for."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import Conflict, TooLate
from domain.exceptions import ExceptionKind
from domain.notifications import NoticeKind
from domain.waiting import Party, Waiting

APPROVE_WITHIN = timedelta(days=1)
TRANSIT_TAKES = timedelta(days=14)
INSPECT_WITHIN = timedelta(days=3)
"""how long an approval, a parcel, an inspection may take before operators are told"""


class ReturnStatus(StrEnum):
    """Where a return stands. `TRANSITIONS` says what may follow what."""

    REQUESTED = "requested"
    APPROVED = "approved"
    LABELLED = "labelled"
    IN_TRANSIT = "in_transit"
    PARTLY_RECEIVED = "partly_received"
    RECEIVED = "received"
    INSPECTED = "inspected"
    CLOSED = "closed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


_S = ReturnStatus
TRANSITIONS: dict[ReturnStatus, frozenset[ReturnStatus]] = {
    _S.REQUESTED: frozenset({_S.APPROVED, _S.REFUSED, _S.WITHDRAWN}),
    _S.APPROVED: frozenset({_S.LABELLED, _S.PARTLY_RECEIVED, _S.RECEIVED, _S.WITHDRAWN, _S.EXPIRED}),
    _S.LABELLED: frozenset({_S.IN_TRANSIT, _S.PARTLY_RECEIVED, _S.RECEIVED, _S.WITHDRAWN, _S.EXPIRED}),
    _S.IN_TRANSIT: frozenset({_S.PARTLY_RECEIVED, _S.RECEIVED, _S.INSPECTED}),
    _S.PARTLY_RECEIVED: frozenset({_S.RECEIVED, _S.INSPECTED}),
    _S.RECEIVED: frozenset({_S.INSPECTED}),
    _S.INSPECTED: frozenset({_S.CLOSED}),
    _S.CLOSED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.WITHDRAWN: frozenset(),
    _S.EXPIRED: frozenset(),
}
"""Status -> the statuses that may follow it. A status without followers is an end."""

ENDED = frozenset(status for status, after in TRANSITIONS.items() if not after)
GIVEN_UP = frozenset({_S.REFUSED, _S.WITHDRAWN, _S.EXPIRED})
"""Ends at which the customer keeps everything."""
ON_THE_WAY = frozenset({_S.IN_TRANSIT, _S.PARTLY_RECEIVED})
_TO_BE_SENT = frozenset({_S.APPROVED, _S.LABELLED})


def can_follow(current: ReturnStatus, following: ReturnStatus) -> bool:
    """Whether a return in ``current`` may come to stand in ``following`` (staying is always allowed)."""
    return current == following or following in TRANSITIONS[current]


def check_follows(number: str, current: ReturnStatus, following: ReturnStatus, what: str) -> None:
    """Raise TooLate, or Conflict where it is too early, unless a return in ``current`` may come to ``following``."""
    if can_follow(current, following):
        return
    error = TooLate if current in ENDED else Conflict
    raise error(f"Return {number} is {current.replace('_', ' ')}: it cannot {what}.")


class LabelState(StrEnum):
    """How it stands with a return's label."""

    NONE = "none"
    """the customer brings or sends it himself"""
    WANTED = "wanted"
    BOUGHT = "bought"
    UNWANTED = "unwanted"
    """bought, and to be given back"""
    GIVEN_BACK = "given_back"


class Deed(StrEnum):
    """What a return's workflow has to do, by itself, as the return stands."""

    LABEL = "label"
    VOID = "void"
    SETTLE = "settle"


@dataclass(frozen=True)
class Standing:
    """Where a return stands. ``since`` is when it came to stand so, ``patient_since`` since when it is waited for.

    ``expected`` units have not come, ``uninspected`` ones have and nobody has looked at them. ``trouble`` is the
    exception about it that is open. ``letters`` are e-mails that the customer has not been sent yet, in their order.
    ``revision`` rises with every change: of two answers the one that knows more is told by it.
    """

    status: ReturnStatus
    warehouse: str
    since: datetime
    patient_since: datetime
    expected: int
    uninspected: int
    label: LabelState = LabelState.NONE
    attempt: int = 1
    send_by: datetime | None = None
    trouble: ExceptionKind | None = None
    letters: tuple[NoticeKind, ...] = ()
    revision: int = 0

    @property
    def deed(self) -> Deed | None:
        """What is to be done now; None where it waits for somebody else."""
        if self.status is _S.INSPECTED:
            return Deed.SETTLE
        if self.label is LabelState.UNWANTED:
            return Deed.VOID
        stopped = self.trouble is ExceptionKind.RETURN_LABEL_FAILED
        return Deed.LABEL if self._lacks_label and not stopped else None

    @property
    def letter(self) -> NoticeKind | None:
        """The e-mail that is to be sent now."""
        return self.letters[0] if self.letters else None

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""
        return self.status in ENDED and self.deed is None and not self.letters

    @property
    def expires(self) -> bool:
        """Whether it ends at its deadline, because nothing was sent."""
        return self.status in _TO_BE_SENT

    @property
    def deadline(self) -> datetime | None:
        """When it has waited too long; None where it may wait, or operators know."""
        if self.trouble is not None or self.status in ENDED or self.deed is not None:
            return None
        if self.expires:
            return self.send_by
        return self.patient_since + _PATIENCE[self.status]

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""
        what, party = self._awaited()
        if self.trouble is not None:
            return Waiting(f"somebody to look after {what}", Party.OPERATOR, self.since)
        then = "the return expires" if self.expires else "operators are told"
        return Waiting(what, party, self.since, self.deadline, then if self.deadline is not None else None)

    @property
    def _lacks_label(self) -> bool:
        return self.status is _S.APPROVED and self.label is LabelState.WANTED

    def _awaited(self) -> tuple[str, Party]:
        match self.status:
            case _S.REQUESTED:
                return "somebody to approve or refuse the return", Party.OPERATOR
            case _S.APPROVED if self._lacks_label:
                return "the return's label", Party.CARRIER
            case _S.APPROVED | _S.LABELLED:
                return f"the customer to send {_units(self.expected)} to {self.warehouse}", Party.CUSTOMER
            case _S.IN_TRANSIT:
                return f"{_units(self.expected)} to arrive at {self.warehouse}", Party.CARRIER
            case _S.PARTLY_RECEIVED:
                return f"the rest, {_units(self.expected)}, to arrive at {self.warehouse}", Party.WAREHOUSE
            case _S.RECEIVED:
                return f"the inspection of {_units(self.uninspected)} at {self.warehouse}", Party.WAREHOUSE
            case _S.INSPECTED:
                return "the refund to be granted", Party.WAYBILL
            case _:
                return self.status.value.capitalize(), Party.NOBODY


@dataclass(frozen=True)
class ReturnWish:
    """Somebody wants a return approved, refused or withdrawn; ``why`` is told to the customer who is refused."""

    by: str
    why: str = ""


@dataclass(frozen=True)
class OpenReturn:
    """A return that is not over, and where it stands by its record: what its workflow starts with."""

    id: str
    number: str
    order_id: str
    standing: Standing


def workflow_id(return_id: str) -> str:
    """The id of a return's workflow."""
    return f"return-{return_id}"


_PATIENCE: Mapping[ReturnStatus, timedelta] = {
    _S.REQUESTED: APPROVE_WITHIN,
    _S.IN_TRANSIT: TRANSIT_TAKES,
    _S.PARTLY_RECEIVED: TRANSIT_TAKES,
    _S.RECEIVED: INSPECT_WITHIN,
}


def _units(count: int) -> str:
    return "1 unit" if count == 1 else f"{count} units"
