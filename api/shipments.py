"""Fulfilments: the label, and the hand-over to the carrier."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from sqlalchemy import Row

from api.auth import ReadsOrders, WritesFulfilments
from api.context import concerns
from api.describing import answers, problems
from api.errors import NothingToPrint, not_running
from api.headers import IdempotencyKey
from api.problems import REQUEST_ID
from api.schemas.views import AnswerOut
from api.services import Services, Wired
from api.viewing import WAITING
from db import orders, shipments
from domain.errors import NotFound, TooEarly, TooLate, Unavailable
from domain.orders import HandOver
from domain.shipments import LEFT, NOT_SHIPPING, FulfilmentStatus, LabelFormat
from integrations.errors import ProviderError, Rejected, Throttled

router = APIRouter(prefix="/v1/fulfilments", tags=["fulfilments"])

_LABELS = ("application/pdf", "image/png", "application/zpl")
FulfilmentId = Annotated[str, Path(max_length=64, description="The fulfilment's id.")]


@router.post(
    "/{fulfilment}/hand-over",
    response_model=AnswerOut,
    summary="Hand a fulfilment over to the carrier",
    responses=problems(404, 409),
)
async def hand_over(
    fulfilment: FulfilmentId,
    caller: WritesFulfilments,
    wired: Wired,
    request: Request,
    idempotency_key: IdempotencyKey = None,
) -> AnswerOut:
    """Note that the parcel is the carrier's. The money is captured first; while that fails the answer is 409."""
    row, order = await find_fulfilment(wired, fulfilment)
    if row.status in LEFT:
        sentence = WAITING.validate_python(order.waiting).sentence
        return AnswerOut(order_id=order.id, status=order.status, waiting=sentence)
    if order.closed_at is not None or row.status in NOT_SHIPPING:
        raise TooLate(f"The fulfilment is {row.status} and order {order.number} {order.status}: it must not leave.")
    # A refused hand-over is tried again once the money is there, so without a key of the caller's each try is its own.
    key = f"hand-over:{fulfilment}:{idempotency_key or request.scope[REQUEST_ID]}"
    try:
        answer = await wired.gateway.hand_over(order.id, HandOver(fulfilment, caller.actor), key=key)
    except NotFound as error:
        raise not_running(order.number) from error
    except TooEarly as error:
        if row.status not in {FulfilmentStatus.LABELLED, FulfilmentStatus.ORDERED}:
            raise
        # It is on record that it may leave, and the order is about to know: whoever scans it now may try again.
        raise Unavailable("The order is taking note that it may leave; nothing was handed over.") from error
    return AnswerOut(order_id=order.id, status=answer.status, waiting=answer.waiting)


async def find_fulfilment(wired: Services, fulfilment: str) -> tuple[Row[Any], Row[Any]]:
    """A fulfilment and its order. Raises NotFound."""
    async with wired.database.reading() as connection:
        row = await shipments.find_fulfilment(connection, fulfilment)
        order = None if row is None else await orders.find(connection, row.order_id)
    if row is None or order is None:
        raise NotFound("fulfilment", fulfilment)
    concerns(order.id, order.number)
    return row, order


@router.get(
    "/{fulfilment}/label",
    response_class=Response,
    summary="Print the shipping label",
    responses={200: answers("The label in the wanted format.", *_LABELS), **problems(404, 409)},
)
async def label(
    fulfilment: FulfilmentId,
    caller: ReadsOrders,
    wired: Wired,
    format: Annotated[
        LabelFormat, Query(description="The file's format; `zpl` for thermal printers.")
    ] = LabelFormat.PDF,
) -> Response:
    """The label of the fulfilment's parcel, from the carrier."""
    async with wired.database.reading() as connection:
        if await shipments.find_fulfilment(connection, fulfilment) is None:
            raise NotFound("fulfilment", fulfilment)
        parcel = await shipments.labelled_parcel(connection, fulfilment)
    carrier = None if parcel is None else wired.carriers.get(parcel.provider)
    if parcel is None or carrier is None:
        raise NothingToPrint("The fulfilment has no label: it is not bought yet, or was given back.")
    try:
        file = await carrier.label(parcel.shipment, format)
    except Rejected as error:
        raise NothingToPrint(f"The carrier gives no {format} label for this parcel.", field="format") from error
    except Throttled as error:
        raise Unavailable("The carrier asks for patience.", retry_after=max(1, round(error.retry_after))) from error
    except ProviderError as error:
        raise Unavailable("The carrier's system does not answer right now.") from error
    name = f'inline; filename="label-{parcel.tracking_code}.{file.format}"'
    return Response(file.content, media_type=file.media_type, headers={"Content-Disposition": name})
