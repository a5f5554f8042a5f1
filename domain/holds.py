"""Holds: what keeps an order from its next irrevocable step until somebody lets it go."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.previews import Shown


class HoldReason(StrEnum):
    """Why an order, or one fulfilment of it, is held."""

    PAYMENT = "payment"
    ADDRESS = "address"
    FRAUD = "fraud"
    STOCK = "stock"
    CUSTOMER = "customer"
    OPERATOR = "operator"
    PORTAL = "portal"


class HoldStatus(StrEnum):
    """Whether a hold still stops anything."""

    STANDING = "standing"
    RELEASED = "released"


@dataclass(frozen=True)
class Hold:
    """One hold of an order, or of the fulfilment that it names.

    ``by`` names the credential, person or rule that placed it, ``note`` is free text. It releases itself at ``until``.
    ``approvals`` is how many different people must agree to its release, ``approved_by`` who has. ``shown`` is what
    whoever places it was shown before, if he was; then it is placed only if that is so still.
    """

    id: str
    reason: HoldReason
    by: str
    at: datetime
    note: str = ""
    fulfilment_id: str | None = None
    until: datetime | None = None
    approvals: int = 1
    approved_by: tuple[str, ...] = ()
    shown: Shown | None = None

    def concerns(self, fulfilment_id: str) -> bool:
        """Whether it stops this fulfilment."""
        return self.fulfilment_id in {None, fulfilment_id}

    def stands(self, now: datetime) -> bool:
        """Whether it has not released itself by ``now``."""
        return self.until is None or now < self.until

    @property
    def mark(self) -> str:
        """Its id with the number of those who agree to its release: another one when somebody agrees."""
        return f"{self.id}:{len(self.approved_by)}"

    @property
    def words(self) -> str:
        """The hold as people name it: `fraud hold (note)`."""
        return f"{self.reason} hold" + (f" ({self.note})" if self.note else "")


@dataclass(frozen=True)
class ReleaseHold:
    """Somebody agrees to let a hold go; only if all is as he was ``shown``, if he was."""

    hold_id: str
    by: str
    note: str = ""
    shown: Shown | None = None
