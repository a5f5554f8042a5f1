"""Holds, their release, and the rules that hold orders when they are placed."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import ConfigDict, Field

from api.schemas.base import Amount, Currency, Input, Instant, Note, Output, Preview, Quantity, Version, Word
from api.schemas.examples import FULFILMENT_ID, ORDER_ID
from domain.hold_rules import HoldRule, HoldRuleKind
from domain.holds import HoldReason, HoldStatus
from domain.standstills import Step

MOST_RULES = 50
A_YEAR_OF_HOURS = 366 * 24

_HOLD: dict[str, Any] = {
    "id": "5d3e0f52-7c1b-5a64-b1f0-9a8b7c6d5e4f",
    "order_id": ORDER_ID,
    "order_number": "WB-100001",
    "fulfilment_id": None,
    "reason": "address",
    "note": "The customer is asked for the house number.",
    "status": "standing",
    "placed_by": "key:support",
    "placed_at": "2024-05-02T09:14:04Z",
    "until": None,
    "approvals": 1,
    "approved": [],
    "released_at": None,
}
_PREVIEWED = "1.1la.0.0.0.1714642561.holds~5b1e0c9a-status~7d420c9a"
_WISH: dict[str, Any] = {"reason": "address", "note": "The customer is asked for the house number."}
_RELEASE: dict[str, Any] = {"note": "The customer has confirmed the address."}
_RULES: dict[str, Any] = {
    "rules": [
        {"kind": "total_over", "reason": "fraud", "amount": 100000, "currency": "USD", "two_people_above": 500000},
        {"kind": "velocity", "reason": "fraud", "orders": 3, "hours": 24},
        {"kind": "address_unverified", "reason": "address", "channels": ["webshop"]},
    ]
}
_IN_FORCE: dict[str, Any] = {
    "version": 4,
    "rules": [
        {
            **dict.fromkeys(("amount", "currency", "orders", "hours", "two_people_above")),
            "channels": [],
            **rule,
        }
        for rule in _RULES["rules"]
    ],
    "made_by": "key:risk",
    "made_at": "2024-05-01T08:00:00Z",
}


class PreviewHold(Input):
    """Stop an order, or one fulfilment of it, before its next irrevocable step."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WISH]})

    reason: HoldReason
    note: Note = ""
    fulfilment_id: Word | None = Field(
        None, description="Hold only this one; the whole order otherwise.", examples=[FULFILMENT_ID]
    )
    until: Instant | None = Field(None, description="When it releases itself; never, if it is not given.")


class HoldIn(PreviewHold):
    """The same; with the ``version`` that a preview has answered only if that still holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_WISH, "version": _PREVIEWED}]})

    version: Version | None = Field(
        None, description="What the preview rests on. If any of that has moved, nothing is held."
    )


class ReleaseIn(Input):
    """Why a hold is let go; with the ``version`` that a preview has answered only if that still holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_RELEASE, "version": _PREVIEWED}]})

    note: Note = ""
    version: Version | None = Field(
        None, description="What the preview rests on. If any of that has moved, nothing is released."
    )


class ParcelStopOut(Output):
    """A parcel and its next step; no parcel where none is planned yet."""

    fulfilment_id: str | None
    parcel: int | None
    next: Step = Field(description="What comes next; a `delivery` is stopped by no hold.")
    stopped_before: bool
    stopped_after: bool
    held_by: list[str] = Field(description="The ids of other holds that stop it afterwards.")


class StandstillOut(Preview):
    """What placing or releasing a hold would do now. Nothing has changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "version": _PREVIEWED,
                    "said": "It stops the hand-over of parcel 1.",
                    "parcels": [
                        {
                            "fulfilment_id": FULFILMENT_ID,
                            "parcel": 1,
                            "next": "hand_over",
                            "stopped_before": False,
                            "stopped_after": True,
                            "held_by": [],
                        }
                    ],
                    "goes_on": [],
                    "approvals_missing": 0,
                    "promised_at": "2024-05-10T09:14:05Z",
                    "late": False,
                    "money_held_until": "2024-05-09T09:14:05Z",
                }
            ]
        }
    )

    said: str = Field(description="In a sentence.")
    parcels: list[ParcelStopOut]
    goes_on: list[str] = Field(description="What of the order no hold stops: `stock`, `payment`.")
    approvals_missing: int = Field(description="How many more people must agree before anything goes on.")
    promised_at: datetime | None = Field(description="When it should be at the door.")
    late: bool = Field(description="Whether that is past.")
    money_held_until: datetime | None = Field(description="When the first hold on its money ends by itself.")


class ApprovalOut(Output):
    """Somebody who agrees to the release."""

    by: str
    note: str
    at: datetime


class HoldOut(Output):
    """A hold, and who agrees to its release; ``approvals`` is how many people have to."""

    model_config = ConfigDict(json_schema_extra={"examples": [_HOLD]})

    id: str
    order_id: str
    order_number: str
    fulfilment_id: str | None
    reason: HoldReason
    note: str
    status: HoldStatus
    placed_by: str
    placed_at: datetime
    until: datetime | None
    approvals: int
    approved: list[ApprovalOut]
    released_at: datetime | None


class HoldListOut(Output):
    """A page of holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_HOLD], "next_cursor": None}]})

    items: list[HoldOut]
    next_cursor: str | None


class HoldRuleIn(Input):
    """One rule. Amounts are minor units of ``currency``; a rule says nothing to orders in another one."""

    kind: HoldRuleKind
    reason: HoldReason
    channels: Annotated[list[Word], Field(max_length=100)] = Field(
        [], description="Of every channel, if none is named."
    )
    amount: Amount | None = Field(None, description="For `total_over` and `first_order_over`.")
    currency: Currency | None = None
    orders: Quantity | None = Field(None, description="For `velocity`: so many orders are allowed …")
    hours: Annotated[int, Field(strict=True, ge=1, le=A_YEAR_OF_HOURS)] | None = Field(
        None, description="… within so many hours."
    )
    two_people_above: Amount | None = Field(
        None, description="An order above this takes the agreement of two people to be released."
    )

    def to_domain(self) -> HoldRule:
        """As the rules know it."""
        return HoldRule(**{**self.model_dump(), "channels": tuple(self.channels)})


class HoldRulesIn(Input):
    """All rules: they replace those in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [_RULES]})

    rules: Annotated[list[HoldRuleIn], Field(max_length=MOST_RULES)]
    replaces: Annotated[int, Field(strict=True, ge=0)] | None = Field(
        None, description="The version that you have read; refused if another is in force by now."
    )


class HoldRuleOut(Output):
    """One rule."""

    kind: HoldRuleKind
    reason: HoldReason
    channels: list[str]
    amount: int | None
    currency: str | None
    orders: int | None
    hours: int | None
    two_people_above: int | None


class HoldRulesOut(Output):
    """One version of the rules; version 0 has none."""

    model_config = ConfigDict(json_schema_extra={"examples": [_IN_FORCE]})

    version: int
    rules: list[HoldRuleOut]
    made_by: str | None
    made_at: datetime | None


class HoldRulesListOut(Output):
    """A page of versions."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_IN_FORCE], "next_cursor": None}]})

    items: list[HoldRulesOut]
    next_cursor: str | None


class HoldTrialIn(HoldRulesIn):
    """Rules to try on the newest orders."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_RULES, "last": 100}]})

    last: Annotated[int, Field(strict=True, ge=1, le=200)] = Field(100, description="So many orders.")


class WouldHoldOut(Output):
    """An order that would have been held."""

    order_id: str
    order_number: str
    holds: list[str]


class HoldTrialOut(Output):
    """What the rules would have held of the newest orders. `address_unverified` is left out: nobody is asked."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "orders": 100,
                    "held": [
                        {
                            "order_id": ORDER_ID,
                            "order_number": "WB-100001",
                            "holds": ["fraud hold (the total is over 1000.00 USD)"],
                        }
                    ],
                }
            ]
        }
    )

    orders: int
    held: list[WouldHoldOut]
