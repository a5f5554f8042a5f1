"""Claims: what was shipped and did not come, or not as it should. Where one stands, and what it waits for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from domain.errors import Conflict, InvalidClaim, MoreThanShipped, TooLate
from domain.exceptions import ExceptionKind
from domain.notifications import NoticeKind
from domain.orders import Line
from domain.waiting import Party, Waiting

DECIDE_WITHIN = timedelta(days=2)
"""how long a decision may take before operators are told"""
NOUN = "claim"


class ClaimKind(StrEnum):
    """What is wrong with what was shipped."""

    LOST = "lost"
    """a parcel never came"""
    DAMAGED = "damaged"
    MISSING = "missing"
    """the parcel came, and it was not in it"""
    WRONG_ITEM = "wrong_item"
    """another thing came in its place"""


class Remedy(StrEnum):
    """What the customer gets for a claim; nothing is sent back for either."""

    REFUND = "refund"
    REPLACEMENT = "replacement"
    """a linked order of the same units, which costs nothing"""


class ClaimStatus(StrEnum):
    """Where a claim stands. `TRANSITIONS` says what may follow what."""

    REQUESTED = "requested"
    REPLACING = "replacing"
    """its replacement is on the way"""
    CLOSED = "closed"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"


_S = ClaimStatus
TRANSITIONS: dict[ClaimStatus, frozenset[ClaimStatus]] = {
    _S.REQUESTED: frozenset({_S.REPLACING, _S.CLOSED, _S.REFUSED, _S.WITHDRAWN}),
    # A replacement that is never shipped leaves the claim to be decided anew.
    _S.REPLACING: frozenset({_S.CLOSED, _S.REQUESTED}),
    _S.CLOSED: frozenset(),
    _S.REFUSED: frozenset(),
    _S.WITHDRAWN: frozenset(),
}
"""Status -> the statuses that may follow it. A status without followers is an end."""

ENDED = frozenset(status for status, after in TRANSITIONS.items() if not after)
GIVEN_UP = frozenset({_S.REFUSED, _S.WITHDRAWN})
"""Ends at which nothing is settled: the same units may be claimed again."""


def check_follows(number: str, current: ClaimStatus, following: ClaimStatus, what: str) -> None:
    """Raise TooLate unless a claim in ``current`` may come to ``following``, where it may stay."""
    if current != following and following not in TRANSITIONS[current]:
        error = TooLate if current in ENDED else Conflict
        raise error(f"Claim {number} is {current.replace('_', ' ')}: it cannot {what}.")


def check_undecided(number: str, current: ClaimStatus) -> None:
    """Raise TooLate, or Conflict while it is being replaced, unless a claim waits to be decided."""
    if current is not _S.REQUESTED:
        error = TooLate if current in ENDED else Conflict
        raise error(f"Claim {number} is {current.replace('_', ' ')}: it has been decided.")


@dataclass(frozen=True)
class Standing:
    """Where a claim stands. ``since`` is when it came to stand so, ``patient_since`` since when it is waited for.

    ``replacement`` is the number of the order that replaces what is claimed, the latest of so many ``replacements``.
    ``trouble``, ``letters`` and ``revision`` are as those of returns.
    """

    status: ClaimStatus
    since: datetime
    patient_since: datetime
    replacement: str | None = None
    replacements: int = 0
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
        return self.status in ENDED and not self.letters

    @property
    def deadline(self) -> datetime | None:
        """When it has waited too long; None where it may wait, or operators know."""
        waits = self.status is _S.REQUESTED and self.trouble is None
        return self.patient_since + DECIDE_WITHIN if waits else None

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""
        match self.status:
            case _S.REQUESTED:
                what, party = "somebody to decide the claim", Party.OPERATOR
            case _S.REPLACING:
                # That order says itself what it waits for, and until when.
                what, party = f"order {self.replacement}, which replaces what is claimed", Party.WAYBILL
            case _:
                what, party = self.status.value.capitalize(), Party.NOBODY
        then = "operators are told" if self.deadline is not None else None
        return Waiting(what, party, self.since, self.deadline, then)


@dataclass(frozen=True)
class ClaimedLine:
    """``quantity`` units of an order's line that are claimed."""

    line: int
    quantity: int


@dataclass(frozen=True)
class ClaimRequest:
    """What is wrong with which units, and how that is known. A ``reference`` counts once within its order.

    ``photos`` are where pictures can be looked at.
    """

    reference: str
    kind: ClaimKind
    lines: tuple[ClaimedLine, ...]
    evidence: str
    photos: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settled:
    """Units of an order's line that have left, and those of them that are spoken for: on their way back, or claimed."""

    shipped: int
    returned: int
    claimed: int

    @property
    def left(self) -> int:
        """Units that can still be claimed."""
        return max(0, self.shipped - self.returned - self.claimed)


def check_claimable(request: ClaimRequest, lines: Sequence[Line], settled: Mapping[int, Settled]) -> None:
    """Raise unless all of it can be claimed: InvalidClaim, or MoreThanShipped with every line at fault."""
    known = {line.number for line in lines}
    if len({claimed.line for claimed in request.lines}) < len(request.lines):
        raise InvalidClaim("A line is named twice.", field="lines")
    beyond = []
    for index, claimed in enumerate(request.lines):
        if claimed.line not in known:
            raise InvalidClaim(f"The order has no line {claimed.line}.", field=f"lines[{index}].line")
        left = settled.get(claimed.line, Settled(0, 0, 0)).left
        if claimed.quantity > left:
            told = f"Of line {claimed.line} {left} units were shipped and neither returned nor claimed"
            beyond.append((f"lines[{index}].quantity", f"{told}, not {claimed.quantity}."))
    if beyond:
        raise MoreThanShipped(beyond)


@dataclass(frozen=True)
class ClaimWish:
    """Somebody wants a claim refused or withdrawn; ``why`` is told to the customer who is refused."""

    by: str
    why: str = ""


@dataclass(frozen=True)
class ClaimApproval:
    """Somebody grants a claim's ``remedy``.

    ``amount`` of a refund is in minor units, and may be less than the units are worth; None is all of it.
    ``shipping_service`` of a replacement may be another than the order's.
    """

    by: str
    remedy: Remedy
    amount: int | None = None
    shipping_service: str | None = None
    note: str = ""


@dataclass(frozen=True)
class OpenClaim:
    """A claim that is not over, and where it stands by its record: what its workflow starts with."""

    id: str
    number: str
    order_id: str
    standing: Standing


def workflow_id(claim_id: str) -> str:
    """The id of a claim's workflow."""
    return f"{NOUN}-{claim_id}"
