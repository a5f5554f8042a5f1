"""Warehouses."""

from datetime import date, datetime, time
from typing import Annotated, Any
from zoneinfo import ZoneInfoNotFoundError

from pydantic import AfterValidator, ConfigDict, Field, StrictBool

from api.schemas.base import Input, Output, Text, Word
from api.schemas.orders import AddressIn
from api.schemas.views import AddressOut
from domain.promises import zone_of

_ADDRESS: dict[str, Any] = {
    "name": "Edison",
    "street1": "110 Raritan Center Pkwy",
    "city": "Edison",
    "state": "NJ",
    "postal_code": "08837",
    "country": "US",
    "phone": "+1 732 555 0110",
}
_STAMPS = {"created_at": "2024-04-29T08:00:00Z", "updated_at": "2024-04-29T08:00:00Z"}
_WORKS: dict[str, Any] = {
    "capacity_per_day": 400,
    "cut_off": "15:00:00",
    "time_zone": "America/New_York",
    "holidays": ["2024-12-25"],
    "closed_weekdays": [6, 7],
    "handling_days": 1,
    "hazardous_allowed": False,
    "portal": None,
}
_WAREHOUSE_OUT: dict[str, Any] = {
    "code": "EDI",
    "name": "Edison",
    "address": {**_ADDRESS, "company": None, "street2": None},
    "priority": 10,
    "active": True,
    **_WORKS,
    **_STAMPS,
}


def _zone(name: str) -> str:
    try:
        zone_of(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{name!r} is no time zone of the IANA database, such as Europe/Berlin") from None
    return name


def _local(at: time) -> time:
    if at.tzinfo is not None:
        raise ValueError("must be local time, without an offset: the zone is in time_zone")
    return at


class WarehouseIn(Input):
    """A place that ships; the carrier fetches parcels at its address."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"name": "Edison", "address": _ADDRESS, "priority": 10, "active": True, **_WORKS}]
        }
    )

    name: Text
    address: AddressIn
    priority: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = Field(
        100, description="Among warehouses that serve an order equally well the one with the smaller number ships."
    )
    active: StrictBool = Field(True, description="Whether new orders may ship from it.")
    capacity_per_day: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] | None = Field(
        None, description="Orders that it takes a day, where the rules look at that; null for any number."
    )
    cut_off: Annotated[time, AfterValidator(_local)] | None = Field(
        None, description="Local time; what comes later counts for the next open day.", examples=["15:00"]
    )
    time_zone: Annotated[Word, AfterValidator(_zone)] = Field("UTC", description="A name of the IANA database.")
    holidays: Annotated[list[date], Field(max_length=1000)] = Field(
        default_factory=list, description="Days on which it is closed."
    )
    closed_weekdays: Annotated[list[Annotated[int, Field(strict=True, ge=1, le=7)]], Field(max_length=6)] = Field(
        default_factory=list, description="Weekdays on which it is closed; 1 is Monday."
    )
    handling_days: Annotated[int, Field(strict=True, ge=0, le=60)] = Field(
        1, description="Open days from the order to the carrier; what orders are promised for counts on them."
    )
    hazardous_allowed: StrictBool = Field(False, description="Whether it may ship hazardous goods.")
    portal: Annotated[Word, Field(max_length=32)] | None = Field(
        None,
        description="The supplier's portal in which what is routed here is ordered, as PORTALS has it; "
        "null where people pack it and hand it over.",
    )


class WarehouseOut(Output):
    """A place that ships."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WAREHOUSE_OUT]})

    code: str
    name: str
    address: AddressOut
    priority: int
    active: bool
    capacity_per_day: int | None
    cut_off: time | None
    time_zone: str
    holidays: list[date]
    closed_weekdays: list[int]
    handling_days: int
    hazardous_allowed: bool
    portal: str | None
    created_at: datetime
    updated_at: datetime


class WarehouseListOut(Output):
    """A page of warehouses."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_WAREHOUSE_OUT], "next_cursor": None}]})

    items: list[WarehouseOut]
    next_cursor: str | None
