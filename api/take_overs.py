"""What a person has ordered with a supplier himself, in place of a visit to the portal."""

from fastapi import APIRouter

from api.auth import WritesFulfilments
from api.describing import problems
from api.errors import not_running
from api.headers import IdempotencyKey
from api.schemas.portals import TakeOverIn
from api.schemas.views import AnswerOut
from api.services import Wired
from api.shipments import FulfilmentId, find_fulfilment
from domain.errors import Conflict, NotFound, TooLate
from domain.portals import TakeOver
from domain.shipments import UNSENT

router = APIRouter(prefix="/v1/fulfilments", tags=["portals"])


@router.post(
    "/{fulfilment}/supplier-order",
    response_model=AnswerOut,
    summary="Enter an order that was placed by hand",
    responses=problems(404, 409, body=True),
)
async def take_over(
    fulfilment: FulfilmentId,
    body: TakeOverIn,
    caller: WritesFulfilments,
    wired: Wired,
    idempotency_key: IdempotencyKey = None,
) -> AnswerOut:
    """Say that the supplier has it, and under which number. A visit that is under way is broken off first.

    Waybill then never orders it, and follows the number in the portal. What is ordered already is refused; so is,
    unless you are `certain`, what may have been ordered by a visit whose end nobody knows.
    """
    row, order = await find_fulfilment(wired, fulfilment)
    if row.portal is None:
        raise Conflict("The fulfilment is not ordered with a supplier: its warehouse packs it.")
    if order.closed_at is not None or row.status not in UNSENT:
        raise TooLate(f"The fulfilment is {row.status} and order {order.number} {order.status}.")
    key = f"take-over:{fulfilment}:{idempotency_key or body.number}:{body.certain}"
    try:
        wish = TakeOver(fulfilment, body.number, caller.actor, body.certain)
        answer = await wired.gateway.take_over(order.id, wish, key=key)
    except NotFound as error:
        raise not_running(order.number) from error
    return AnswerOut(order_id=order.id, status=answer.status, waiting=answer.waiting)
