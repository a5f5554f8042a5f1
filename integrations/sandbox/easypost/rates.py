"""What carriers charge: by weight and zone, each carrier with its services, limits and borders."""

import hashlib
import math
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from integrations.sandbox.easypost import places
from integrations.sandbox.easypost.wire import money

Object = dict[str, Any]

OUNCES_PER_POUND = 16
_CUBIC_INCHES_PER_POUND = 166  # dimensional weight, as carriers reckon it


class Lane(StrEnum):
    """What kind of way a parcel takes."""

    UNITED_STATES = "united_states"
    EXPORT = "export"
    ELSEWHERE = "elsewhere"
    BETWEEN = "between"


@dataclass(frozen=True)
class Service:
    """A product of a carrier: price = base + zone * per_zone + pounds * (per_pound + zone * per_pound_zone).

    ``days`` are the fastest and the slowest transit; ``most_pounds`` may narrow the carrier's limit.
    """

    name: str
    lane: Lane
    base: str
    per_zone: str
    per_pound: str
    per_pound_zone: str
    days: tuple[int, int]
    most_pounds: int | None = None
    guaranteed: bool = False

    def price(self, pounds: int, zone: int) -> Decimal:
        """The price of a parcel of whole pounds."""
        by_weight = pounds * (Decimal(self.per_pound) + zone * Decimal(self.per_pound_zone))
        return Decimal(self.base) + zone * Decimal(self.per_zone) + by_weight

    def transit(self, zone: int) -> int:
        """Days on the way."""
        fastest, slowest = self.days
        return fastest + round((slowest - fastest) * (zone - 1) / 7)


@dataclass(frozen=True)
class Carrier:
    """A carrier and what it sells; ``most_pounds`` is its heaviest parcel."""

    name: str
    most_pounds: int
    services: tuple[Service, ...]

    @property
    def account(self) -> str:
        """The id of our account with the carrier, always the same."""
        return "ca_" + hashlib.sha256(self.name.encode()).hexdigest()[:32]


_US, _EXPORT, _ELSEWHERE, _BETWEEN = Lane.UNITED_STATES, Lane.EXPORT, Lane.ELSEWHERE, Lane.BETWEEN

CARRIERS = (
    Carrier("USPS", 70, (
        Service("Express", _US, "26.40", "1.30", "1.92", "0.50", (1, 2)),
        Service("Priority", _US, "5.21", "0.30", "0.20", "0.18", (1, 3)),
        Service("GroundAdvantage", _US, "3.40", "0.30", "0.12", "0.15", (2, 5)),
        Service("FirstClassPackageInternationalService", _EXPORT, "12.10", "0.40", "3.10", "0.12", (7, 21), 4),
        Service("PriorityMailInternational", _EXPORT, "36.20", "0.90", "2.40", "0.21", (6, 10)),
        Service("ExpressMailInternational", _EXPORT, "54.80", "1.10", "3.20", "0.27", (3, 5)),
    )),
    Carrier("UPS", 150, (
        Service("Ground", _US, "8.90", "0.35", "0.10", "0.11", (1, 5), guaranteed=True),
        Service("2ndDayAir", _US, "18.70", "1.05", "0.92", "0.33", (2, 2), guaranteed=True),
        Service("NextDayAir", _US, "42.30", "2.10", "1.85", "0.48", (1, 1), guaranteed=True),
        Service("Expedited", _EXPORT, "48.10", "1.20", "2.95", "0.30", (3, 6)),
        Service("UPSSaver", _EXPORT, "61.40", "1.60", "3.60", "0.36", (2, 3)),
        Service("UPSStandard", _ELSEWHERE, "7.40", "0.25", "0.25", "0.06", (1, 3)),
        Service("UPSStandard", _BETWEEN, "13.90", "0.80", "0.70", "0.15", (2, 6)),
        Service("UPSSaver", _BETWEEN, "39.50", "1.90", "2.10", "0.38", (1, 3)),
    )),
    Carrier("FedEx", 150, (
        Service("FEDEX_GROUND", _US, "9.15", "0.33", "0.11", "0.11", (1, 5)),
        Service("FEDEX_2_DAY", _US, "19.60", "1.00", "0.88", "0.32", (2, 2)),
        Service("STANDARD_OVERNIGHT", _US, "40.90", "2.00", "1.80", "0.47", (1, 1), guaranteed=True),
        Service("INTERNATIONAL_ECONOMY", _EXPORT, "50.60", "1.25", "2.90", "0.31", (4, 6)),
        Service("INTERNATIONAL_PRIORITY", _EXPORT, "66.20", "1.70", "3.70", "0.37", (1, 3)),
        Service("FEDEX_REGIONAL_ECONOMY", _BETWEEN, "16.80", "0.90", "0.75", "0.16", (2, 5)),
    )),
    Carrier("DHLExpress", 150, (
        Service("ExpressWorldwide", _EXPORT, "57.30", "1.40", "3.30", "0.33", (2, 4)),
        Service("ExpressDomestic", _ELSEWHERE, "11.20", "0.40", "0.35", "0.08", (1, 1)),
        Service("ExpressEasy", _BETWEEN, "19.90", "1.10", "0.95", "0.19", (2, 4)),
        Service("ExpressWorldwide", _BETWEEN, "33.70", "1.70", "1.90", "0.35", (1, 3)),
    )),
)  # fmt: skip

_RETAIL, _LIST = Decimal("1.32"), Decimal("1.12")


@dataclass(frozen=True, kw_only=True)
class Quote:
    """Rates without ids (the caller gives them), messages of carriers that cannot, and the zone within the US."""

    rates: list[Object]
    messages: list[Object]
    usps_zone: int | None


def quote(
    origin: Object,
    destination: Object,
    parcel: Object,
    *,
    accounts: Collection[str] = (),
    down: Collection[str] = (),
) -> Quote:
    """What each carrier (or only those ``accounts``) asks for this parcel. Carriers in ``down`` do not answer."""
    asked = [carrier for carrier in CARRIERS if not accounts or carrier.account in accounts]
    reason = _unroutable(origin, destination)
    if reason is not None:
        return Quote(rates=[], messages=[_message(carrier, reason) for carrier in asked], usps_zone=None)
    zone = places.zone(places.miles(origin, destination))
    lane, pounds = _lane(origin, destination), billable_pounds(parcel)
    rates: list[Object] = []
    messages: list[Object] = []
    for carrier in asked:
        offers = _offers(carrier, lane, pounds)
        if carrier.name in down:
            messages.append(_message(carrier, "The carrier's rating service is not available."))
        elif not offers:
            messages.append(_message(carrier, _why_none(carrier, lane, pounds)))
        else:
            currency = places.currency(origin["country"])
            rates += [_rate(carrier, service, service.price(pounds, zone), zone, currency) for service in offers]
    return Quote(rates=rates, messages=messages, usps_zone=zone if lane is Lane.UNITED_STATES else None)


def billable_pounds(parcel: Object) -> int:
    """Whole pounds that are charged: the greater of weight (ounces) and room taken (inches)."""
    by_weight = math.ceil(float(parcel["weight"]) / OUNCES_PER_POUND)
    volume = math.prod(float(parcel.get(side) or 0) for side in ("length", "width", "height"))
    # Carriers do not reckon the room of a small box.
    by_room = math.ceil(volume / _CUBIC_INCHES_PER_POUND) if volume > 12**3 else 0
    return max(1, by_weight, by_room)


def _unroutable(origin: Object, destination: Object) -> str | None:
    for name, address in (("from_address", origin), ("to_address", destination)):
        if reason := places.why_undeliverable(address):
            return f"{name}: {reason}"
    return None


def _lane(origin: Object, destination: Object) -> Lane:
    if origin["country"] == destination["country"]:
        return Lane.UNITED_STATES if origin["country"] == "US" else Lane.ELSEWHERE
    return Lane.EXPORT if origin["country"] == "US" else Lane.BETWEEN


def _offers(carrier: Carrier, lane: Lane, pounds: int) -> list[Service]:
    return [
        service
        for service in carrier.services
        if service.lane is lane and pounds <= min(carrier.most_pounds, service.most_pounds or carrier.most_pounds)
    ]


def _why_none(carrier: Carrier, lane: Lane, pounds: int) -> str:
    if pounds > carrier.most_pounds:
        return f"The parcel's weight exceeds the limit of {carrier.most_pounds} lb."
    return f"No {carrier.name} service for this origin and destination."


def _message(carrier: Carrier, text: str) -> Object:
    return {
        "carrier": carrier.name,
        "carrier_account_id": carrier.account,
        "type": "rate_error",
        "message": text,
    }


def _rate(carrier: Carrier, service: Service, price: Decimal, zone: int, currency: str) -> Object:
    days = service.transit(zone)
    return {
        "service": service.name,
        "carrier": carrier.name,
        "rate": money(price),
        "currency": currency,
        "retail_rate": money(price * _RETAIL),
        "retail_currency": currency,
        "list_rate": money(price * _LIST),
        "list_currency": currency,
        "billing_type": "easypost",
        "delivery_days": days,
        "delivery_date": None,
        "delivery_date_guaranteed": service.guaranteed,
        "est_delivery_days": days,
        "carrier_account_id": carrier.account,
    }
