"""What people decide about refunds: to grant one, to have it paid, to take it back."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import Row, func
from sqlalchemy.ext.asyncio import AsyncConnection

from db import claims, exceptions, ledger, orders, payments
from db import refunds as records
from domain.errors import KeyReused, NotFound, RefundTooLarge, TooLate, UnitsReplaced
from domain.exceptions import Action
from domain.ledger import EntryKind, LedgerEntry, credit_for
from domain.money import Money
from domain.orders import NEVER_SHIPPED, Line, OrderStatus, body_hash, derived_id
from domain.refunds import PENDING, Given, GrantStatus, RefundRequest, amount_of, shared_out

_GIVEN = frozenset(GrantStatus) - {GrantStatus.WITHDRAWN}


async def grant(
    connection: AsyncConnection, order_id: str, request: RefundRequest, *, actor: str, credited: bool = False
) -> tuple[Row[Any], bool]:
    """Grant a refund and credit what it is for, unless that was ``credited`` before; the refund, and whether it is new.

    Raises NotFound, KeyReused where the reference belongs to another one, InvalidRefund, RefundTooLarge.
    """
    order = await orders.lock(connection, order_id)
    if order is None:
        raise NotFound("order", order_id)
    digest = body_hash(asdict(request))
    known = await records.find_named(connection, order_id, request.reference)
    if known is not None:
        if known.body_hash != digest:
            raise KeyReused("This reference has another refund of the order.", field="reference")
        return known, False
    rooms = await refundable(connection, order_id, lock=True)
    amount = await _amount(connection, order, request)
    if amount > sum(rooms.values()):
        most = Money(sum(rooms.values()), order.currency)
        raise RefundTooLarge(
            f"At most {most} can be refunded: that is what was captured, and neither given back nor promised.",
            field="amount",
        )
    promised = await records.pending(connection, rooms, statuses=PENDING)
    now = await ledger.balance_now(connection, order_id)
    credit = 0 if credited else credit_for(amount, now=now, granted=promised)
    await _add(connection, order, request, digest, shared_out(amount, rooms), credit=credit, actor=actor)
    return await _found(connection, derived_id(order_id, f"refund:{request.reference}")), True


async def _add(
    connection: AsyncConnection,
    order: Row[Any],
    request: RefundRequest,
    digest: str,
    amounts: Mapping[str, int],
    *,
    credit: int,
    actor: str,
) -> None:
    """Write a refund, with a part of it for each further payment that gives something of it back."""
    refund_id = derived_id(order.id, f"refund:{request.reference}")
    values: dict[str, Any] = {
        "order_id": order.id,
        "body_hash": digest,
        "currency": order.currency,
        "shipping": request.shipping,
        "reason": request.reason,
        "tell_customer": request.tell_customer,
        "status": GrantStatus.GRANTED.value,
        "granted_by": actor,
    }
    for number, (payment_id, amount) in enumerate(amounts.items(), start=1):
        first = number == 1
        credited = min(credit, amount)
        credit -= credited
        mine = {
            "id": refund_id if first else derived_id(refund_id, f"part:{number}"),
            "reference": request.reference if first else f"part:{number}:{refund_id}",
            "part_of": None if first else refund_id,
            "payment_id": payment_id,
            "amount": amount,
            "credited": credited,
            "lines": [asdict(line) for line in request.lines] if first else [],
            "shipping": request.shipping and first,
        }
        await records.add(connection, {**values, **mine})
        note = request.reason
        await _post(connection, EntryKind.CREDITED, str(mine["id"]), order, credited, actor=actor, note=note)


async def grant_by_hand(
    connection: AsyncConnection, order_id: str, request: RefundRequest, *, actor: str
) -> tuple[Row[Any], bool]:
    """Grant what a person wishes: as `grant`, but not for units that a claim has had replaced. Raises UnitsReplaced."""
    await orders.lock(connection, order_id)
    if await records.find_named(connection, order_id, request.reference) is None:
        await _check_replaced(connection, order_id, request)
    return await grant(connection, order_id, request, actor=actor)


async def _check_replaced(connection: AsyncConnection, order_id: str, request: RefundRequest) -> None:
    replaced = await claims.replaced_units(connection, order_id)
    given = await given_before(connection, order_id)
    ordered = {row.number: row.quantity for row in await orders.lines(connection, order_id)}
    for index, wanted in enumerate(request.lines):
        gone = replaced.get(wanted.line, 0)
        if gone and wanted.quantity > ordered.get(wanted.line, 0) - given.units.get(wanted.line, 0) - gone:
            raise UnitsReplaced(
                f"{gone} of line {wanted.line} were replaced by a claim. If money is given back all the same, say how "
                "much, without lines.",
                field=f"lines[{index}].quantity",
            )


async def refundable(
    connection: AsyncConnection, order_id: str, *, but: str = "", first: str = "", lock: bool = False
) -> dict[str, int]:
    """What of each of an order's payments can be refunded: captured, neither given back nor promised to a refund.

    A refund ``but`` is passed over. What is kept for exchanges is kept of all payments together: the oldest give first,
    or ``first``. With ``lock`` nobody else can have the money until the transaction ends. The ledger and a payment's
    record may each know of a refund that the other does not: together they never give more than either has.
    """
    now = await ledger.balance_now(connection, order_id)
    rows = await payments.of_order(connection, order_id, lock=lock)
    promised = {row.id: await records.pending(connection, [row.id], statuses=PENDING, but=but) for row in rows}
    kept = await records.pending(connection, promised, statuses={GrantStatus.EXCHANGED}, but=but)
    captured = min(now.captured, sum(row.captured for row in rows))
    room = captured - max(now.refunded, sum(row.refunded for row in rows)) - sum(promised.values()) - kept
    found = {}
    # What a change waits for is given back whole, if the change is not made.
    for row in sorted(payments.own(rows), key=lambda row: row.id != first):
        found[row.id] = max(0, min(room, row.captured - row.refunded - promised[row.id]))
        room -= found[row.id]
    return found


async def keep(connection: AsyncConnection, order_id: str, request: RefundRequest, *, actor: str) -> Row[Any] | None:
    """Keep money of an order for the order of an exchange: nobody can be given it back meanwhile.

    None where there is no such money. The order must be locked. What is kept is credited where it is spent. It may be
    more than the payment has under which it is noted: of all payments together nobody is given it.
    """
    paid = await payments.of_order(connection, order_id)
    if not paid or not request.amount:
        return None
    refund_id = derived_id(order_id, f"refund:{request.reference}")
    values = {
        "id": refund_id,
        "order_id": order_id,
        "payment_id": paid[0].id,
        "reference": request.reference,
        "body_hash": body_hash(asdict(request)),
        "amount": request.amount,
        "currency": paid[0].currency,
        "lines": [asdict(line) for line in request.lines],
        "shipping": False,
        "reason": request.reason,
        "tell_customer": False,
        "credited": 0,
        "status": GrantStatus.EXCHANGED.value,
        "granted_by": actor,
    }
    await records.add(connection, values)
    return await _found(connection, refund_id)


async def granted(connection: AsyncConnection, refund: Row[Any]) -> int:
    """What a refund comes to with its parts, in minor units."""
    return int(refund.amount) + sum(int(part.amount) for part in await records.parts(connection, refund.id))


async def let_go(connection: AsyncConnection, refund_id: str, *, actor: str) -> Row[Any]:
    """Keep money no longer that was kept for an exchange; the record of it."""
    values = {"status": GrantStatus.WITHDRAWN.value, "withdrawn_by": actor, "withdrawn_at": func.now()}
    await records.change(connection, refund_id, values)
    return await _found(connection, refund_id)


async def given_before(connection: AsyncConnection, order_id: str) -> Given:
    """What earlier refunds of an order were for, those included that are only granted."""
    before = [row for row in await records.of_order(connection, order_id) if row.status in _GIVEN]
    units: dict[int, int] = {}
    for line in (line for row in before for line in row.lines):
        units[line["line"]] = units.get(line["line"], 0) + line["quantity"]
    return Given(units, any(row.shipping for row in before))


async def ask_to_pay(connection: AsyncConnection, refund_id: str, *, actor: str) -> Row[Any]:
    """Decide that a refund is paid. One that is being paid, or was, stays as it is.

    Raises NotFound, TooLate for one that was withdrawn, RefundTooLarge where the money is there no more.
    """
    row, payment = await _locked(connection, refund_id)
    for part in await records.parts(connection, refund_id):
        if part.status in {GrantStatus.GRANTED, GrantStatus.FAILED}:
            await ask_to_pay(connection, part.id, actor=actor)  # the worker's relay starts it
    if row.status in {GrantStatus.PAYING, GrantStatus.PAID}:
        return row
    if row.status == GrantStatus.WITHDRAWN:
        raise TooLate("The refund was withdrawn.")
    if row.status == GrantStatus.EXCHANGED:
        raise TooLate("It goes into the order of an exchange: it is not paid.")
    room = (await refundable(connection, row.order_id, but=refund_id, first=payment.id))[payment.id]
    if row.amount > room:
        raise RefundTooLarge(f"Only {Money(room, row.currency)} of the order's money is left to refund.")
    await _close_failure(connection, row, Action.RETRY, actor)
    values = {"status": GrantStatus.PAYING.value, "decision": row.decision + 1, "paid_by": actor, "failure": None}
    values |= {"asked_at": func.now(), "started_at": None}
    await records.change(connection, refund_id, values)
    return await _found(connection, refund_id)


async def withdraw(connection: AsyncConnection, refund_id: str, *, actor: str) -> Row[Any]:
    """Take back a refund that is not paid, and what was credited for it. Raises NotFound, TooLate.

    Its parts go with it.
    """
    row, _ = await _locked(connection, refund_id)
    for part in await records.parts(connection, refund_id):
        await withdraw(connection, part.id, actor=actor)
    if row.status == GrantStatus.WITHDRAWN:
        return row
    if row.status not in {GrantStatus.GRANTED, GrantStatus.FAILED}:
        raise TooLate(f"The refund is {row.status}: it can no longer be withdrawn.")
    order = await orders.find(connection, row.order_id)
    if order is None:
        raise NotFound("order", row.order_id)
    await _close_failure(connection, row, Action.WITHDRAW, actor)
    values = {"status": GrantStatus.WITHDRAWN.value, "withdrawn_by": actor, "withdrawn_at": func.now()}
    await records.change(connection, refund_id, values)
    if OrderStatus(order.status) not in NEVER_SHIPPED:  # of what never ships nothing is owed, refunded or not
        kind = EntryKind.CREDIT_WITHDRAWN
        await _post(connection, kind, refund_id, order, row.credited, actor=actor, note="withdrawn")
    return await _found(connection, refund_id)


async def rest_for_unwinding(
    connection: AsyncConnection, order_id: str, payment_id: str, key: str, *, wanted: int, keep: int = 0
) -> int:
    """What a cancelled order's own refund still gives back of a payment's ``wanted``, but for ``keep``, in minor units.

    Refunds that were only granted are withdrawn, since the cancellation says what is given back; those being paid keep
    their money. The same step gets the same answer.
    """
    await orders.lock(connection, order_id)
    rows = await payments.of_order(connection, order_id, lock=True)
    payment = next((row for row in rows if row.id == payment_id), None)
    begun = await payments.intended(connection, key)
    if begun is not None or payment is None:
        return int(begun.amount) if begun is not None else wanted
    if payments.own([payment]):  # a change that is not made gives back what it asked for, and nothing else
        for row in await records.of_order(connection, order_id):
            if row.status == GrantStatus.GRANTED:
                await withdraw(connection, row.id, actor="waybill")
    return min(wanted, max(0, await left_of(connection, payment, rows) - keep))


async def left_of(connection: AsyncConnection, payment: Row[Any], rows: Sequence[Row[Any]]) -> int:
    """What of a payment was captured and is neither given back nor being paid back, in minor units.

    ``rows`` are all payments of its order.
    """
    paying = await records.pending(connection, [payment.id], statuses={GrantStatus.PAYING})
    now = await ledger.balance_now(connection, payment.order_id)
    others = sum(row.refunded for row in rows if row.id != payment.id)
    back = max(now.refunded - others, payment.refunded)
    return max(0, int(payment.captured - back) - paying)


def failure_id(row: Row[Any]) -> str:
    """The id of the exception about a refund's failure; each decision to pay can fail once."""
    return derived_id(row.id, f"exception:failed:{row.decision}")


async def _amount(connection: AsyncConnection, order: Row[Any], request: RefundRequest) -> int:
    rows = await orders.lines(connection, order.id)
    lines = [Line(r.number, r.sku, r.quantity, r.unit_price, r.discount, r.tax) for r in rows]
    given = await given_before(connection, order.id)
    return amount_of(request, lines=lines, shipping_charge=order.shipping_charge, currency=order.currency, given=given)


async def _locked(connection: AsyncConnection, refund_id: str) -> tuple[Row[Any], Row[Any]]:
    """A refund and its payment, with order and payment locked: always in this order, so that nobody waits in a ring."""
    row = await _found(connection, refund_id)
    await orders.lock(connection, row.order_id)
    payment = await payments.lock(connection, row.payment_id)
    if payment is None:
        raise NotFound("payment", row.payment_id)
    return await _found(connection, refund_id), payment


async def _found(connection: AsyncConnection, refund_id: str) -> Row[Any]:
    row = await records.find(connection, refund_id)
    if row is None:
        raise NotFound("refund", refund_id)
    return row


async def _close_failure(connection: AsyncConnection, row: Row[Any], action: Action, actor: str) -> None:
    if row.status == GrantStatus.FAILED:
        await exceptions.resolve(
            connection, failure_id(row), resolution=action.value, by=actor, note="", at=await orders.clock(connection)
        )
        await exceptions.refresh_attention(connection, row.order_id)


async def _post(
    connection: AsyncConnection, kind: EntryKind, refund_id: str, order: Row[Any], amount: int, *, actor: str, note: str
) -> None:
    cause = f"refund:{refund_id}"
    entry = LedgerEntry(f"{kind}:{cause}", order.id, kind, amount, order.currency, cause, actor=actor, note=note)
    await ledger.post(connection, [entry])
