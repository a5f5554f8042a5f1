"""The nine events of a parcel's way, and those of the vendor's test codes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from integrations.sandbox.easypost.dials import Outcome

Object = dict[str, Any]

LENGTH = 9
FINAL = frozenset({"delivered", "return_to_sender", "failure", "cancelled", "error"})
STATUSES = FINAL | {"unknown", "pre_transit", "in_transit", "out_for_delivery", "available_for_pickup"}


class Spot(StrEnum):
    """Where on its way a parcel is seen."""

    ORIGIN = "origin"
    HUB = "hub"
    DESTINATION = "destination"


@dataclass(frozen=True)
class Step:
    """One scan: the vendor's status and detail, the carrier's own words, and where."""

    status: str
    detail: str
    message: str
    spot: Spot


_START = (
    Step("pre_transit", "label_created", "Shipping Label Created, {carrier} Awaiting Item", Spot.ORIGIN),
    Step("in_transit", "received_at_origin_facility", "Accepted at {carrier} Origin Facility", Spot.ORIGIN),
    Step("in_transit", "departed_facility", "Departed {carrier} Facility", Spot.ORIGIN),
)
_INLAND = (
    Step("in_transit", "arrived_at_facility", "Arrived at {carrier} Regional Facility", Spot.HUB),
    Step("in_transit", "departed_facility", "Departed {carrier} Regional Facility", Spot.HUB),
)
_ABROAD = (
    Step("in_transit", "arrived_at_facility", "Arrived at {carrier} International Hub", Spot.HUB),
    Step("in_transit", "status_update", "Customs Clearance Completed", Spot.DESTINATION),
)
_NEAR = (
    Step("in_transit", "arrived_at_facility", "Arrived at {carrier} Destination Facility", Spot.DESTINATION),
    Step("in_transit", "arrived_at_destination", "Arrived at Delivery Unit", Spot.DESTINATION),
    Step("out_for_delivery", "out_for_delivery", "Out for Delivery", Spot.DESTINATION),
)
_END = {
    Outcome.DELIVERED: Step("delivered", "arrived_at_destination", "Delivered, Front Door", Spot.DESTINATION),
    Outcome.RETURN_TO_SENDER: Step(
        "return_to_sender", "return", "Undeliverable as Addressed, Return to Sender", Spot.DESTINATION
    ),
    Outcome.FAILURE: Step("failure", "lost", "Parcel Lost, Contact {carrier}", Spot.DESTINATION),
}

HUBS: Mapping[str, tuple[str, str | None, str, str]] = {
    "USPS": ("KANSAS CITY", "MO", "US", "64106"),
    "UPS": ("LOUISVILLE", "KY", "US", "40213"),
    "FedEx": ("MEMPHIS", "TN", "US", "38118"),
    "DHLExpress": ("LEIPZIG", None, "DE", "04435"),
}

# The vendor's test codes and where such a parcel is: how many events it has, and its status.
TEST_CODES: Mapping[str, tuple[int, str]] = {
    "EZ1000000001": (1, "pre_transit"),
    "EZ2000000002": (5, "in_transit"),
    "EZ3000000003": (8, "out_for_delivery"),
    "EZ4000000004": (9, "delivered"),
    "EZ5000000005": (9, "return_to_sender"),
    "EZ6000000006": (9, "failure"),
    "EZ7000000007": (0, "unknown"),
}


def step(number: int, *, outcome: Outcome, abroad: bool) -> Step:
    """The event with this number, from 1 to `LENGTH`, of a parcel that crosses a customs border or not."""
    middle = _ABROAD if abroad else _INLAND
    return (*_START, *middle, *_NEAR, _END[outcome])[number - 1]


def place(city: str | None, state: str | None, country: str | None, zip_code: str | None) -> Object:
    """A location as the vendor writes it."""
    return {"object": "TrackingLocation", "city": city, "state": state, "country": country, "zip": zip_code}


def place_of(address: Object) -> Object:
    """Where an address is, without the street."""
    city = str(address["city"] or "").upper() or None
    return place(city, address["state"], address["country"], address["zip"])


def hub_of(carrier: str) -> Object:
    """Where the carrier sorts its parcels."""
    return place(*HUBS.get(carrier, HUBS["USPS"]))


def detail(step_taken: Step, carrier: str, at: str, location: Object) -> Object:
    """The event as the vendor writes it; ``at`` is its instant."""
    message = step_taken.message.format(carrier=carrier)
    return {
        "object": "TrackingDetail",
        "message": message,
        "description": message,
        "status": step_taken.status,
        "status_detail": step_taken.detail,
        "datetime": at,
        "source": carrier,
        "carrier_code": None,
        "tracking_location": location,
        "est_delivery_date": None,
    }
