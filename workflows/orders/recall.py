"""What was booked is taken back: once the order is cancelled, no parcel of it may travel."""

from datetime import timedelta

from temporalio import workflow

from activities.portal_records import PortalRecords, Withdraw
from activities.portals import AskPortal, PortalOutcome, Portals
from activities.shipments import Booked, Follow, Shipments, VoidLabel
from domain.exceptions import Action, ExceptionKind
from domain.shipments import SCANNED
from domain.waiting import Party
from workflows.orders.desk import Desk
from workflows.orders.journal import Journal
from workflows.orders.outside import Outside, Refusal
from workflows.orders.portal_calls import Errand, PortalCalls
from workflows.orders.steps import keep_record

_PATIENCE = timedelta(hours=1)
"""how long a portal may be closed or paused before a person is asked to cancel in another way"""


class Recall:
    """Gives labels back to the carrier, and cancels what is ordered with suppliers."""

    def __init__(self, journal: Journal, desk: Desk, outside: Outside, calls: PortalCalls) -> None:
        self._journal = journal
        self._desk = desk
        self._outside = outside
        self._calls = calls

    async def everything(self) -> None:
        """Every label and order that the record knows of, whichever run of the workflow made it."""
        for parcel in await self._booked():
            name = f"parcel {parcel.number}"
            if parcel.portal is not None:
                while (why := await self._withdraw(parcel, name, parcel.portal)) is not None:
                    if await self._ask_about_supplier(parcel, why) is Action.SKIP:
                        break
            elif await self._void(parcel, name) == "rejected":
                await self._settle_scan(parcel, name)

    async def parcel(self, parcel_id: str) -> None:
        """The label of one parcel, if it may have one."""
        for parcel in await self._booked():
            if parcel.parcel_id == parcel_id:
                await self._void(parcel, f"parcel {parcel.number}")

    async def fulfilment(self, fulfilment_id: str) -> str | None:
        """Every label or order of one fulfilment; why not, where a parcel of it turns out to have left."""
        for parcel in await self._booked():
            name = f"parcel {parcel.number}"
            if parcel.fulfilment_id != fulfilment_id:
                continue
            if parcel.portal is not None:
                if (why := await self._withdraw(parcel, name, parcel.portal)) is not None:
                    return why
            elif await self._void(parcel, name) == "rejected" and await self._scanned(parcel, name):
                return f"The carrier has {name} already; it has left."
        return None

    async def _booked(self) -> list[Booked]:
        booked: list[Booked] = await keep_record(
            Shipments.booked, self._journal.order.id, summary="Which labels are there?"
        )
        return booked

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

    async def _withdraw(self, parcel: Booked, name: str, portal: str) -> str | None:
        """Cancel what is ordered with a supplier, if it is; why not, where the supplier does not."""
        step = Withdraw(portal, parcel.fulfilment_id, parcel.shipment)
        if await keep_record(PortalRecords.withdraw, step, summary=f"Was {name} ever ordered at {portal}?"):
            return None
        ask = AskPortal(portal, parcel.fulfilment_id, parcel.shipment)
        errand = Errand(portal, parcel.fulfilment_id, name)
        give_up_at = workflow.now() + _PATIENCE

        async def cancel() -> str | Refusal:
            answer = await self._calls.call(
                Portals.cancel, ask, errand, summary=f"Cancel {name} at {portal}", give_up_at=give_up_at
            )
            if answer is None or isinstance(answer, Refusal):
                return answer or Refusal("Broken", "it was broken off")
            if answer.outcome is PortalOutcome.REFUSED:
                return f"{portal} does not cancel {name} any more: {answer.reason.rstrip('.')}."
            return ""

        refused = await self._desk.insist(cancel, what=f"Cancelling {name} at {portal}")
        self._journal.no_longer_waits(parcel.fulfilment_id)
        if refused:
            return refused
        text = f"{name.capitalize()} was cancelled at {portal}."
        if refused is None:  # a person has seen to it
            settled = Withdraw(portal, parcel.fulfilment_id, parcel.shipment, settled=True)
            await keep_record(PortalRecords.withdraw, settled, summary=f"{name} was cancelled by hand")
            text = f"{name.capitalize()} was cancelled with the supplier by hand."
        self._journal.note("order_withdrawn", text)
        return None

    async def _ask_about_supplier(self, parcel: Booked, why: str) -> Action | None:
        """A supplier who has begun cannot be stopped by his portal: a person speaks to him."""
        return await self._journal.ask(
            ExceptionKind.SHIPPED_AFTER_CANCEL,
            f"The order is cancelled, and {why} Have it stopped or sent back, then skip; retry asks the portal again.",
            (Action.RETRY, Action.SKIP),
            fulfilment_id=parcel.fulfilment_id,
        )
