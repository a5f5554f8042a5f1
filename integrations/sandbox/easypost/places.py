"""Rough geography: enough to price a parcel by distance and to tell a real address from nonsense."""

import math
import re
from typing import Any

Object = dict[str, Any]

# Middle of each state: latitude, longitude (degrees).
STATES: dict[str, tuple[float, float]] = {
    "AL": (32.8, -86.8), "AK": (61.4, -152.4), "AZ": (33.7, -111.4), "AR": (35.0, -92.4), "CA": (36.1, -119.7),
    "CO": (39.1, -105.3), "CT": (41.6, -72.8), "DE": (39.3, -75.5), "DC": (38.9, -77.0), "FL": (27.8, -81.7),
    "GA": (33.0, -83.6), "HI": (21.1, -157.5), "ID": (44.2, -114.5), "IL": (40.3, -89.0), "IN": (39.8, -86.3),
    "IA": (42.0, -93.2), "KS": (38.5, -96.7), "KY": (37.7, -84.7), "LA": (31.2, -91.9), "ME": (44.7, -69.4),
    "MD": (39.1, -76.8), "MA": (42.2, -71.5), "MI": (43.3, -84.5), "MN": (45.7, -93.9), "MS": (32.7, -89.7),
    "MO": (38.5, -92.3), "MT": (46.9, -110.5), "NE": (41.1, -98.3), "NV": (38.3, -117.1), "NH": (43.5, -71.6),
    "NJ": (40.3, -74.5), "NM": (34.8, -106.2), "NY": (42.2, -74.9), "NC": (35.6, -79.8), "ND": (47.5, -99.8),
    "OH": (40.4, -82.8), "OK": (35.6, -96.9), "OR": (44.6, -122.1), "PA": (40.6, -77.2), "PR": (18.2, -66.6),
    "RI": (41.7, -71.5), "SC": (33.9, -80.9), "SD": (44.3, -99.4), "TN": (35.7, -86.7), "TX": (31.1, -97.6),
    "UT": (40.2, -111.9), "VT": (44.0, -72.7), "VA": (37.8, -78.2), "WA": (47.4, -121.5), "WV": (38.5, -81.0),
    "WI": (44.3, -89.6), "WY": (42.8, -107.3),
}  # fmt: skip

# Where most people live in each country that the sandbox's carriers serve.
COUNTRIES: dict[str, tuple[float, float]] = {
    "US": (39.8, -98.6), "CA": (44.5, -78.5), "MX": (19.4, -99.1), "BR": (-23.5, -46.6), "AR": (-34.6, -58.4),
    "CL": (-33.4, -70.7), "CO": (4.7, -74.1), "GB": (52.0, -1.2), "IE": (53.3, -6.3), "DE": (50.9, 9.5),
    "FR": (48.0, 2.5), "ES": (40.4, -3.7), "PT": (39.5, -8.5), "IT": (43.0, 12.0), "NL": (52.2, 5.1),
    "BE": (50.8, 4.4), "LU": (49.6, 6.1), "CH": (47.1, 8.0), "AT": (47.8, 14.2), "PL": (52.0, 19.5),
    "CZ": (49.9, 15.0), "SK": (48.7, 19.0), "HU": (47.3, 19.2), "SI": (46.1, 14.6), "HR": (45.6, 16.0),
    "RO": (45.3, 25.2), "BG": (42.6, 24.5), "GR": (38.3, 23.6), "SE": (59.0, 16.0), "NO": (60.0, 10.5),
    "DK": (55.8, 11.0), "FI": (61.0, 24.9), "EE": (59.2, 25.0), "LV": (57.0, 24.3), "LT": (55.0, 24.2),
    "TR": (40.0, 31.5), "IL": (32.0, 34.9), "AE": (25.2, 55.3), "SA": (24.7, 46.7), "ZA": (-27.5, 28.0),
    "EG": (30.0, 31.2), "IN": (22.0, 77.5), "CN": (31.2, 117.0), "HK": (22.3, 114.2), "TW": (24.5, 121.0),
    "JP": (35.7, 138.5), "KR": (37.0, 127.3), "SG": (1.35, 103.8), "MY": (3.1, 101.7), "TH": (13.8, 100.5),
    "VN": (16.0, 106.5), "ID": (-6.5, 107.5), "PH": (14.6, 121.0), "AU": (-35.0, 148.0), "NZ": (-39.5, 175.5),
}  # fmt: skip

EURO_COUNTRIES = frozenset({
    "AT", "BE", "DE", "EE", "ES", "FI", "FR", "GR", "HR", "IE", "IT", "LT", "LU", "LV", "NL", "PT", "SI", "SK",
})  # fmt: skip
EUROPEAN_UNION = EURO_COUNTRIES | {"BG", "CZ", "DK", "HU", "PL", "RO", "SE"}

_ZONE_MILES = (50, 150, 300, 600, 1000, 1400, 1800)
_EARTH_MILES = 3959
_MILES_PER_ZIP3 = 9
_ZIP = re.compile(r"\d{5}(-\d{4})?")


def miles(origin: Object, destination: Object) -> float:
    """A rough distance between two addresses. Raises `KeyError` for a state or country that is unknown."""
    if origin["country"] == destination["country"] == "US" and origin["state"] == destination["state"]:
        return min(600, abs(_zip3(origin) - _zip3(destination)) * _MILES_PER_ZIP3)
    return _great_circle(_point(origin), _point(destination))


def zone(distance: float) -> int:
    """The postal zone, 1 to 8, of a distance in miles."""
    return 1 + sum(distance > limit for limit in _ZONE_MILES)


def needs_customs(origin: Object, destination: Object) -> bool:
    """Whether a parcel between these addresses crosses a customs border."""
    countries = {origin["country"], destination["country"]}
    return len(countries) > 1 and not countries <= EUROPEAN_UNION


def currency(country: str) -> str:
    """What carriers charge in a country."""
    if country in EURO_COUNTRIES:
        return "EUR"
    return {"GB": "GBP", "CA": "CAD", "AU": "AUD", "CH": "CHF", "JP": "JPY", "CN": "CNY"}.get(country, "USD")


def why_undeliverable(address: Object) -> str | None:
    """What is wrong with an address, or None if the post would find it."""
    street = str(address.get("street1") or "").strip()
    if not street or "unknown" in street.lower() or "undeliverable" in street.lower():
        return "Address not found"
    if not str(address.get("city") or "").strip():
        return "City is missing"
    if address["country"] not in COUNTRIES:
        return "Country is not served"
    if address["country"] == "US":
        return _why_not_american(address)
    return None


def where(address: Object) -> tuple[float, float]:
    """Latitude and longitude of a deliverable address, to about a state's or country's width."""
    return _point(address)


def _why_not_american(address: Object) -> str | None:
    if address.get("state") not in STATES:
        return "State is not known"
    if not _ZIP.fullmatch(str(address.get("zip") or "")) or _zip3(address) == 0:
        return "Zip code is not known"
    return None


def _point(address: Object) -> tuple[float, float]:
    country: str = address["country"]
    return STATES[address["state"]] if country == "US" else COUNTRIES[country]


def _zip3(address: Object) -> int:
    return int(str(address["zip"])[:3])


def _great_circle(a: tuple[float, float], b: tuple[float, float]) -> float:
    (lat1, lon1), (lat2, lon2) = (tuple(map(math.radians, point)) for point in (a, b))
    span = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * _EARTH_MILES * math.asin(math.sqrt(span))
