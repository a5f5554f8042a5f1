"""What somebody wishes changed of an order, and what the preview rested on that he was shown."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from domain.bundles import Part
from domain.changes.parcel import ParcelEdit
from domain.errors import InvalidChange
from domain.money import Money
from domain.orders import Address, Line, PaymentSource
from domain.return_requests import ShopReturn
from domain.stock import Allocation

GOOD_FOR = timedelta(hours=24)
"""how long a preview may be applied, if the order does not move"""
_CLOCKS_DIFFER = timedelta(minutes=5)


class Stage(StrEnum):
    """How far a parcel is, as far as changes are concerned."""

    PLANNED = "planned"
    LABELLED = "labelled"
    LEFT = "left"


@dataclass(frozen=True)
class LineEdit:
    """What an order's line shall be: other units (0: none, the line is removed), another price.

    ``discount`` and ``tax`` are for the whole line; left out, they follow the units. Money in minor units.
    """

    line: int
    quantity: int | None = None
    unit_price: int | None = None
    discount: int | None = None
    tax: int | None = None


@dataclass(frozen=True)
class NewLine:
    """A line that the order shall have besides. ``discount`` and ``tax`` are for the whole line, in minor units.

    ``parts`` are what one unit is made of, as it is when the line is wished; none where the SKU is no bundle.
    """

    sku: str
    quantity: int
    unit_price: int
    discount: int = 0
    tax: int = 0
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Edits:
    """What somebody wishes changed; what is None, or no line, stays. ``parcel`` comes alone."""

    lines: tuple[LineEdit, ...] = ()
    shipping_address: Address | None = None
    shipping_service: str | None = None
    shipping_charge: int | None = None
    add: tuple[NewLine, ...] = ()
    parcel: ParcelEdit | None = None


@dataclass(frozen=True)
class Content:
    """What of an order can be changed. Money in minor units of ``currency``."""

    lines: tuple[Line, ...]
    shipping_address: Address
    shipping_service: str
    shipping_charge: int
    currency: str

    @property
    def total(self) -> int:
        """What the customer pays."""
        return sum(line.total for line in self.lines) + self.shipping_charge


@dataclass(frozen=True)
class Share:
    """One fulfilment that ships something: ``number`` is for people.

    ``portal`` is its supplier's, ``held`` says whether a hold stands on it alone.
    """

    fulfilment_id: str
    number: int
    stage: Stage
    allocations: tuple[Allocation, ...]
    portal: str | None = None
    held: bool = False


@dataclass(frozen=True)
class Basis:
    """What a preview rests on, made ``at`` that moment: if any of it moves, it must be looked at again.

    ``version`` is the order's, ``parcels`` are number and stage of each; ``captured``, ``refunded`` and ``credited``
    are sums in minor units. ``effects`` is a digest of all that the change would do, where that is known.
    """

    version: int
    parcels: tuple[tuple[int, Stage], ...]
    captured: int
    refunded: int
    credited: int
    at: datetime
    effects: str = ""

    @property
    def token(self) -> str:
        """As callers hand it back."""
        parcels = "-".join(f"{number}{stage.value[:2]}" for number, stage in self.parcels)
        numbers = (self.captured, self.refunded, self.credited, int(self.at.timestamp()))
        return ".".join((str(self.version), parcels, *map(str, numbers), self.effects))

    def is_fresh(self, now: datetime) -> bool:
        """Whether it was made within a day before ``now``."""
        return -_CLOCKS_DIFFER < now - self.at < GOOD_FOR

    def moved(self, now: "Basis", currency: str) -> list[str]:
        """What is different now, in sentences; nothing if the preview still holds."""
        said = []
        if now.version != self.version:
            said.append(f"The order was changed: it has version {now.version}, and the preview is of {self.version}.")
        before, after = dict(self.parcels), dict(now.parcels)
        for number in sorted({*before, *after}):
            if before.get(number) is not after.get(number):
                stage = after.get(number)
                said.append(f"Parcel {number} {_BECAME[stage] if stage else 'is shipped by others now'}.")
        for name in ("captured", "refunded", "credited"):
            then, is_now = getattr(self, name), getattr(now, name)
            if then != is_now:
                said.append(f"{Money(is_now, currency)} is {name} now, and was {Money(then, currency)}.")
        if now.at - self.at > GOOD_FOR:
            said.append("The preview is older than a day.")
        if not said and now.effects and now.effects != self.effects:
            said.append("The change would do something else now: another body, other stock, or other rules.")
        return said


_BECAME = {Stage.PLANNED: "has no label now", Stage.LABELLED: "has a label now", Stage.LEFT: "has left"}
_STAGES = {stage.value[:2]: stage for stage in Stage}


def basis_of(token: str) -> Basis:
    """The basis that a caller hands back. Raises InvalidChange for what no preview has given."""
    try:
        version, parcels, captured, refunded, credited, at, effects = token.split(".")
        known = tuple((int(part[:-2]), _STAGES[part[-2:]]) for part in parcels.split("-") if part)
        moment = datetime.fromtimestamp(int(at), UTC)
        return Basis(int(version), known, int(captured), int(refunded), int(credited), moment, effects)
    except (ValueError, KeyError, OverflowError, OSError):
        raise InvalidChange("Give the version that a preview of this order has answered.", field="version") from None


@dataclass(frozen=True)
class OrderChange:
    """Somebody changes an order as a preview has shown it.

    ``id`` is made from the caller's key, so that a repetition is the same change; ``body_hash`` is of what was sent.
    ``payment`` is how the customer pays what it costs more, ``pay_until`` when that must be done; both are None where
    it costs no more than is held already. ``takes_back`` is what has left of an order that
    is cancelled by this. Without ``tell_customer`` he is not written to about it.
    """

    id: str
    edits: Edits
    basis: Basis
    by: str
    reason: str = ""
    body_hash: str = ""
    payment: PaymentSource | None = None
    pay_until: datetime | None = None
    tell_customer: bool = True
    takes_back: ShopReturn | None = None
