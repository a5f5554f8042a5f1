"""SKUs and warehouses."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictBool

from api.schemas.base import Amount, Currency, Input, Output, Text
from api.schemas.orders import AddressIn
from api.schemas.views import AddressOut

_Grams = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
_Millimetres = Annotated[int, Field(strict=True, ge=1, le=100_000)]

_SKU: dict[str, Any] = {
    "name": "Gooseneck kettle 0.9 l, matt black",
    "weight_grams": 1180,
    "length_mm": 300,
    "width_mm": 210,
    "height_mm": 190,
    "price": 6900,
    "currency": "USD",
    "active": True,
}
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
_SKU_OUT = {"sku": "COF-KETTLE-09", **_SKU, **_STAMPS}
_WAREHOUSE_OUT: dict[str, Any] = {
    "code": "EDI",
    "name": "Edison",
    "address": {**_ADDRESS, "company": None, "street2": None},
    "priority": 10,
    "active": True,
    **_STAMPS,
}


class SkuIn(Input):
    """An item that can be sold. Weight and size are of one packed unit; the price is in minor units, before tax."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SKU]})

    name: Text
    weight_grams: _Grams
    length_mm: _Millimetres
    width_mm: _Millimetres
    height_mm: _Millimetres
    price: Amount
    currency: Currency
    active: StrictBool = Field(True, description="Whether new orders may name it.")


class SkuOut(Output):
    """An item that can be sold."""

    model_config = ConfigDict(json_schema_extra={"examples": [_SKU_OUT]})

    sku: str
    name: str
    weight_grams: int
    length_mm: int
    width_mm: int
    height_mm: int
    price: int
    currency: str
    active: bool
    created_at: datetime
    updated_at: datetime


class SkuListOut(Output):
    """A page of SKUs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SKU_OUT], "next_cursor": None}]})

    items: list[SkuOut]
    next_cursor: str | None


class WarehouseIn(Input):
    """A place that ships; the carrier fetches parcels at its address."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "Edison", "address": _ADDRESS, "priority": 10, "active": True}]}
    )

    name: Text
    address: AddressIn
    priority: Annotated[int, Field(strict=True, ge=0, le=1_000_000)] = Field(
        100, description="Among warehouses that serve an order equally well the one with the smaller number ships."
    )
    active: StrictBool = Field(True, description="Whether new orders may ship from it.")


class WarehouseOut(Output):
    """A place that ships."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WAREHOUSE_OUT]})

    code: str
    name: str
    address: AddressOut
    priority: int
    active: bool
    created_at: datetime
    updated_at: datetime


class WarehouseListOut(Output):
    """A page of warehouses."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_WAREHOUSE_OUT], "next_cursor": None}]})

    items: list[WarehouseOut]
    next_cursor: str | None
