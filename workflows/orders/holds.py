"""Holds of an order: what stands between it and its next irrevocable step."""

from dataclasses import replace
from datetime import datetime

from temporalio import workflow

from activities.projections import Agreed
from activities.shipments import Shipments, VerifyAddress
from domain.exceptions import Action, ExceptionKind
from domain.holds import Hold, HoldReason, ReleaseHold
from domain.inbox import Wake
from domain.orders import derived_id
from domain.stock import PlannedFulfilment
from domain.waiting import Party
from workflows.orders.journal import Journal
from workflows.orders.labelling import CARRIER_SYSTEM
from workflows.orders.outside import Outside, Refusal


class Holds:
    """Knows which holds stand. One whose time has come stands no more, whether anybody looked or not."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._standing = {hold.id: hold for hold in journal.order.holds}
        self._said: dict[str, list[Hold]] = {}
        for hold in journal.order.holds:
            journal.show(f"Held: {hold.words}.")

    @property
    def marks(self) -> tuple[str, ...]:
        """The marks of those that stand now."""
        now = self._journal.now
        return tuple(sorted(hold.mark for hold in self._standing.values() if hold.stands(now)))

    def over(self, fulfilment_id: str) -> list[Hold]:
        """The holds that stop a fulfilment now, oldest first."""
        now = self._journal.now
        return [hold for hold in self._standing.values() if hold.concerns(fulfilment_id) and hold.stands(now)]

    def first_to_end(self, fulfilment_id: str) -> datetime | None:
        """When the next one of a fulfilment's holds releases itself."""
        return min((hold.until for hold in self.over(fulfilment_id) if hold.until is not None), default=None)

    async def check_address(self, outside: Outside, *, anew: str = "") -> None:
        """Where the rules want it: hold the order if the carrier does not know the address, or cannot be asked.

        ``anew`` names the change that made it another address: a hold on it is another hold.
        """
        hold = self._journal.order.address_hold
        if hold is None:
            return
        ask = VerifyAddress(CARRIER_SYSTEM, self._journal.order.request.shipping_address)
        summary = "Does the carrier know the address?"
        answer = await outside.call(Shipments.verify_address, ask, summary=summary, on=Party.CARRIER)
        problem = answer.reason if isinstance(answer, Refusal) else answer.problem
        if problem is not None:
            name = derived_id(hold.id, anew) if anew else hold.id
            self.place(replace(hold, id=name, at=workflow.now(), note=f"the address was not verified: {problem}"))

    def wait_on(self, fulfilment_id: str, name: str) -> bool:
        """Say which holds stop a fulfilment that can go no further; False if none does."""
        holds = self._said[fulfilment_id] = self.over(fulfilment_id)
        if holds:
            until = self.first_to_end(fulfilment_id)
            then = "it releases itself" if until else None
            what = f"the release of the {listed(holds)} on {name}"
            self._journal.wait_for(what, Party.OPERATOR, until=until, then=then, part=fulfilment_id)
        return bool(holds)

    def changed(self, fulfilment_id: str) -> bool:
        """Whether other holds stop a fulfilment than `wait_on` has said."""
        return self.over(fulfilment_id) != self._said.get(fulfilment_id, [])

    def place(self, hold: Hold) -> None:
        """Hold the order, or a fulfilment of it. Placing the same hold twice is placing it once."""
        if hold.id in self._standing:
            return
        self._standing[hold.id] = hold = replace(hold, shown=None)
        self._journal.held(hold)

    def stop_after(self, stray: Wake) -> None:
        """Goods may be on their way under a label that was given back: nothing leaves before somebody has looked."""
        note = f"parcel {stray.stray} was scanned although its label was given back"
        name = derived_id(stray.parcel_id or "", "stray")
        self.place(Hold(name, HoldReason.OPERATOR, "waybill", workflow.now(), note))

    def agree(self, release: ReleaseHold) -> None:
        """Take somebody's agreement to a release; the hold is let go once enough people agree."""
        hold = self._standing[release.hold_id]
        agreed = replace(hold, approved_by=(*hold.approved_by, release.by))
        missing = hold.approvals - len(agreed.approved_by)
        note = f": {release.note}" if release.note else "."
        if missing > 0:
            self._standing[hold.id] = agreed
            text = f"Agreed to release the {hold.words}{note} It takes {missing} more."
        else:
            del self._standing[hold.id]
            text = f"Released the {hold.words}{note}"
        self._journal.agreed(Agreed(hold.id, release.by, release.note, workflow.now(), missing <= 0), text)

    def refusal(self, release: ReleaseHold) -> str | None:
        """Why a release cannot be taken; None if it can."""
        hold = self._standing.get(release.hold_id)
        if hold is None or not hold.stands(workflow.now()):
            return "The hold has been released already."
        if release.by in hold.approved_by:
            return "You have agreed already; this hold takes the agreement of another person."
        return None

    async def overtaken(self, left: PlannedFulfilment, holds: list[Hold]) -> None:
        """The carrier has what somebody wanted kept: a person decides whether it is called back."""
        reason = f"Parcel {left.number} has left in spite of the {listed(holds)}. Have it stopped, or skip."
        await self._journal.ask(ExceptionKind.SHIPPED_ON_HOLD, reason, (Action.SKIP,), fulfilment_id=left.id)

    def end(self) -> None:
        """The order ends: nothing is left to be held."""
        for hold in list(self._standing.values()):
            del self._standing[hold.id]
            agreed = Agreed(hold.id, "waybill", "the order has ended", workflow.now(), released=True)
            self._journal.agreed(agreed, f"The {hold.words} ended with the order.")


def listed(holds: list[Hold]) -> str:
    """Holds as people name them."""
    return " and the ".join(hold.words for hold in holds)
