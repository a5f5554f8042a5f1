"""Routing: rule sets, postal regions, decisions and simulations."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, field_validator, model_validator

from api.schemas import routing_examples as examples
from api.schemas.base import MAX_AMOUNT, Amount, Currency, Input, Output, Quantity, Reference, Text, Word
from api.schemas.countries import COUNTRIES
from api.schemas.orders import ORDER_EXAMPLE, AddressIn, CustomerIn, PaymentIn
from domain.routing.decision import Fate
from domain.routing.rules import RuleKind, RuleSetStatus
from domain.shipments import SERVICE_DAYS


class ExclusionIn(Input):
    """Where a warehouse does not ship to; without ``warehouse`` none does."""

    country: str | None = Field(
        None, description="ISO 3166-1 alpha-2. Without it the channel never uses the warehouse.", examples=["US"]
    )
    prefix: Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{0,10}$")] = Field(
        "", description="How the postal code begins, without spaces; empty for the whole country."
    )
    warehouse: Word | None = None

    @field_validator("country")
    @classmethod
    def _known(cls, country: str | None) -> str | None:
        return None if country is None else _country(country)

    @model_validator(mode="after")
    def _somewhere(self) -> "ExclusionIn":
        if self.country is None and (self.warehouse is None or self.prefix):
            raise ValueError("give a country; without one, a warehouse and no prefix")
        return self


class RuleIn(Input):
    """One rule. Only `excluded_regions` has, and needs, exclusions."""

    kind: RuleKind
    exclusions: Annotated[list[ExclusionIn], Field(max_length=500)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fitting(self) -> "RuleIn":
        if bool(self.exclusions) != (self.kind is RuleKind.EXCLUDED_REGIONS):
            raise ValueError("excluded_regions needs exclusions, and no other rule has them")
        return self


class RuleSetIn(Input):
    """Rules, the most important first. Without ``channel`` they are for every channel that has none of its own."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RULE_SET_IN]})

    channel: Word | None = None
    name: Text
    rules: Annotated[list[RuleIn], Field(min_length=1, max_length=len(RuleKind))]
    split_above: Annotated[int, Field(strict=True, ge=0, le=MAX_AMOUNT)] | None = Field(
        None, description="Orders worth more may be split though one warehouse has everything; minor units."
    )
    currency: Currency | None = Field(
        None, description="Of ``split_above``; orders in another one are not split by it."
    )

    @field_validator("rules")
    @classmethod
    def _distinct(cls, rules: list[RuleIn]) -> list[RuleIn]:
        kinds = [rule.kind for rule in rules]
        twice = [kind for kind in RuleKind if kinds.count(kind) > 1]
        if twice:
            raise ValueError(f"{', '.join(twice)} is there more than once; the first would decide")
        return rules

    @model_validator(mode="after")
    def _both(self) -> "RuleSetIn":
        if (self.split_above is None) != (self.currency is None):
            raise ValueError("give split_above with its currency, or neither")
        return self


class ExclusionOut(Output):
    """Where a warehouse does not ship to; ``country`` null: nowhere."""

    country: str | None
    prefix: str
    warehouse: str | None


class RuleOut(Output):
    """One rule of a set."""

    kind: RuleKind
    exclusions: list[ExclusionOut]


class RuleSetOut(Output):
    """One version of a channel's rules. Once activated it never changes; ``channel`` null means every channel."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.RULE_SET]})

    id: str
    channel: str | None
    version: int
    name: str
    status: RuleSetStatus
    rules: list[RuleOut]
    split_above: int | None
    currency: str | None
    created_by: str
    created_at: datetime
    activated_by: str | None
    activated_at: datetime | None
    retired_at: datetime | None


class RuleSetListOut(Output):
    """A page of rule sets."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [examples.RULE_SET], "next_cursor": None}]})

    items: list[RuleSetOut]
    next_cursor: str | None


class RegionIn(Input):
    """A region of the postal region table: where the codes that begin so lie, by its centre in degrees."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REGION_IN]})

    country: str = Field(description="ISO 3166-1 alpha-2.", examples=["US"])
    prefixes: Annotated[
        list[Annotated[str, StringConstraints(pattern=r"^[A-Z0-9]{0,10}$")]], Field(min_length=1, max_length=2000)
    ] = Field(description="How its postal codes begin, without spaces; the longest that fits a code counts.")
    latitude: Annotated[float, Field(ge=-90, le=90)]
    longitude: Annotated[float, Field(ge=-180, le=180)]

    @field_validator("country")
    @classmethod
    def _known(cls, country: str) -> str:
        return _country(country)


class RegionOut(Output):
    """A region of the postal region table."""

    model_config = ConfigDict(json_schema_extra={"examples": [examples.REGION]})

    region: str
    country: str
    prefixes: list[str]
    latitude: float
    longitude: float


class RegionListOut(Output):
    """A page of postal regions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [examples.REGION], "next_cursor": None}]})

    items: list[RegionOut]
    next_cursor: str | None


class PreviewLineIn(Input):
    """What is wanted. The money counts only for the threshold above which orders may be split."""

    sku: Word
    quantity: Quantity
    unit_price: Amount = 0
    discount: Amount = 0
    tax: Amount = 0


class PreviewIn(Input):
    """An order that is not placed. A whole order's body will do: what routing does not look at is passed over."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**ORDER_EXAMPLE, "rule_set": None}]})

    channel: Word
    shipping_address: AddressIn
    lines: Annotated[list[PreviewLineIn], Field(min_length=1, max_length=500)]
    currency: Currency | None = None
    shipping_service: str = Field("standard", json_schema_extra={"enum": list(SERVICE_DAYS)})
    rule_set: Word | None = Field(None, description="A rule set to try instead of the channel's active one.")
    external_reference: Reference | None = None
    customer: CustomerIn | None = None
    shipping_charge: Amount | None = None
    total: Amount | None = None
    payment: PaymentIn | None = None

    @field_validator("shipping_service")
    @classmethod
    def _offered(cls, service: str) -> str:
        if service not in SERVICE_DAYS:
            raise ValueError(f"must be one of: {', '.join(SERVICE_DAYS)}")
        return service


class AllocationOut(Output):
    """Units of an order line from one warehouse."""

    line: int
    sku: str
    warehouse: str
    quantity: int


class ShortageOut(Output):
    """Units that no warehouse which may ship has."""

    sku: str
    missing: int


class VerdictOut(Output):
    """How a rule ranked a warehouse, 1 being the best; null where it abstained or took it out."""

    rule: RuleKind
    rank: int | None
    says: str


class CandidateOut(Output):
    """A warehouse that was considered, and in one sentence why it ships or does not."""

    warehouse: str
    fate: Fate
    reason: str
    verdicts: list[VerdictOut]


class DecisionOut(Output):
    """Where an order ships from, and why. ``rule_set`` null and version 0 are the rules that Waybill brings along."""

    rule_set: str | None
    version: int
    warehouses: list[str]
    split: bool
    decided_by: RuleKind | None = Field(description="The rule that told the winner from the next one.")
    sentences: list[str]
    allocations: list[AllocationOut]
    shortages: list[ShortageOut]
    candidates: list[CandidateOut]


class PreviewOut(Output):
    """Where the order would ship from now, and when it would be at the door. Nothing is reserved."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"decision": examples.DECISION, "promised_at": "2024-05-10T09:00:00Z"}]}
    )

    decision: DecisionOut
    promised_at: datetime | None


class RoundOut(Output):
    """One round of routing: the first, or what followed a hold that was lost or a warehouse's rejection."""

    round: int
    at: datetime
    decision: DecisionOut


class RoutingOut(Output):
    """How an order was routed; ``decision`` is that of the last round, null before the first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": "8f4f2f56-3b9e-5d0e-8f64-57a1b1110003",
                    "number": "WB-100001",
                    "sentences": examples.DECISION["sentences"],
                    "decision": examples.DECISION,
                    "rounds": [{"round": 1, "at": "2024-05-02T09:14:04Z", "decision": examples.DECISION}],
                }
            ]
        }
    )

    order_id: str
    number: str
    sentences: list[str]
    decision: DecisionOut | None
    rounds: list[RoundOut]


class StockSeen(StrEnum):
    """With which stock past orders are replayed."""

    UNLIMITED = "unlimited"
    NOW = "now"


class SimulationIn(Input):
    """How many past orders to replay, and with which stock."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"last": 50, "stock": "unlimited"}]})

    last: Annotated[int, Field(strict=True, ge=1, le=200)] = Field(50, description="The newest orders of the channel.")
    stock: StockSeen = Field(
        StockSeen.UNLIMITED,
        description="`unlimited`: warehouses have plenty of each SKU that they keep; `now`: what can be promised now.",
    )


class MoneyOut(Output):
    """An amount in minor units."""

    minor: int
    currency: str


class FiguresOut(Output):
    """What a rule set made of the orders. Costs and distances are of the parcels for which they are known."""

    orders: int
    short: int
    split: int
    split_rate: float
    parcels: int
    costs: list[MoneyOut]
    priced_parcels: int
    mean_km: float | None
    measured_parcels: int


class SimulationOut(Output):
    """A rule set beside the one in force, over the same past orders with the warehouses of today."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "rule_set": examples.RULE_SET["id"],
                    "against": None,
                    "stock": "unlimited",
                    "changed": 4,
                    "promised_earlier": 2,
                    "promised_later": 1,
                    "draft": examples.FIGURES,
                    "active": {**examples.FIGURES, "split": 5, "split_rate": 0.1, "parcels": 55},
                }
            ]
        }
    )

    rule_set: str
    against: str | None = Field(description="The set in force; null for the rules that Waybill brings along.")
    stock: StockSeen
    changed: int = Field(description="Orders that would ship from elsewhere.")
    promised_earlier: int
    promised_later: int
    draft: FiguresOut
    active: FiguresOut


def _country(country: str) -> str:
    if country not in COUNTRIES:
        raise ValueError(f"{country!r} is not a country of ISO 3166-1")
    return country
