"""When people are told of stock: a threshold is crossed, promised units are missing, the books disagree."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

SALE_DAYS = 30
"""the days over which the rate of sale is taken"""


class AlertKind(StrEnum):
    """What an alert is about."""

    OUT_OF_STOCK = "out_of_stock"
    LOW_STOCK = "low_stock"
    LOW_COVER = "low_cover"
    """what is available lasts for fewer days than wished, at the rate of the last 30 days"""
    PROMISED_MISSING = "promised_missing"
    """the shelf has less than was promised to orders"""
    DRIFT = "drift"
    """level, movements, reservations and transfers disagree"""
    TRANSFER_LATE = "transfer_late"
    """a transfer has not arrived when it was expected, or stands ready and does not leave"""


WATCHED = (AlertKind.OUT_OF_STOCK, AlertKind.LOW_STOCK, AlertKind.LOW_COVER, AlertKind.PROMISED_MISSING)
"""What opens and closes by itself as a level moves."""


class AlertStatus(StrEnum):
    """Whether an alert still holds."""

    OPEN = "open"
    RESOLVED = "resolved"


@dataclass(frozen=True)
class Thresholds:
    """When a level is low: ``units`` available or fewer, or enough for fewer than ``cover_days``. 0: never."""

    units: int = 0
    cover_days: int = 0


@dataclass(frozen=True)
class Watched:
    """A level as the watch sees it: ``sold`` units in the last 30 days, ``short`` promised ones that are missing."""

    sku: str
    warehouse: str
    available: int
    short: int
    sold: int


def due(level: Watched, wanted: Thresholds) -> Mapping[AlertKind, str]:
    """The alerts that hold for a level, each with its sentence.

    What is sold out is not low as well: nobody needs to be told twice.
    """
    here = f"{level.sku} at {level.warehouse}"
    found: dict[AlertKind, str] = {}
    if level.short > 0:
        found[AlertKind.PROMISED_MISSING] = f"{level.short} promised units of {here} are not on the shelf."
    if level.available <= 0:
        return found | {AlertKind.OUT_OF_STOCK: f"{here} is sold out: nothing is available."}
    if level.available <= wanted.units:
        found[AlertKind.LOW_STOCK] = f"{here} is low: {level.available} available, the threshold is {wanted.units}."
    # available / (sold / 30) < days, in whole numbers
    if level.available * SALE_DAYS < wanted.cover_days * level.sold:
        days = level.available * SALE_DAYS // level.sold
        found[AlertKind.LOW_COVER] = (
            f"{here} lasts for {days} days at the present rate of sale ({level.sold} in {SALE_DAYS} days); "
            f"{wanted.cover_days} are wished."
        )
    return found


def stays_open(kind: AlertKind, found: Mapping[AlertKind, str]) -> bool:
    """Whether an open alert still holds. One about low stock does while the level is sold out altogether."""
    low = kind in {AlertKind.LOW_STOCK, AlertKind.LOW_COVER}
    return kind in found or (low and AlertKind.OUT_OF_STOCK in found)
