"""What is asked of returns: the rules in force, and a return that is asked for."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.case_records import tell_order
from activities.orders import order_line
from activities.projections import waiting_json
from activities.return_records import RULE, standing_of
from activities.shipped import delivered, settled_units
from db import catalogue, orders
from db import returns as records
from db.return_rules import RULES
from domain.errors import InvalidReturn, KeyReused, NotFound
from domain.notifications import NoticeKind
from domain.orders import Line, body_hash, derived_id
from domain.return_requests import ReturnRequest, WantedLine, check_eligible, takes_in
from domain.return_rules import ReturnRule, ReturnRules
from domain.return_units import ReturnLine
from domain.returns import LabelState, ReturnStatus

RULES_JSON: TypeAdapter[tuple[ReturnRule, ...]] = TypeAdapter(tuple[ReturnRule, ...])


async def rules_in_force(connection: AsyncConnection) -> ReturnRules:
    """The newest version of the rules; version 0 where nobody has made any."""
    row = await RULES.newest(connection)
    return ReturnRules() if row is None else ReturnRules(row.version, RULES_JSON.validate_python(row.rules))


async def ask(
    connection: AsyncConnection, order_id: str, request: ReturnRequest, *, actor: str, at: datetime
) -> tuple[Row[Any], bool]:
    """Write a return down, if it may be; the return, and whether it is new.

    Of several that come at once no more is taken than was delivered. Raises NotFound, KeyReused, InvalidReturn,
    MoreThanDelivered, NotReturnable, WindowOver.
    """
    order = await orders.lock(connection, order_id)
    if order is None:
        raise NotFound("order", order_id)
    digest = body_hash(asdict(request))
    known = await records.find_named(connection, order_id, request.reference)
    if known is not None:
        if known.body_hash != digest:
            raise KeyReused("This reference has another return of the order.", field="reference")
        return known, False
    rules = await rules_in_force(connection)
    rule = rules.for_channel(order.channel)
    lines = [order_line(row) for row in await orders.lines(connection, order_id)]
    arrived = await delivered(connection, order_id, lines)
    settled = await settled_units(connection, order_id, lines)
    check_eligible(request, lines=lines, delivered=arrived, settled=settled, rule=rule, now=at)
    warehouse = takes_in(request, arrived)
    if warehouse not in await catalogue.find_warehouses(connection, [warehouse]):
        raise InvalidReturn(f"There is no warehouse {warehouse!r}.", field="warehouse")
    values = {
        "id": derived_id(order_id, f"return:{request.reference}"),
        "order_id": order_id,
        "reference": request.reference,
        "body_hash": digest,
        "warehouse": warehouse,
        "reason": request.reason.value,
        "note": request.note,
        "rule": RULE.dump_python(rule, mode="json"),
        "rules_version": rules.version,
        "override": request.override,
        "created_by": actor,
    }
    await _add(connection, values, request, lines, rule, at)
    row = await records.find_named(connection, order_id, request.reference)
    if row is None:
        raise LookupError("a return that has just been written is not there")
    return row, True


async def _add(
    connection: AsyncConnection,
    given: dict[str, Any],
    request: ReturnRequest,
    lines: Sequence[Line],
    rule: ReturnRule,
    at: datetime,
) -> None:
    approved = request.reason in rule.approved
    values = {
        **given,
        "status": (ReturnStatus.APPROVED if approved else ReturnStatus.REQUESTED).value,
        "label": (LabelState.WANTED if request.label else LabelState.NONE).value,
        "send_by": at + timedelta(days=rule.send_days) if approved else None,
        "letters": [letter.value for letter in _letters(request, approved=approved)],
    }
    units = sum(line.quantity for line in request.lines)
    told = f"The return of {units} unit{'s' if units != 1 else ''} was asked for ({request.reason.replace('_', ' ')})"
    text = f"{told}{' and approved by the rules' if approved else ''}."
    text += f" Taken although the rules forbid it: {request.override}" if request.override else ""
    await write_down(connection, values, request.lines, lines, told=text, at=at)


async def write_down(
    connection: AsyncConnection,
    given: dict[str, Any],
    wanted: Sequence[WantedLine],
    lines: Sequence[Line],
    *,
    told: str,
    at: datetime,
) -> None:
    """Write a return of units of these ``lines`` of an order, which is locked; ``told`` opens its history."""
    skus = {line.number: line.sku for line in lines}
    back = [ReturnLine(n.line, skus[n.line], n.quantity) for n in wanted]
    values = {
        **given,
        "number": await records.next_number(connection),
        "since": at,
        "patient_since": at,
        "label_attempt": 1,
        "trouble": None,
        "revision": 0,
        "created_at": at,
    }
    actor = given["created_by"]
    event = {"key": "requested", "at": at, "kind": "requested", "text": told, "actor": actor, "entered": None}
    waiting = waiting_json(standing_of(values, back).waiting)
    await records.add(connection, {**values, "waiting": waiting}, back, event)
    await tell_order(connection, "return", values, event)


def _letters(request: ReturnRequest, *, approved: bool) -> tuple[NoticeKind, ...]:
    if not approved:
        return (NoticeKind.RETURN_REQUESTED,)
    return () if request.label else (NoticeKind.RETURN_APPROVED,)  # with its label, once there is one
