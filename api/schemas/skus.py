"""SKUs: plain ones, bundles, and what becomes of orders for more than there is."""

from collections.abc import Iterator
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictBool, field_validator

from api.errors import Fault
from api.schemas.base import MAX_QUANTITY, Amount, Currency, Input, Output, Quantity, Text, Word
from domain.bundles import Part
from domain.stock_queues import OutOfStock

MOST_PARTS = 50

_Grams = Annotated[int, Field(strict=True, ge=1, le=10_000_000)]
_Millimetres = Annotated[int, Field(strict=True, ge=1, le=100_000)]
_SIZE = ("weight_grams", "length_mm", "width_mm", "height_mm")

_SKU: dict[str, Any] = {
    "name": "Gooseneck kettle 0.9 l, matt black",
    "weight_grams": 1180,
    "length_mm": 300,
    "width_mm": 210,
    "height_mm": 190,
    "price": 6900,
    "currency": "USD",
    "active": True,
    "hazardous": False,
    "when_out_of_stock": "backorder",
    "promise_cap": 50,
    "restock_days": 14,
    "ships_on": None,
}
_BUNDLE: dict[str, Any] = {
    "name": "Pour-over set",
    "price": 8900,
    "currency": "USD",
    "parts": [{"sku": "COF-KETTLE-09", "quantity": 1}, {"sku": "COF-FILT-100", "quantity": 2}],
}
_SKU_OUT = {
    "sku": "COF-KETTLE-09",
    **_SKU,
    "parts": [],
    "created_at": "2024-04-29T08:00:00Z",
    "updated_at": "2024-04-29T08:00:00Z",
}


class PartIn(Input):
    """What one bundle is made of."""

    sku: Word = Field(description="A SKU that is no bundle itself.")
    quantity: Quantity


class SkuIn(Input):
    """An item that can be sold. Weight and size are of one packed unit; the price is in minor units, before tax.

    With ``parts`` it is a bundle: stock, weight, size, hazard and what may be promised are those of its parts.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_SKU, _BUNDLE]})

    name: Text
    weight_grams: _Grams | None = Field(None, description="Required, except of a bundle, which must not have it.")
    length_mm: _Millimetres | None = Field(None, description="Required, except of a bundle.")
    width_mm: _Millimetres | None = Field(None, description="Required, except of a bundle.")
    height_mm: _Millimetres | None = Field(None, description="Required, except of a bundle.")
    price: Amount
    currency: Currency
    active: StrictBool = Field(True, description="Whether new orders may name it.")
    hazardous: StrictBool = Field(False, description="Whether only warehouses that may ship hazardous goods ship it.")
    parts: Annotated[list[PartIn], Field(max_length=MOST_PARTS)] = Field(
        default_factory=list, description="What one bundle is made of. Orders keep what they were accepted with."
    )
    when_out_of_stock: OutOfStock = Field(
        OutOfStock.DENY,
        description="`deny`: orders for more than there is wait for a person; `backorder`: they are promised; "
        "`pre_order`: it is not out yet, and leaves no warehouse before `ships_on`.",
    )
    promise_cap: Annotated[int, Field(strict=True, ge=1, le=MAX_QUANTITY)] | None = Field(
        None, description="The most units that may be promised and are not there, over all open orders."
    )
    restock_days: Annotated[int, Field(strict=True, ge=0, le=730)] | None = Field(
        None, description="Days after which units on backorder are expected to leave."
    )
    ships_on: date | None = Field(None, description="The day (from midnight, UTC) on which pre-orders leave.")

    @field_validator("parts")
    @classmethod
    def _distinct(cls, parts: list[PartIn]) -> list[PartIn]:
        skus = [part.sku for part in parts]
        twice = sorted({sku for sku in skus if skus.count(sku) > 1})
        if twice:
            raise ValueError(f"{', '.join(twice)} is there more than once: add the quantities up")
        return parts

    def faults(self) -> list[Fault]:
        """What fits together with nothing else in it."""
        return [*self._faults_of_size(), *self._faults_of_promises()]

    def _faults_of_size(self) -> Iterator[Fault]:
        for name in _SIZE:
            if self.parts and getattr(self, name) is not None:
                yield Fault(name, "A bundle's weight and size are those of its parts: leave it out.", "bundle_of_parts")
            elif not self.parts and getattr(self, name) is None:
                yield Fault(name, "This field is required.", "missing_field")
        if self.parts and self.hazardous:
            yield Fault("hazardous", "A bundle is hazardous if one of its parts is: set it there.", "bundle_of_parts")
        if self.parts and self.when_out_of_stock is not OutOfStock.DENY:
            detail = "What may be promised of a bundle is what may be promised of its parts: set it there."
            yield Fault("when_out_of_stock", detail, "bundle_of_parts")

    def _faults_of_promises(self) -> Iterator[Fault]:
        needed, when = _NEEDED[self.when_out_of_stock], f"where when_out_of_stock is {self.when_out_of_stock}."
        for name in ("promise_cap", "restock_days", "ships_on"):
            given = getattr(self, name) is not None
            if given and name not in needed:
                yield Fault(name, f"It has no meaning {when}", "no_meaning")
            elif not given and name in needed:
                yield Fault(name, f"It is required {when}", "missing_field")

    def values(self) -> dict[str, Any]:
        """The columns of a SKU. A bundle's weight and size are reckoned from its parts afterwards."""
        values = self.model_dump(exclude={"parts"})
        values |= {name: values[name] or 1 for name in _SIZE}
        values |= {name: values[name] or 0 for name in ("promise_cap", "restock_days")}
        return {**values, "bundle": bool(self.parts)}

    def domain_parts(self) -> list[Part]:
        """As the rules know them."""
        return [Part(part.sku, part.quantity) for part in self.parts]


_NEEDED = {
    OutOfStock.DENY: frozenset[str](),
    OutOfStock.BACKORDER: frozenset({"promise_cap", "restock_days"}),
    OutOfStock.PRE_ORDER: frozenset({"promise_cap", "ships_on"}),
}


class PartOut(Output):
    """What one bundle is made of."""

    sku: str
    quantity: int


class SkuOut(Output):
    """An item that can be sold. With ``parts`` it is a bundle, whose weight, size and hazard are those of its parts."""

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
    hazardous: bool
    parts: list[PartOut]
    when_out_of_stock: OutOfStock
    promise_cap: int | None
    restock_days: int | None
    ships_on: date | None
    created_at: datetime
    updated_at: datetime


class SkuListOut(Output):
    """A page of SKUs."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_SKU_OUT], "next_cursor": None}]})

    items: list[SkuOut]
    next_cursor: str | None


def needed_for(when_out: OutOfStock, name: str) -> bool:
    """Whether such a SKU has ``name`` at all."""
    return name in _NEEDED[when_out]
