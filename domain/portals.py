"""Supplier portals: what is ordered there, whether it is what was asked, and when the site may be visited.

A portal is a web site made for people. What is said here holds for every one of them.
"""

import re
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.orders import Address
from domain.stock import Allocation

PAUSE_AFTER = 3
"""A portal is paused when its pages have been other than expected so many times in a row."""

_ADDRESS = ("name", "company", "street1", "street2", "postal_code", "city", "state", "country", "phone")
MAY_BE_HIDDEN = frozenset({"name", "company", "street2", "state", "phone", "service", "reference", "instructions"})
"""What a portal may leave out where it shows an order. The rest decides what is sent where, and is always compared."""

_DAYS = ("mo", "tu", "we", "th", "fr", "sa", "su")
_SPAN = re.compile(r"(?:(?P<days>[a-z,-]+) )?(?P<opens>\d\d:\d\d)-(?P<closes>\d\d:\d\d)")
_FAR = 400
"""days ahead in which a portal must open at least once"""


class PortalStatus(StrEnum):
    """Where an order at a portal stands, in the words of no particular portal."""

    RECEIVED = "received"
    PICKING = "picking"
    DISPATCHED = "dispatched"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class PortalStage(StrEnum):
    """How far we have come with an order at a portal."""

    INTENDED = "intended"
    """nothing has been ordered"""
    SUBMITTING = "submitting"
    """the final button may have been pressed: whether there is an order must be looked up"""
    PLACED = "placed"
    REFUSED = "refused"
    """the portal said no, and there is no order"""
    DIFFERS = "differs"
    """there is an order, and it is not what was asked"""
    CANCELLED = "cancelled"


class EvidenceKind(StrEnum):
    """What a piece of evidence is."""

    PICTURE = "picture"
    PAGE = "page"
    DOCUMENT = "document"


@dataclass(frozen=True)
class PortalLine:
    """``quantity`` units of a SKU: of ours in an order, and in a portal of what the supplier calls it."""

    sku: str
    quantity: int


@dataclass(frozen=True)
class PortalRequest:
    """What is ordered, and what a portal shows of an order. ``reference`` is ours; by it the order is found again.

    ``service`` is `standard` or `express`.
    """

    reference: str
    recipient: Address
    lines: tuple[PortalLine, ...]
    service: str = "standard"
    instructions: str = ""


@dataclass(frozen=True)
class PortalOrder:
    """An order as the portal shows it. ``number`` is the portal's."""

    number: str
    status: PortalStatus
    shown: PortalRequest
    carrier: str | None = None
    tracking_code: str | None = None


@dataclass(frozen=True)
class TakeOver:
    """Somebody has ordered a fulfilment's units with its supplier himself, who calls the order ``number``.

    ``certain``: he has asked the supplier that there is no other, where ours may have been placed.
    """

    fulfilment_id: str
    number: str
    by: str
    certain: bool = False


SHIPPED = frozenset({PortalStatus.DISPATCHED, PortalStatus.DELIVERED})
"""Statuses in which an order has left the supplier."""


def trouble_id(portal: str, since: str) -> str:
    """The id of the exception about a portal that cannot be visited: the same as long as it is the same trouble."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"waybill portal {portal} {since}"))


def portal_service(shipping_service: str) -> str:
    """How a supplier is asked to ship what the customer ordered with a shipping service."""
    return "express" if shipping_service in {"express", "overnight"} else "standard"


def portal_reference(order_number: str, fulfilment: int, attempt: int) -> str:
    """Our reference of an order at a portal: ``WB-100042-1-1``. ``attempt`` rises with a person's decision alone."""
    return f"{order_number}-{fulfilment}-{attempt}"


def portal_lines(allocations: Iterable[Allocation]) -> tuple[PortalLine, ...]:
    """What to order for ``allocations``: each SKU once, in the order of their first mention."""
    units: Counter[str] = Counter()
    for allocation in allocations:
        units[allocation.sku] += allocation.quantity
    return tuple(PortalLine(sku, quantity) for sku, quantity in units.items())


class NotCarried(Exception):
    """A supplier does not carry what is to be ordered with him; ``skus`` are ours."""

    def __init__(self, portal: str, skus: Iterable[str]) -> None:
        self.skus = tuple(skus)
        super().__init__(f"{portal} does not carry {', '.join(self.skus)}, by the item numbers that are set for it.")


def portal_items(portal: str, lines: Iterable[PortalLine], known: Mapping[str, str | None]) -> dict[str, str]:
    """The supplier's item number of each SKU of ``lines``: what is ``known``, else the SKU itself.

    Raises NotCarried for SKUs that are known to have none.
    """
    items = {line.sku: known.get(line.sku, line.sku) for line in lines}
    missing = [sku for sku, item in items.items() if item is None]
    if missing:
        raise NotCarried(portal, missing)
    return {sku: item for sku, item in items.items() if item is not None}


def supplier_lines(lines: Iterable[PortalLine], items: Mapping[str, str]) -> tuple[PortalLine, ...]:
    """``lines`` in the supplier's item numbers: each once, though several SKUs of ours may be one item of his."""
    units: Counter[str] = Counter()
    for line in lines:
        units[items.get(line.sku, line.sku)] += line.quantity
    return tuple(PortalLine(item, quantity) for item, quantity in units.items())


def differences(asked: PortalRequest, shown: PortalRequest, *, hidden: frozenset[str] = frozenset()) -> tuple[str, ...]:
    """The names of the fields in which ``shown`` is not what was ``asked``; never their values, which are personal.

    Case and spacing of an address do not matter; SKUs must be the same to the letter. ``hidden`` fields are not
    shown by the portal. Raises ValueError for one that may not be hidden.
    """
    if not hidden <= MAY_BE_HIDDEN:
        raise ValueError(f"these fields must be compared: {', '.join(sorted(hidden - MAY_BE_HIDDEN))}")
    address = [
        f"recipient.{field}"
        for field in _ADDRESS
        if field not in hidden and _plain(getattr(asked.recipient, field)) != _plain(getattr(shown.recipient, field))
    ]
    wanted, given = _units(asked.lines), _units(shown.lines)
    lines = [f"lines.{sku}" for sku in dict.fromkeys([*wanted, *given]) if wanted.get(sku) != given.get(sku)]
    others = [
        field
        for field in ("reference", "service", "instructions")
        if field not in hidden and _plain(getattr(asked, field)) != _plain(getattr(shown, field))
    ]
    return (*address, *lines, *others)


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).casefold()


def _units(lines: Iterable[PortalLine]) -> Counter[str]:
    units: Counter[str] = Counter()
    for line in lines:
        units[line.sku.strip()] += line.quantity
    return units


@dataclass(frozen=True)
class Span:
    """A time of day on some weekdays (0 is Monday). One that closes before it opens ends on the next day."""

    weekdays: frozenset[int]
    opens: time
    closes: time

    def on(self, day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
        """When it begins and ends if it begins on ``day``."""
        last = day if self.closes > self.opens else day + timedelta(days=1)
        return datetime.combine(day, self.opens, zone), datetime.combine(last, self.closes, zone)


@dataclass(frozen=True)
class Timetable:
    """When a portal may be visited: within ``openings`` (always, if there are none), and not within ``maintenance``.

    ``closures`` are single stretches of time, such as an announced migration.
    """

    zone: str = "UTC"
    openings: tuple[Span, ...] = ()
    maintenance: tuple[Span, ...] = ()
    closures: tuple[tuple[datetime, datetime], ...] = ()

    def open_from(self, at: datetime) -> datetime | None:
        """``at`` if the portal may be visited then, else when next; None if not within about a year."""
        candidate = at.astimezone(UTC)
        for _ in range(_FAR):
            later = self._closed_until(candidate)
            if later is None:
                return candidate
            if later - at > timedelta(days=_FAR):
                return None
            candidate = later
        return None

    def _closed_until(self, at: datetime) -> datetime | None:
        ends = [end for begin, end in (*self.closures, *self._days(self.maintenance, at)) if begin <= at < end]
        if ends:
            return max(ends).astimezone(UTC)
        if not self.openings:
            return None
        stretches = list(self._days(self.openings, at))
        if any(begin <= at < end for begin, end in stretches):
            return None
        return min((begin for begin, _ in stretches if begin > at), default=at + timedelta(days=7)).astimezone(UTC)

    def _days(self, spans: Iterable[Span], at: datetime) -> Iterator[tuple[datetime, datetime]]:
        zone = ZoneInfo(self.zone)
        today = at.astimezone(zone).date()
        for span in spans:
            for offset in range(-1, 8):
                day = today + timedelta(days=offset)
                if day.weekday() in span.weekdays:
                    yield span.on(day, zone)


def parse_span(text: str) -> Span:
    """``mo-fr 07:00-19:00``, ``sa,su 22:00-04:00`` or, every day, ``03:00-03:30``. Raises ValueError."""
    found = _SPAN.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no time such as 'mo-fr 07:00-19:00'")
    opens, closes = time.fromisoformat(found["opens"]), time.fromisoformat(found["closes"])
    if opens == closes:
        raise ValueError(f"{text!r} begins when it ends")
    return Span(frozenset(_weekdays(found["days"] or "mo-su")), opens, closes)


def parse_closure(text: str) -> tuple[datetime, datetime]:
    """``2026-12-24T20:00+01:00/2026-12-27T06:00+01:00``. Raises ValueError."""
    begin, _, end = text.partition("/")
    stretch = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    if any(moment.tzinfo is None for moment in stretch) or stretch[0] >= stretch[1]:
        raise ValueError(f"{text!r} is no stretch of time with its zone, such as 2026-12-24T20:00Z/2026-12-27T06:00Z")
    return stretch


def _weekdays(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first not in _DAYS or (last and last not in _DAYS):
            raise ValueError(f"{part!r} is no weekday; they are {', '.join(_DAYS)}")
        begin, end = _DAYS.index(first), _DAYS.index(last or first)
        yield from (day % 7 for day in range(begin, end + 1 if end >= begin else end + 8))
