"""What is claimed: written down, if it was shipped and is not spoken for."""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.case_records import tell_order, units
from activities.claim_records import standing_of
from activities.orders import order_line
from activities.projections import waiting_json
from activities.shipped import settled_units
from db import claims as records
from db import orders
from domain.claims import ClaimRequest, ClaimStatus, check_claimable
from domain.errors import KeyReused, NotFound
from domain.notifications import NoticeKind
from domain.orders import body_hash, derived_id


async def claim(
    connection: AsyncConnection, order_id: str, request: ClaimRequest, *, actor: str, at: datetime
) -> tuple[Row[Any], bool]:
    """Write a claim down, if it may be; the claim, and whether it is new.

    Of several that come at once no more is claimed than was shipped. Raises NotFound, KeyReused, InvalidClaim,
    MoreThanShipped.
    """
    if await orders.lock(connection, order_id) is None:
        raise NotFound("order", order_id)
    digest = body_hash(asdict(request))
    known = await records.CASES.find_named(connection, order_id, request.reference)
    if known is not None:
        if known.body_hash != digest:
            raise KeyReused("This reference has another claim of the order.", field="reference")
        return known, False
    lines = [order_line(row) for row in await orders.lines(connection, order_id)]
    check_claimable(request, lines, await settled_units(connection, order_id, lines))
    values = await _values(connection, order_id, request, digest, actor, at)
    skus = {line.number: line.sku for line in lines}
    wanted = [{"number": one.line, "sku": skus[one.line], "quantity": one.quantity} for one in request.lines]
    told = f"{units(sum(one.quantity for one in request.lines))} claimed as {request.kind.replace('_', ' ')}."
    event = {"key": "requested", "at": at, "kind": "requested", "text": told, "actor": actor, "entered": None}
    await records.add(connection, values, wanted, event)
    await tell_order(connection, "claim", values, event, link=f"/v1/claims/{values['id']}")
    row = await records.CASES.find(connection, values["id"])
    if row is None:
        raise LookupError("a claim that has just been written is not there")
    return row, True


async def _values(
    connection: AsyncConnection, order_id: str, request: ClaimRequest, digest: str, actor: str, at: datetime
) -> dict[str, Any]:
    values = {
        "id": derived_id(order_id, f"claim:{request.reference}"),
        "number": await records.CASES.next_number(connection),
        "order_id": order_id,
        "reference": request.reference,
        "body_hash": digest,
        "status": ClaimStatus.REQUESTED.value,
        "kind": request.kind.value,
        "evidence": request.evidence,
        "photos": list(request.photos),
        "since": at,
        "patient_since": at,
        "trouble": None,
        "letters": [NoticeKind.CLAIM_RECEIVED.value],
        "revision": 0,
        "replacements": 0,
        "created_by": actor,
        "created_at": at,
    }
    standing = standing_of(values, None)
    return {**values, "waiting": waiting_json(standing.waiting)}
