"""When a parcel leaves a warehouse, when it should be at the door, and whether that still holds."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from zoneinfo import ZoneInfo

from domain.orders import PlacedOrder
from domain.shipments import SERVICE_DAYS, promised_by

ANY_SPEED = 14
"""days that are promised where the shipping service allows the carrier any speed"""
NEARING = timedelta(hours=24)
"""how long before its promise an order that is still under way counts as nearing it"""
_MOST_CLOSED = 366
"""days in a row that a warehouse may be closed; one that never opens would otherwise be counted for ever"""


class Standing(StrEnum):
    """How an order stands to its promise."""

    WITHIN = "within"
    NEARING = "nearing"
    PAST = "past"


@dataclass(frozen=True)
class Calendar:
    """When a warehouse works. ``closed_weekdays`` are ISO numbers (Monday 1); ``zone`` is a name of the IANA database.

    What comes after ``cut_off`` counts for the next day that is open; without one whatever comes on an open day counts
    for that day. ``handling_days`` are the open days from the order to the carrier.
    """

    zone: str = "UTC"
    cut_off: time | None = None
    holidays: frozenset[date] = frozenset()
    closed_weekdays: frozenset[int] = frozenset()
    handling_days: int = 1

    def day_of(self, at: datetime) -> date:
        """The warehouse's own date at that moment."""
        return at.astimezone(zone_of(self.zone)).date()

    def is_open(self, day: date) -> bool:
        """Whether the warehouse works on ``day``."""
        return day not in self.holidays and day.isoweekday() not in self.closed_weekdays

    def begins(self, at: datetime) -> datetime:
        """The local moment from which an order that came ``at`` is worked on."""
        local = at.astimezone(zone_of(self.zone))
        late = self.cut_off is not None and local > datetime.combine(local.date(), self.cut_off, tzinfo=local.tzinfo)
        first = local.date() + timedelta(days=1) if late else local.date()
        return _on(self._open_from(first), local)

    def leaves(self, at: datetime) -> datetime:
        """When a parcel leaves that was ordered ``at``, by the cut-off where there is one; UTC."""
        begins = self.begins(at)
        day = begins.date()
        for _ in range(self.handling_days):
            day = self._open_from(day + timedelta(days=1))
        if self.cut_off is not None:
            return datetime.combine(day, self.cut_off, tzinfo=begins.tzinfo).astimezone(UTC)
        return _on(day, begins).astimezone(UTC)

    def _open_from(self, day: date) -> date:
        for later in range(_MOST_CLOSED):
            candidate = day + timedelta(days=later)
            if self.is_open(candidate):
                return candidate
        return day


@dataclass(frozen=True)
class Promise:
    """When an order should be at the door: as the customer was told first, and as it looks now. Both UTC."""

    first: datetime
    current: datetime


def _on(day: date, moment: datetime) -> datetime:
    return moment.replace(year=day.year, month=day.month, day=day.day)


def zone_of(name: str) -> tzinfo:
    """The time zone of that name. Raises ZoneInfoNotFoundError or ValueError for one that is unknown."""
    return UTC if name == "UTC" else ZoneInfo(name)


def carrier_days(service: str) -> int:
    """The days that a shipping service leaves the carrier."""
    return SERVICE_DAYS[service] or ANY_SPEED


def promise(placed_at: datetime, *, service: str, calendars: Iterable[Calendar]) -> datetime:
    """When an order placed then is at the door, whichever of the warehouses ships it: the slowest of them counts; UTC.

    Without any warehouse it is as with one that works every day and needs one.
    """
    leaves = [calendar.leaves(placed_at) for calendar in calendars] or [Calendar().leaves(placed_at)]
    return max(leaves) + timedelta(days=carrier_days(service))


def promised_to(order: PlacedOrder) -> datetime:
    """When an accepted order should be at the door: as promised, or by the rule from before there were promises."""
    return order.promised_at or promised_by(order.placed_at, order.request.shipping_service)


def standing(promised: datetime, *, at: datetime, under_way: bool) -> Standing:
    """How an order stands that arrived, or is still ``under_way``, ``at`` that moment."""
    if at > promised:
        return Standing.PAST
    return Standing.NEARING if under_way and promised - at <= NEARING else Standing.WITHIN
