"""Labels of returns: bought once, whatever becomes of the answers, followed, and given back where nobody needs them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.called_off_labels import CalledOff, bought_columns, give_back
from activities.case_records import trouble, write
from activities.failures import provider_failures
from activities.orders import order_line
from activities.refunds import open_about
from activities.return_records import ReturnCase, find_case, move
from activities.returns import Outcome, Step
from db import catalogue, orders, restores
from db import return_labels as records
from db.base import Database
from domain.exceptions import Action, ExceptionKind
from domain.notifications import NoticeKind
from domain.orders import Address, derived_id
from domain.returns import GIVEN_UP, ON_THE_WAY, Deed, LabelState, ReturnStatus
from domain.shipments import (
    ENDING,
    GIVEN_BACK,
    SCANNED,
    Item,
    ParcelSize,
    Shipment,
    ShipmentRequest,
    TrackingStatus,
    cheapest,
    pack,
)
from integrations.carriers.carrier import Carrier

_MARGIN = timedelta(minutes=10)
_TROUBLE = ENDING - {TrackingStatus.DELIVERED}
_NOTHING_SOLD = "The label was given back at the carrier's."


@dataclass(frozen=True)
class LabelStep(Step):
    """Do something about a return's label with the carrier system ``provider``."""

    provider: str = ""


@dataclass(frozen=True)
class LabelOutcome:
    """Where the return stands, and why no label could be bought."""

    outcome: Outcome
    problem: str = ""


class ReturnLabels:
    """Buys, follows and gives back what returns travel under."""

    def __init__(self, database: Database, carriers: Mapping[str, Carrier]) -> None:
        self._database = database
        self._carriers = carriers

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them, for a worker."""
        return (self.book, self.refuse, self.void, self.track)

    @activity.defn(name="book_return_label")
    async def book(self, step: LabelStep) -> LabelOutcome:
        """Buy the return's label, from the cheapest carrier. What was created or bought before is found, and used."""
        carrier = self._carriers[step.provider]
        case = await self._case(step)
        if case.standing.deed is not Deed.LABEL:
            return LabelOutcome(Outcome(case.standing))
        label_id, shipment = await self._created(carrier, case, step.provider)
        if shipment.label is None:
            settled = await self._settled(carrier, label_id, shipment)
            if settled is None:
                return LabelOutcome(Outcome((await self._case(step)).standing))
            shipment = settled
        if shipment.refund_status in GIVEN_BACK:
            return LabelOutcome(Outcome(case.standing), _NOTHING_SOLD)
        if shipment.label is None:
            rate = cheapest(shipment.rates, max_days=None)
            if rate is None:
                told = "; ".join(shipment.messages) or "no carrier offers to bring it"
                return LabelOutcome(Outcome(case.standing), told)
            with provider_failures():
                shipment = await carrier.buy(shipment.reference, rate.reference)
        return LabelOutcome(await self._keep(carrier, step, label_id, shipment))

    @activity.defn(name="refuse_return_label")
    async def refuse(self, step: LabelStep) -> Outcome:
        """Have a person see to a return that has no label."""
        async with self._database.transaction() as connection:
            case = await find_case(connection, step.return_id, lock=True)
            if case.standing.deed is Deed.LABEL:
                reason = f"Return {case.row.number} has no label: {step.why}. Retry asks again; skip has the customer "
                reason += "send it himself."
                actions = (Action.RETRY, Action.SKIP)
                event = {"at": step.at, "actor": step.by, "entered": None}
                await trouble(connection, case, ExceptionKind.RETURN_LABEL_FAILED, reason, actions, event)
        return Outcome((await self._case(step)).standing)

    @activity.defn(name="void_return_label")
    async def void(self, step: LabelStep) -> Outcome:
        """Ask for the label's price back, after a look at what was bought; nothing where none was.

        What is just being bought by an attempt that stands still is looked for again later.
        """
        async with self._database.transaction() as connection:
            await records.call_off(connection, step.return_id)
            rows = await records.of_return(connection, step.return_id)
        said = [status for row in rows if (status := await self._given_back(row)) is not None]
        async with self._database.transaction() as connection:
            case = await find_case(connection, step.return_id, lock=True)
            if case.row.label != LabelState.UNWANTED:
                return Outcome(case.standing)
            text = f"Its label was given back: {said[0]}." if said else "No label had been bought."
            if case.status in GIVEN_UP and said and said[0] not in GIVEN_BACK:
                await _open_under_way(connection, case, said[0])
            event = {"key": "voided", "at": step.at, "kind": "voided", "text": text, "actor": step.by, "entered": None}
            after = LabelState.GIVEN_BACK if said else LabelState.NONE
            await write(connection, case, {"label": after.value}, event)
        return Outcome((await self._case(step)).standing)

    @activity.defn(name="track_return")
    async def track(self, step: LabelStep) -> Outcome:
        """Ask the carrier where the return is, and let it move on by that."""
        async with self._database.reading() as connection:
            label = await records.bought(connection, step.return_id)
        if label is None or label.tracker is None:
            return Outcome((await self._case(step)).standing)
        with provider_failures():
            tracking = await self._carriers[label.provider].track(label.tracker)
        async with self._database.transaction() as connection:
            case = await find_case(connection, step.return_id, lock=True)
            values = {"tracking_status": tracking.status.value, "tracking_url": tracking.url or label.tracking_url}
            await records.change(connection, label.id, values)
            event = {"at": step.at, "actor": "the carrier", "entered": None}
            if case.status is ReturnStatus.LABELLED and tracking.status in SCANNED:
                scanned = {**event, "key": "scanned", "kind": "scanned", "text": "The carrier has it."}
                await move(connection, case, ReturnStatus.IN_TRANSIT, scanned)
                case = await find_case(connection, step.return_id, lock=True)
            if case.status in ON_THE_WAY and tracking.status in _TROUBLE:
                reason = f"The carrier says of return {case.row.number}: {tracking.where.message or tracking.status}. "
                reason += "Retry waits on; skip takes what has not come for missing, and gives nothing back for it."
                actions = (Action.RETRY, Action.SKIP)
                await trouble(connection, case, ExceptionKind.RETURN_LOST, reason, actions, event)
        return Outcome((await self._case(step)).standing)

    async def _created(self, carrier: Carrier, case: ReturnCase, provider: str) -> tuple[str, Shipment]:
        """The shipment under which it travels, and our id of it: one that has a label before any other."""
        async with self._database.reading() as connection:
            earlier = await records.of_return(connection, case.row.id)
        for row in earlier:
            known = await self._looked_up(carrier, row)
            mine = row.attempt == case.row.label_attempt
            if known is not None and (mine or (known.label is not None and known.refund_status is None)):
                return row.id, known
        label_id = derived_id(case.row.id, f"label:{case.row.label_attempt}")
        request = await self._request(case, label_id)
        values = {"id": label_id, "return_id": case.row.id, "attempt": case.row.label_attempt, "provider": provider}
        async with self._database.transaction() as connection:
            await records.intend(connection, values)
            forgotten = await restores.forgotten_since(connection, case.row.created_at)
        with provider_failures():
            if forgotten is not None:  # this database, which was restored, may have known of a label
                made = await carrier.find(label_id, since=forgotten - _MARGIN)
                usable = [shipment for shipment in made if shipment.refund_status is None]
                if usable:
                    return label_id, next((s for s in usable if s.label is not None), usable[0])
            return label_id, await carrier.create(request)

    async def _settled(self, carrier: Carrier, label_id: str, made: Shipment) -> Shipment | None:
        """The one shipment that may be bought: of several attempts at once the first's, as it is with parcels.

        None where it was called off meanwhile.
        """
        rate = cheapest(made.rates, max_days=None)
        async with self._database.statement() as connection:
            stands = await records.settle_on(connection, label_id, made.reference, rate.reference if rate else None)
        if stands is None or stands == made.reference:
            return None if stands is None else made
        with provider_failures():
            return await carrier.retrieve(stands)

    async def _looked_up(self, carrier: Carrier, row: Row[Any]) -> Shipment | None:
        """What the carrier system knows of a label that was intended: the intent is written before every call."""
        with provider_failures():
            if row.shipment is not None:
                return await carrier.retrieve(row.shipment)
            made = await carrier.find(row.id, since=row.intended_at - _MARGIN)
        usable = [shipment for shipment in made if shipment.refund_status is None]
        return next((s for s in usable if s.label is not None), usable[0] if usable else None)

    async def _keep(self, carrier: Carrier, step: LabelStep, label_id: str, shipment: Shipment) -> Outcome:
        label = shipment.label
        if label is None:
            raise ValueError("a carrier's adapter answered a purchase without a label")
        with provider_failures():
            tracker = label.tracker or (await carrier.start_tracking(label.tracking_code, label.carrier)).tracker
        async with self._database.transaction() as connection:
            case = await find_case(connection, step.return_id, lock=True)
            wanted = case.status is ReturnStatus.APPROVED and case.row.label == LabelState.WANTED
            kept = wanted or await records.is_bought(connection, label_id)
            if kept:
                bought = {"shipment": shipment.reference, **bought_columns(label, tracker)}
                await records.change(connection, label_id, bought)
            if wanted:
                await records.call_off(connection, step.return_id, but=label_id)
                text = f"Its label was bought: {label.carrier} {label.service}, {label.price}."
                event = {"key": "labelled", "at": step.at, "kind": "labelled", "text": text, "actor": step.by}
                more: dict[str, Any] = {
                    "label": LabelState.BOUGHT.value,
                    "send_by": max(case.row.send_by, step.at + timedelta(days=case.rule.send_days)),
                }
                letter = NoticeKind.RETURN_APPROVED
                await move(connection, case, ReturnStatus.LABELLED, {**event, "entered": None}, letter=letter, **more)
        if not kept:  # the return wants no label any more, or has another attempt's
            of = CalledOff(label_id, case.row.order_id, step.return_id)
            with provider_failures():
                await give_back(self._database, carrier, of, shipment)
        return Outcome((await self._case(step)).standing)

    async def _given_back(self, row: Row[Any]) -> str | None:
        """Ask for one label's price back; what the carrier says to it, None where none was bought."""
        carrier = self._carriers[row.provider]
        shipment = await self._looked_up(carrier, row)
        if shipment is None or shipment.label is None:
            return None
        if shipment.refund_status is None:
            with provider_failures():
                shipment = await carrier.void(shipment.reference)
        status = shipment.refund_status or "submitted"
        async with self._database.statement() as connection:
            await records.change(connection, row.id, {"shipment": shipment.reference, "void_status": status})
        return status

    async def _request(self, case: ReturnCase, label_id: str) -> ShipmentRequest:
        """What the carrier is asked: the way there, which it turns round."""
        async with self._database.reading() as connection:
            order = await orders.find(connection, case.row.order_id)
            lines = [order_line(row) for row in await orders.lines(connection, case.row.order_id)]
            warehouse = (await catalogue.find_warehouses(connection, [case.row.warehouse]))[case.row.warehouse]
            units = {line.number: line for line in lines}
            packed = [
                (sku, count * back.quantity // units[back.number].quantity)
                for back in case.lines
                for sku, count in units[back.number].units.items()
            ]
            skus = await catalogue.find_skus(connection, [sku for sku, _ in packed])
        if order is None:
            raise LookupError("a return of an order without a record")
        size = pack([Item(sku, count, _size(skus[sku])) for sku, count in packed])
        sender, recipient = Address(**warehouse.address), Address(**order.shipping_address)
        return ShipmentRequest(label_id, sender, recipient, size, case.row.number, is_return=True)

    async def _case(self, step: Step) -> ReturnCase:
        async with self._database.reading() as connection:
            return await find_case(connection, step.return_id)


async def _open_under_way(connection: AsyncConnection, case: ReturnCase, said: str) -> None:
    """The carrier does not take the label back: what the customer was not to send may be under way."""
    reason = (
        f"Return {case.row.number} is {case.status}, and the carrier says of its label: {said}. It may be under way."
    )
    name = derived_id(case.row.id, "exception:under way")
    facts = {"return": case.row.id, "number": case.row.number}
    kind = ExceptionKind.SHIPPED_AFTER_CANCEL
    await open_about(connection, case.row.order_id, name, kind, f"{reason} Skip: it is seen to.", (Action.SKIP,), facts)


def _size(row: Any) -> ParcelSize:
    return ParcelSize(row.weight_grams, row.length_mm, row.width_mm, row.height_mm)
