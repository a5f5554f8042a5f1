"""Labels taken back: once the order is cancelled, no parcel of it may travel."""

from activities.shipments import Booked, Follow, Shipments, VoidLabel
from domain.exceptions import Action, ExceptionKind
from domain.shipments import SCANNED
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal
from workflows.orders.steps import keep_record


class Recall:
    """Gives labels back to the carrier."""

    def __init__(self, journal: Journal, desk: Desk, outside: Outside) -> None:
        self._journal = journal
        self._desk = desk
        self._outside = outside

    async def everything(self) -> None:
        """Every label that the order's record knows of, whichever run of the workflow bought it."""
        for parcel in await keep_record(Shipments.booked, self._journal.order.id, summary="Which labels are there?"):
            name = f"parcel {parcel.number}"
            if await self._void(parcel, name) == "rejected":
                await self._settle_scan(parcel, name)

    async def parcel(self, parcel_id: str) -> None:
        """The label of one parcel, if it may have one."""
        for parcel in await keep_record(Shipments.booked, self._journal.order.id, summary="Which labels are there?"):
            if parcel.parcel_id == parcel_id:
                await self._void(parcel, f"parcel {parcel.number}")

    async def fulfilment(self, fulfilment_id: str) -> bool:
        """Every label of one fulfilment; True if a parcel of it turns out to be the carrier's, so that it has left."""
        for parcel in await keep_record(Shipments.booked, self._journal.order.id, summary="Which labels are there?"):
            name = f"parcel {parcel.number}"
            if parcel.fulfilment_id != fulfilment_id:
                continue
            if await self._void(parcel, name) == "rejected" and await self._scanned(parcel, name):
                return True
        return False

    async def _void(self, parcel: Booked, name: str) -> str | None:
        """What the carrier says to the label's return; None if a person decides to leave it."""
        label = VoidLabel(parcel.parcel_id, parcel.provider, parcel.shipment)
        summary = f"Void the label of {name}"
        status = await self._desk.insist(
            lambda: self._outside.call(Shipments.void, label, summary=summary, on=Party.CARRIER),
            what=f"Voiding the label of {name}",
        )
        if status not in {None, "not_bought"}:
            self._journal.note("label_voided", f"The label of {name} was given back ({status}).")
        return status

    async def _settle_scan(self, parcel: Booked, name: str) -> None:
        """A label that was used already cannot be given back: a person has the parcel recalled."""
        if await self._scanned(parcel, name):
            reason = f"{name.capitalize()} was scanned by the carrier although the order is cancelled."
            await self._journal.ask(
                ExceptionKind.SHIPPED_AFTER_CANCEL,
                f"{reason} Have it recalled or sent back, then skip.",
                (Action.SKIP,),
                fulfilment_id=parcel.fulfilment_id,
            )

    async def _scanned(self, parcel: Booked, name: str) -> bool:
        if parcel.tracker is None:
            return False
        follow = Follow(parcel.parcel_id, parcel.provider, parcel.tracker)
        where = await self._outside.call(Shipments.track, follow, summary=f"Where is {name}?", on=Party.CARRIER)
        return not isinstance(where, Refusal) and where.status in SCANNED
