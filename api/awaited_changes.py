"""Changes that wait for their payment, and are withdrawn before it comes."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from sqlalchemy import Row

from api.auth import WritesOrders
from api.context import concerns
from api.describing import problems
from api.errors import not_running
from api.orders import OrderKey
from api.schemas.awaited_changes import WithdrawIn, WithdrawnOut
from api.schemas.views import AwaitedChangeOut
from api.services import Services, Wired
from api.viewing import WAITING
from db import awaited_changes, orders, versions
from domain.changes.awaited import AwaitedStatus, WithdrawChange
from domain.errors import NotFound, TooLate, Unavailable

router = APIRouter(prefix="/v1/orders", tags=["orders"])

ChangeKey = Annotated[str, Path(max_length=64, description="The id of the change, as its `202` has answered it.")]


@router.post(
    "/{order}/changes/{change}/withdraw",
    response_model=WithdrawnOut,
    summary="Withdraw a change",
    responses=problems(404, 409, body=True),
)
async def withdraw(
    order: OrderKey, change: ChangeKey, caller: WritesOrders, wired: Wired, body: WithdrawIn | None = None
) -> WithdrawnOut:
    """Withdraw a change that waits for the customer's payment. The order stays as it was.

    What he has paid for it, were it in this second, is given back first, then the units that were held for it; he is
    told. Withdrawing twice is withdrawing once.
    """
    row, awaited = await _find(wired, order, change)
    if awaited.status == AwaitedStatus.AWAITING:
        wish = WithdrawChange(change, caller.actor, body.reason if body else "")
        try:
            await wired.gateway.withdraw_change(row.id, wish, key=f"withdraw-change:{change}")
        except NotFound as error:
            raise not_running(row.number) from error
        row, awaited = await _find(wired, order, change)
    if awaited.status == AwaitedStatus.APPLIED:
        raise TooLate("The change was paid and made: change the order once more instead.")
    if awaited.status == AwaitedStatus.AWAITING:
        raise Unavailable("The order withdraws the change, and its record does not say so yet.")
    return WithdrawnOut.model_validate(
        {
            **AwaitedChangeOut.model_validate(awaited).model_dump(),
            "order_id": row.id,
            "order_number": row.number,
            "order_status": row.status,
            "waiting": WAITING.validate_python(row.waiting).sentence,
        }
    )


async def _find(wired: Services, order: str, change: str) -> tuple[Row[Any], Row[Any]]:
    """The order, and its change that waits or has waited. Raises NotFound, TooLate for one that never had to wait."""
    async with wired.database.reading() as connection:
        row = await orders.find(connection, order)
        if row is None:
            raise NotFound("order", order)
        concerns(row.id, row.number)
        awaited = await awaited_changes.find(connection, change)
        made = await versions.find_change(connection, change) if awaited is None else None
    if made is not None and made.order_id == row.id:
        raise TooLate("The change was made at once: change the order once more instead.")
    if awaited is None or awaited.order_id != row.id:
        raise NotFound(f"change of order {row.number}", change)
    return row, awaited
