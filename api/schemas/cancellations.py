"""Cancelling an order: the wish, and what it would do."""

from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Amount, Input, Note, Output, Preview, Version
from api.schemas.examples import ANSWER, FULFILMENT_ID, ORDER_ID
from api.schemas.views import AnswerOut
from domain.cancellations import CancelWish, ParcelEnd, Shipped

_PREVIEWED = "1.1la.0.0.0.1714642561.status~5b1e0c9a-payments~7d420c9a"
_WISH: dict[str, Any] = {"reason": "The customer changed her mind.", "tell_customer": True}


class PreviewCancel(Input):
    """Why the order is cancelled, what becomes of its units and its money, and whether the customer is told."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WISH, {**_WISH, "restock": False, "refund": 1800}]})

    reason: Note = Field("", description="Why. Customers do not see it.")
    tell_customer: bool = Field(True, strict=True, description="Whether the customer gets an e-mail about it.")
    restock: bool = Field(
        True,
        strict=True,
        description="Whether its units can be sold again; if not, they are taken off the shelf.",
    )
    refund: Amount | None = Field(
        None,
        description="How much of what was paid is given back, in minor units; 0 is nothing, null everything. What is "
        "kept and was only held is captured.",
    )

    shipped: Shipped = Field(
        Shipped.REFUSE,
        description="What becomes of it if something has left: it is refused, or what has left comes back by a return "
        "and the rest is taken out of the order. Needs the scope `returns:write` besides.",
    )

    @property
    def is_plain(self) -> bool:
        """Whether everything is given back."""
        return self.restock and self.refund is None

    def wish(self) -> CancelWish:
        """What is to be done."""
        return CancelWish(self.tell_customer, self.restock, self.refund, self.shipped)


class CancelIn(PreviewCancel):
    """The same; with the ``version`` that a preview has answered only if that still holds."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_WISH, "version": _PREVIEWED}]})

    version: Version | None = Field(
        None, description="What the preview rests on. If any of that has moved, nothing is cancelled."
    )


class PaymentEndOut(Output):
    """What becomes of a payment; ``change_id`` names the change that it pays for, null for the order's first one."""

    change_id: str | None
    released: int = Field(description="What of it was only held.")
    refunded: int = Field(description="What of it was taken.")
    kept: int = Field(description="What of it is not given back; taken, where it was only held.")


class UnitsBackOut(Output):
    """Units that are given up; ``parcel`` is null where none is planned for them."""

    parcel: int | None
    line: int
    sku: str
    warehouse: str
    quantity: int
    written_off: int = Field(description="What of them is taken off the shelf; the rest can be sold again.")


class ParcelBackOut(Output):
    """A parcel that is not to travel."""

    fulfilment_id: str
    parcel: int
    becomes: ParcelEnd = Field(
        description="Its label is given back, or the order with its supplier is withdrawn; `recalled`: the carrier has "
        "scanned it, and a person is asked to have it stopped."
    )


class ReturnedUnitsOut(Output):
    """Units of an order's line that come back."""

    line: int
    sku: str
    quantity: int


class TakenBackOut(Output):
    """The return that is opened of what has left."""

    warehouse: str = Field(description="Where it goes.")
    lines: list[ReturnedUnitsOut]


class CancellationOut(Preview):
    """What cancelling the order would do now, amounts in minor units of ``currency``. Nothing has changed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "version": _PREVIEWED,
                    "released": 4090,
                    "refunded": 0,
                    "kept": 0,
                    "currency": "USD",
                    "payments": [{"change_id": None, "released": 4090, "refunded": 0, "kept": 0}],
                    "stock": [
                        {"parcel": 1, "line": 1, "sku": "MUG-01", "warehouse": "EDI", "quantity": 2, "written_off": 0}
                    ],
                    "parcels": [{"fulfilment_id": FULFILMENT_ID, "parcel": 1, "becomes": "label_given_back"}],
                    "withdrawn_change": None,
                    "mail": "cancelled",
                    "returned": None,
                }
            ]
        }
    )

    released: int
    refunded: int
    kept: int
    currency: str
    payments: list[PaymentEndOut]
    stock: list[UnitsBackOut]
    parcels: list[ParcelBackOut]
    withdrawn_change: str | None = Field(description="A change that waits for its payment, which is given back.")
    mail: str | None = Field(description="The kind of the e-mail that the customer gets; null if none.")
    returned: TakenBackOut | None = Field(
        description="What comes back, where something has left; all else is of the rest, whose `refunded` is granted."
    )


class OpenedReturnOut(Output):
    """The return that was opened."""

    id: str
    number: str
    url: str


class CancelledOut(AnswerOut):
    """How the order stands after it, and the return of what had left, if something had."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**ANSWER, "opened_return": None}]})

    opened_return: OpenedReturnOut | None
