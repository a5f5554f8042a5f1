"""Withdrawing a change that waits for its payment."""

from pydantic import ConfigDict, Field

from api.schemas.base import Input, Note
from api.schemas.examples import ORDER_ID
from api.schemas.views import AwaitedChangeOut
from domain.orders import OrderStatus


class WithdrawIn(Input):
    """Why the change is withdrawn."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason": "Ticket 5124: he does not want it any more."}]}
    )

    reason: Note = Field("", description="Why. Customers do not see it.")


class WithdrawnOut(AwaitedChangeOut):
    """A change that was withdrawn, and how its order stands."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": "0d9c8b7a-6f5e-5d4c-8b3a-2f1e0d9c8b7a",
                    "status": "withdrawn",
                    "asked": 1800,
                    "currency": "USD",
                    "until": "2024-05-03T09:36:11Z",
                    "opened_at": "2024-05-02T09:36:11Z",
                    "ended_at": "2024-05-02T11:02:40Z",
                    "why": "It was called off. Ticket 5124: he does not want it any more.",
                    "order_id": ORDER_ID,
                    "order_number": "WB-100001",
                    "order_status": "fulfilling",
                    "waiting": "Waiting for the hand-over of parcel 1 to the carrier (on the warehouse) "
                    "since 2024-05-02 09:36:11 UTC.",
                }
            ]
        }
    )

    order_id: str
    order_number: str
    order_status: OrderStatus
    waiting: str = Field(description="What the order waits for now.")
