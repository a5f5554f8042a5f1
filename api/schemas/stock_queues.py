"""The queues of orders that wait for units."""

from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from api.schemas.base import Output
from api.schemas.views import WaitOut
from domain.stock_queues import QueueName

_ITEM: dict[str, Any] = {
    "queue": "backorder",
    "order_id": "b1a8ff55-4f2f-5a86-8f0b-9f2a7d9d6a0e",
    "order_number": "WB-100042",
    "line": 1,
    "sku": "COF-KETTLE-09",
    "units": 3,
    "missing": 2,
    "promised": True,
    "pre_order": False,
    "warehouse": None,
    "since": "2024-05-02T09:14:00Z",
    "expected_at": "2024-05-16T09:14:00Z",
    "reason": "2 of COF-KETTLE-09 on backorder",
}
_COUNT: dict[str, Any] = {
    "queue": "backorder",
    "items": 1,
    "orders": 1,
    "units": 3,
    "missing": 2,
    "oldest": "2024-05-02T09:14:00Z",
}


class QueueItemOut(WaitOut):
    """Units of one line of an order, as they wait."""

    order_id: str
    order_number: str


class QueueItemListOut(Output):
    """A page of a queue."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_ITEM], "next_cursor": None}]})

    items: list[QueueItemOut]
    next_cursor: str | None


class QueueOut(Output):
    """How much waits in a queue: ``items`` are lines' SKUs, ``missing`` the units that are not there."""

    queue: QueueName
    items: int
    orders: int
    units: int
    missing: int
    oldest: datetime | None = Field(description="Since when the first of them waits; null if the queue is empty.")


class QueueListOut(Output):
    """All queues."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [_COUNT]}]})

    items: list[QueueOut]
