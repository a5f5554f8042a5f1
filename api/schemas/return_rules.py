"""The rules of returns."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import Amount, Currency, Input, Output, Word
from domain.return_rules import LabelPayer, ReturnReason, ReturnRule

MOST_RULES = 50
MOST_SKUS = 10_000
Days = Annotated[int, Field(strict=True, ge=1, le=3650)]

_RULE: dict[str, Any] = {
    "channels": ["webshop"],
    "days": 60,
    "approved": ["changed_mind", "does_not_fit", "damaged", "wrong_item"],
    "not_returnable": ["GIFT-CARD"],
    "label": "customer",
    "fee_percent": 10,
    "fee_amount": 200,
    "currency": "USD",
    "send_days": 14,
    "pay": False,
}
_IN_FORCE: dict[str, Any] = {
    "version": 4,
    "rules": [_RULE],
    "made_by": "api:back office",
    "made_at": "2024-05-01T08:00:00Z",
}


class ReturnRuleIn(Input):
    """One rule. What it does not say is as in the rule that Waybill brings along."""

    channels: Annotated[list[Word], Field(max_length=100)] = Field(
        [], description="Of every channel, if none is named."
    )
    days: Days = Field(30, description="For so many days after its delivery a unit can be returned.")
    approved: list[ReturnReason] = Field(
        list(ReturnRule().approved), description="Reasons that need nobody's approval."
    )
    not_returnable: Annotated[list[Word], Field(max_length=MOST_SKUS)] = Field([], description="SKUs.")
    label: LabelPayer = Field(
        LabelPayer.SHOP, description="At whose cost the label is; the customer's is taken off the refund."
    )
    fee_percent: Annotated[int, Field(strict=True, ge=0, le=100)] = Field(
        0, description="Restocking fee, of what the units are worth; not for reasons that the shop answers for."
    )
    fee_amount: Amount | None = Field(None, description="Restocking fee for each return, in minor units.")
    currency: Currency | None = None
    send_days: Days = Field(14, description="What is not sent within so many days is not waited for.")
    pay: bool = Field(False, description="Whether the refund is paid without a person's word.")

    def to_domain(self) -> ReturnRule:
        """As the rules know it."""
        listed = {name: tuple(getattr(self, name)) for name in ("channels", "approved", "not_returnable")}
        return ReturnRule(**{**self.model_dump(), **listed})


class ReturnRulesIn(Input):
    """All rules: they replace those in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rules": [_RULE], "replaces": 3}]})

    rules: Annotated[list[ReturnRuleIn], Field(max_length=MOST_RULES)]
    replaces: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="The version that you have read; refused if another is in force by now."
    )


class ReturnRuleOut(Output):
    """One rule."""

    channels: list[str]
    days: int
    approved: list[ReturnReason]
    not_returnable: list[str]
    label: LabelPayer
    fee_percent: int
    fee_amount: int | None
    currency: str | None
    send_days: int
    pay: bool


class ReturnRulesOut(Output):
    """One version of the rules; version 0 is what Waybill brings along."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IN_FORCE]})

    version: int
    rules: list[ReturnRuleOut]
    made_by: str | None
    made_at: datetime | None


class ReturnRulesListOut(Output):
    """A page of versions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_IN_FORCE], "next_cursor": None}]})

    items: list[ReturnRulesOut]
    next_cursor: str | None
