"""Whether the process lives, whether it can accept orders, and its measures."""

import asyncio

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import ConfigDict

from api.describing import answers, public_problems
from api.metrics import Standing
from api.schemas.base import Output
from api.services import Services, Wired
from db import exceptions, holds, inbox, order_lists, stock_queues
from db.faults import FAULTS, is_away
from domain.errors import Unavailable
from domain.stock_queues import QueueName

router = APIRouter(tags=["health"])

_WITHIN_SECONDS = 3.0
_NOTHING_WAITS = dict.fromkeys((queue.value for queue in QueueName), 0)


class HealthOut(Output):
    """The process answers."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok"}]})

    status: str


class ReadyOut(Output):
    """What the process needs. Without Temporal orders are accepted all the same, and start once it is back."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"status": "ok", "database": True, "temporal": True}]})

    status: str
    database: bool
    temporal: bool


@router.get("/healthz", response_model=HealthOut, summary="Is it alive?")
async def healthz() -> HealthOut:
    """200 while the process can answer at all."""
    return HealthOut(status="ok")


@router.get("/readyz", response_model=ReadyOut, summary="Can it accept orders?", responses=public_problems(503))
async def readyz(wired: Wired) -> ReadyOut:
    """200 while the database answers, else 503. Temporal's absence is told, but is no reason to be taken out."""
    if not await wired.database.answers():
        raise Unavailable("The database does not answer right now.", retry_after=2)
    return ReadyOut(status="ok", database=True, temporal=await wired.temporal_answers())


@router.get(
    "/metrics",
    response_class=Response,
    summary="Measures for Prometheus",
    responses={200: answers("Prometheus' text format.", "text/plain")},
)
async def metrics(wired: Wired) -> Response:
    """Requests, webhooks and provider calls of this process; orders, exceptions, inbox and queues of the database."""
    return Response(wired.metrics.render(await _standing(wired)), media_type=CONTENT_TYPE_LATEST)


async def _standing(wired: Services) -> Standing | None:
    try:
        async with asyncio.timeout(_WITHIN_SECONDS), wired.database.reading() as connection:
            waits = await stock_queues.count(connection)
            return Standing(
                exceptions=await exceptions.count_open(connection),
                holds=await holds.count_standing(connection, wired.now()),
                orders=await order_lists.count_by_status(connection),
                inbox=await inbox.count_by_status(connection),
                waiting_units={**_NOTHING_WAITS, **{row.queue: row.units for row in waits}},
                waiting_orders={**_NOTHING_WAITS, **{row.queue: row.orders for row in waits}},
            )
    except FAULTS as error:
        if not is_away(error):
            raise
        return None
