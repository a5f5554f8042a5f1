"""A workflow's newest view of its order where nothing else comes with it, as it is nearly always: one statement."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import String, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from db.orders import NOTE, PROJECT, entry_columns
from db.shipments import Fulfilment, advancing
from db.statements import Statement
from domain.shipments import FulfilmentStatus

# All or nothing: what is written beside the view is written where the view is.
_WRITTEN = "EXISTS (SELECT FROM projected)"


@cache
def _project(moved: FulfilmentStatus | None) -> Statement:
    view = text(f"{PROJECT} AND NOT needs_attention RETURNING id").bindparams(bindparam("waiting", type_=JSONB))
    noted = text(f"{NOTE} WHERE {_WRITTEN} ON CONFLICT DO NOTHING RETURNING key").columns(key=String)
    parts = [view.columns(id=String).cte("projected"), noted.cte("noted")]
    if moved is not None:
        parts.append(advancing(moved).where(text(_WRITTEN)).returning(Fulfilment.id).cte("moved"))
    return Statement(text("SELECT id FROM projected").columns(id=String).add_cte(*parts))


async def project_plainly(
    connection: AsyncConnection,
    order_id: str,
    *,
    revision: int,
    values: Mapping[str, Any],
    entries: Sequence[Mapping[str, Any]],
    moved: tuple[str, FulfilmentStatus, datetime] | None,
) -> bool:
    """Write the view, its entries, and where a fulfilment stands by now.

    ``values`` are status, waiting, delivered_at and closed_at, ``moved`` is a fulfilment's id, its status, and since
    when. False if nothing was written: a newer one is stored, or exceptions may be open.
    """
    given = {"order_id": order_id, "revision": revision, **values, **entry_columns(entries)}
    fulfilment_id, status, at = moved or (None, None, None)
    more = {"fulfilment_id": fulfilment_id, "at": at}
    return await _project(status).first(connection, **given, **more) is not None
