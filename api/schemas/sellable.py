"""What may be sold."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Output
from domain.stock_queues import OutOfStock

_OFFER: dict[str, Any] = {
    "sku": "COF-KETTLE-09",
    "bundle": False,
    "sellable": 67,
    "units": 17,
    "more": 50,
    "when_out_of_stock": "backorder",
    "expected_at": "2024-05-16T08:00:00Z",
    "warehouses": [{"warehouse": "EDI", "units": 17}],
}


class WarehouseOfferOut(Output):
    """Units that a warehouse has to sell; of a bundle, as many as it can pack alone."""

    warehouse: str
    units: int


class OfferOut(Output):
    """What may be sold of a SKU. A bundle's figures come from its parts, which may ship from several warehouses."""

    sku: str
    bundle: bool
    sellable: int = Field(description="What a shop may show: `units` and `more`.")
    units: int = Field(description="There now, less safety stock and what waiting orders were promised.")
    more: int = Field(description="May be promised though they are not there: what is left of the cap.")
    when_out_of_stock: OutOfStock = Field(description="Of a bundle `deny`: ask its parts.")
    expected_at: datetime | None = Field(description="When units that are promised now are expected to leave.")
    warehouses: list[WarehouseOfferOut]


class OfferListOut(Output):
    """A page of what may be sold."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_OFFER], "next_cursor": None}]})

    items: list[OfferOut]
    next_cursor: str | None
