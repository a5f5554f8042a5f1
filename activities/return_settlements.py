"""The refund of a return: reckoned by its rule, granted as every refund is, and paid where the rule says so."""

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.orders import order_line
from activities.refund_grants import ask_to_pay, given_before, grant, refundable
from activities.return_records import ReturnCase
from db import orders, payments, return_labels
from domain.money import Money
from domain.refunds import RefundRequest
from domain.settlements import Settlement, settle
from domain.shipments import SCANNED

BY_RULE = "return rules"
"""who has refunds paid that need no person's word"""


async def give_back(connection: AsyncConnection, case: ReturnCase) -> tuple[Settlement, str | None]:
    """Grant what a return comes to, less fees, and never more than is there; the refund's id, if anything is.

    Its order is locked, so that nobody else has the money meanwhile.
    """
    row = case.row
    payment = await payments.find(connection, row.order_id)
    payment = None if payment is None else await payments.lock(connection, payment.id)
    settlement = settle(
        case.lines,
        lines=[order_line(line) for line in await orders.lines(connection, row.order_id)],
        given=await given_before(connection, row.order_id),
        rule=case.rule,
        reason=case.reason,
        currency=row.currency,
        label=await _postage(connection, case),
        room=0 if payment is None else await refundable(connection, payment),
    )
    if settlement.amount <= 0:
        return settlement, None
    reason = f"Return {row.number}: {settlement.words}."
    request = RefundRequest(f"return:{row.number}", reason, settlement.lines, amount=settlement.amount)
    refund, _ = await grant(connection, row.order_id, request, actor=BY_RULE)
    if case.rule.pay:
        await ask_to_pay(connection, refund.id, actor=BY_RULE)  # the relay starts it
    return settlement, str(refund.id)


async def _postage(connection: AsyncConnection, case: ReturnCase) -> Money | None:
    """The price of the label under which it came; None if it came without one."""
    label = await return_labels.bought(connection, case.row.id)
    if label is None or label.tracking_status not in SCANNED:
        return None
    return Money(label.price, label.currency)
