"""What routing knows of the world: warehouses, regions and what labels have cost."""

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from datetime import datetime

from domain.promises import Calendar
from domain.stock_queues import Terms

_EARTH_KM = 6371.0
_BANDS = (250, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 31_500)


@dataclass(frozen=True)
class Place:
    """A warehouse as routing sees it. Smaller ``priority`` is preferred.

    ``capacity`` is how many orders it takes a day, None if any number; ``load`` how many it has taken today.
    ``portal`` is where orders are placed with it, if it is a supplier with one; no rule looks at that.
    """

    warehouse: str
    country: str
    state: str | None
    priority: int
    postal_code: str = ""
    capacity: int | None = None
    load: int = 0
    hazardous_allowed: bool = False
    calendar: Calendar = field(default_factory=Calendar)
    portal: str | None = None


def prefixes_of(postal_code: str) -> list[str]:
    """Everything that a postal code begins with, the longest first and nothing last."""
    code = postal_code.replace(" ", "").upper()
    return [code[:length] for length in range(len(code), -1, -1)]


@dataclass(frozen=True)
class Geography:
    """The postal region table: (country, prefix of the postal code) -> region, and regions' centres in degrees."""

    prefixes: Mapping[tuple[str, str], str] = field(default_factory=dict)
    centres: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def region_of(self, country: str, postal_code: str) -> str | None:
        """The region that has the longest prefix of a postal code; None if none has one."""
        regions = (self.prefixes.get((country, prefix)) for prefix in prefixes_of(postal_code))
        return next((region for region in regions if region is not None), None)

    def distance_km(self, one: str, other: str) -> int:
        """Kilometres between the centres of two regions, as the crow flies (haversine, on a sphere)."""
        (lat1, lon1), (lat2, lon2) = self.centres[one], self.centres[other]
        half = math.sin(math.radians(lat2 - lat1) / 2) ** 2
        half += (
            math.cos(math.radians(lat1)) * math.cos(math.radians(lat2)) * math.sin(math.radians(lon2 - lon1) / 2) ** 2
        )
        return round(2 * _EARTH_KM * math.asin(min(1.0, math.sqrt(half))))


@dataclass(frozen=True)
class Cost:
    """What a label cost lately, in minor units of ``currency``."""

    minor: int
    currency: str


@dataclass(frozen=True)
class Scene:
    """Everything that a decision looks at.

    ``available`` maps (SKU, warehouse) to units that can be promised. ``costs`` maps (warehouse, zone, weight band) to
    what labels cost lately, ``grams`` a SKU to its weight. ``barred`` are warehouses that may not be chosen, each with
    the reason in a sentence's end (``it could not find the items``). ``terms`` say of a SKU whether units may be
    promised that are not there; what ships from where does not depend on them.
    """

    places: tuple[Place, ...]
    available: Mapping[tuple[str, str], int]
    at: datetime
    geography: Geography = field(default_factory=Geography)
    costs: Mapping[tuple[str, str, int], Cost] = field(default_factory=dict)
    grams: Mapping[str, int] = field(default_factory=dict)
    hazardous: Set[str] = frozenset()
    barred: Mapping[str, str] = field(default_factory=dict)
    terms: Mapping[str, Terms] = field(default_factory=dict)
    withheld: Mapping[tuple[str, str], str] = field(default_factory=dict)


def weight_band(grams: int) -> int:
    """The upper bound, in grams, of the band of weights that ``grams`` falls into; heavier than all is the last."""
    return next((band for band in _BANDS if grams <= band), _BANDS[-1])


def zone_for(geography: Geography, country: str, postal_code: str) -> str:
    """Where a parcel goes, as carriers price it: the postal region, or the country where the table has none."""
    return geography.region_of(country, postal_code) or country
