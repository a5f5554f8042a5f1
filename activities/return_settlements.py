"""The refund of a return: reckoned by its rule, granted as every refund is, and paid where the rule says so."""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.exchange_money import keep_of_return, still_kept
from activities.orders import order_line
from activities.refund_grants import ask_to_pay, given_before, grant, refundable
from activities.return_records import ReturnCase
from db import orders, return_labels
from domain.money import Money
from domain.refunds import RefundRequest
from domain.return_units import ReturnLine
from domain.settlements import Settlement, settle
from domain.shipments import SCANNED

BY_RULE = "return rules"
"""who has refunds paid that need no person's word"""


async def give_back(connection: AsyncConnection, case: ReturnCase) -> tuple[Settlement, str | None]:
    """Grant what a return comes to, less fees, and never more than is there; the refund's id, if anything is.

    What goes into an exchange is kept instead. Its order is locked, so that nobody else has the money meanwhile.
    """
    row = case.row
    settlement = await reckon(connection, case, case.lines, but=await still_kept(connection, row.id))
    settlement = replace(settlement, exchanged=await keep_of_return(connection, row, settlement, actor=BY_RULE))
    if settlement.refunded <= 0:
        return settlement, None
    reason = f"Return {row.number}: {settlement.words}."
    request = RefundRequest(f"return:{row.number}", reason, settlement.lines, amount=settlement.refunded)
    refund, _ = await grant(connection, row.order_id, request, actor=BY_RULE)
    if case.rule.pay:
        await ask_to_pay(connection, refund.id, actor=BY_RULE)  # the relay starts it
    return settlement, str(refund.id)


async def expected(connection: AsyncConnection, case: ReturnCase) -> Settlement:
    """What a return would come to if all of it came, and as good as new, under the label that it has."""
    lines = [replace(line, refunded=line.quantity) for line in case.lines]
    return await reckon(connection, case, lines, travelled=False)


async def reckon(
    connection: AsyncConnection,
    case: ReturnCase,
    lines: Sequence[ReturnLine],
    *,
    but: str = "",
    travelled: bool = True,
) -> Settlement:
    """What ``lines`` of a return come to; money that the refund ``but`` keeps counts as there.

    A label is charged once it has ``travelled``, or as soon as it is bought where nothing has come yet.
    """
    row = case.row
    rooms = await refundable(connection, row.order_id, but=but, lock=True)
    return settle(
        lines,
        lines=[order_line(line) for line in await orders.lines(connection, row.order_id)],
        given=await given_before(connection, row.order_id),
        rule=case.rule,
        reason=case.reason,
        currency=row.currency,
        label=await _postage(connection, case, travelled=travelled),
        room=sum(rooms.values()),
    )


async def _postage(connection: AsyncConnection, case: ReturnCase, *, travelled: bool) -> Money | None:
    """The price of the label under which it came; None if it came without one."""
    label = await return_labels.bought(connection, case.row.id)
    if label is None or (travelled and label.tracking_status not in SCANNED):
        return None
    return Money(label.price, label.currency)
