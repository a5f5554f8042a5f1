"""Labels bought after they were called off, by an attempt that stood still meanwhile: they are given back."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog

from activities.refunds import open_about
from db import called_off_labels as records
from db.base import Database
from domain.exceptions import Action, ExceptionKind
from domain.orders import derived_id
from domain.shipments import GIVEN_BACK, Label, Shipment, TrackingStatus
from integrations.carriers.carrier import Carrier
from integrations.errors import ProviderError, Rejected

log = structlog.get_logger("relay")

_BATCH = 100


@dataclass(frozen=True)
class CalledOff:
    """A parcel, or with a ``return_id`` a return's label, for which nothing more was to be bought."""

    id: str
    order_id: str
    return_id: str | None = None


class CalledOffLabels:
    """Looks at what was called off while a purchase may have been under way, and gives back what was bought since."""

    def __init__(self, database: Database, carriers: Mapping[str, Carrier]) -> None:
        self._database = database
        self._carriers = carriers

    async def look(self) -> int:
        """Look at all that are due; how many were given back. One whose carrier does not answer holds up no other."""
        async with self._database.reading() as connection:
            rows = await records.due(connection, limit=_BATCH)
        found = 0
        for row in rows:
            try:
                found += await self._look_at(row)
            except ProviderError as error:
                log.warning("label_not_looked_at", label=row.id, error=type(error).__name__)
        return found

    async def _look_at(self, row: Any) -> bool:
        carrier = self._carriers.get(row.provider)
        known = row.shipment is None or row.void_status is not None
        shipment = None if known or carrier is None else await carrier.retrieve(row.shipment)
        if shipment is not None and carrier is not None and shipment.label is not None:
            await give_back(self._database, carrier, CalledOff(row.id, row.order_id, row.return_id), shipment)
            return True
        async with self._database.statement() as connection:
            await (records.forget if known or row.last else records.looked)(connection, row.id)
        return False


async def give_back(database: Database, carrier: Carrier, of: CalledOff, shipment: Shipment) -> None:
    """Ask for the price of a label that nobody is to use, and write down what was bought, together with the answer.

    So the record never shows it as one to be used. A person is told where the carrier does not take it back. Raises
    ProviderError where he does not answer.
    """
    label, said = shipment.label, shipment.refund_status
    if label is None:
        raise ValueError("a label that was not bought cannot be given back")
    if said is None:
        try:
            said = (await carrier.void(shipment.reference)).refund_status or "submitted"
        except Rejected:
            said = "rejected"
    values = {"shipment": shipment.reference, **bought_columns(label, label.tracker), "void_status": said}
    async with database.transaction() as connection:
        await records.note(connection, of.id, values, return_id=of.return_id)
        await records.forget(connection, of.id)
        if said not in GIVEN_BACK:
            what = "A parcel" if of.return_id is None else "A return"
            reason = (
                f"{what} was called off while its label was being bought ({label.carrier} {label.tracking_code}), and "
                f"the carrier does not take that back: {said}. Nothing may travel under it. Skip: it is seen to."
            )
            name = derived_id(of.order_id, f"exception:called off:{of.id}")
            kind, facts = ExceptionKind.SHIPPED_AFTER_CANCEL, {"tracking_code": label.tracking_code}
            await open_about(connection, of.order_id, name, kind, reason, (Action.SKIP,), facts)


def bought_columns(label: Label, tracker: str | None) -> dict[str, Any]:
    """What the record of a parcel, or of a return's label, says of what was bought."""
    return {
        "carrier": label.carrier,
        "service": label.service,
        "price": label.price.minor,
        "currency": label.price.currency,
        "tracking_code": label.tracking_code,
        "tracking_url": label.tracking_url,
        "tracker": tracker,
        "label_url": label.url,
        "bought_at": datetime.now(UTC),
        "tracking_status": TrackingStatus.LABEL_CREATED.value,
    }
