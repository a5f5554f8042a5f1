"""An order is cancelled as its preview has shown it: what its workflow does then, and what everybody's books say."""

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import httpx2

from activities.cancellations import as_shown, kept_of, preview
from activities.changes import Changed
from activities.notifications import Notice, Notifications
from activities.orders import OrderRecords
from activities.projections import Projection
from activities.refund_grants import ask_to_pay, grant
from activities.rejections import standing
from activities.shipments import Book, Follow, Shipments, VoidLabel
from activities.stock import Release
from db import ledger, orders
from db import stock as stock_records
from db.stock import Change
from domain.cancellations import NOTHING_KEPT, Cancellation, CancelWish, Kept, ParcelEnd
from domain.changes.effects import Effects
from domain.changes.parcel import ShortShip, Split
from domain.changes.wish import Edits
from domain.errors import Conflict, WaybillError
from domain.ledger import EntryKind, LedgerEntry
from domain.money import Money
from domain.notifications import NoticeKind
from domain.orders import OrderStatus, PaymentSource, derived_id
from domain.payments import PaymentStatus
from domain.refunds import RefundRequest
from domain.stock import MovementKind, PlannedFulfilment
from domain.waiting import Party, Waiting
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.days.changing import Changing
from tests.activities.days.paying import Paying
from tests.activities.days.refunding import Refunding
from tests.activities.days.shop import Shop
from tests.activities.test_changes import shown as shown_change
from tests.activities.world import ADDRESS

VISA = "pm_card_visa"


@dataclass(frozen=True)
class Scene:
    """What has become of an order of three mugs and two tees before somebody cancels it."""

    method: str
    captured: str
    """of its money: `none`, `part` by a capture after which nothing left, or `all`"""
    credit: int
    """what of it a claim or an exchange of another order settles"""
    first: Edits | None
    """a change that was made, and paid where it cost more"""
    parcel: Split | ShortShip | None
    """what was done with its parcel"""
    second: Edits | None
    """a change that costs more"""
    becomes: str
    """of that: it is `asked` for, `held` and not made yet, or `made`"""
    refunds: tuple[tuple[int, bool], ...]
    """what was granted, and whether it is being paid"""
    labels: tuple[str, ...]
    """of each parcel: `none`, `bought` or `scanned`"""
    spare: int | None
    """units that the shelf has beyond what is reserved, by a count; None: plenty"""


@dataclass(frozen=True)
class Levels:
    """On hand and reserved, by SKU and warehouse."""

    on_hand: Counter[tuple[str, str]]
    reserved: Counter[tuple[str, str]]


class Cancelling(Paying, Refunding, Changing):
    """One order, brought where a scene wants it, previewed and cancelled."""

    def __init__(self, shop: Shop, notifications: Notifications, mailbox: httpx2.Client) -> None:
        super().__init__(shop)
        self._notifications, self._mailbox = notifications, mailbox
        url = f"{shop.sandbox.url}/easypost/v2"
        carrier = EasyPost(base_url=url, api_key="EZTKtest", webhook_secrets=["x" * 24], client=shop.client)
        self._shipments = Shipments(shop.database, {"easypost": carrier})

    def prepare(self, scene: Scene) -> None:
        """What cannot happen in it is passed over."""
        self.place(scene.method, several=scene.captured == "part")
        self.do(self._settle_by_credit(scene.credit))
        self.authorise_first(None, 1)
        if self.secured:
            self._change(scene.first, paid=True, made=True)
            self._do_with_parcel(scene.parcel)
            if scene.captured == "part":
                self.a_share_is_taken(None)
            if scene.captured == "all":
                self.it_captures(None, 0)
            self._change(scene.second, paid=scene.becomes != "asked", made=scene.becomes == "made")
            self.do(self._grant(scene.refunds))
            self.do(self._label(scene.labels))
        if scene.spare is not None:
            self.do(self._count(scene.spare))

    async def _settle_by_credit(self, credit: int) -> None:
        if credit:
            await self.world.execute("UPDATE orders SET credit = :c WHERE id = :id", c=credit, id=self.order)
            entry = LedgerEntry(
                f"credited:{self.order}", self.order, EntryKind.CREDITED, credit, "USD", "claim:x", actor="Ann"
            )
            async with self.database.transaction() as connection:
                await ledger.post(connection, [entry])

    def _change(self, edits: Edits | None, *, paid: bool, made: bool) -> None:
        if edits is None:
            return
        self.somebody_changes_it(edits, VISA, 1)
        if self.awaits is not None and paid:
            self.the_difference_is_paid(None, 1, made)

    def _do_with_parcel(self, edit: Split | ShortShip | None) -> None:
        if edit is None:
            return
        edits = Edits(parcel=replace(edit, fulfilment_id=derived_id(self.order, "fulfilment:1")))
        try:
            basis, _ = self.do(shown_change(self.world, self.order, edits))
        except WaybillError:
            return
        changed = self.do(self._apply(self._wish(edits, basis, PaymentSource("stripe", VISA))))
        assert isinstance(changed, Changed), changed

    async def _check_parcels(self, effects: Effects) -> None:
        query = "SELECT 1 FROM stock_waits WHERE order_id = :id"
        if not await self.world.rows(query, id=self.order):  # what is backordered is in no parcel
            await super()._check_parcels(effects)

    async def _grant(self, refunds: tuple[tuple[int, bool], ...]) -> None:
        for amount, paying in refunds:
            try:
                async with self.database.transaction() as connection:
                    request = RefundRequest(self.name(), "because", amount=amount)
                    row, _ = await grant(connection, self.order, request, actor="Ann")
            except Conflict:
                continue
            if paying:
                async with self.database.transaction() as connection:
                    await ask_to_pay(connection, row.id, actor="Ann")

    async def _label(self, labels: tuple[str, ...]) -> None:
        async with self.database.reading() as connection:
            ships = await standing(connection, self.order)
        for planned, state in zip(ships, labels, strict=False):
            if state != "none":
                await self._book(planned, scanned=state == "scanned")

    async def _book(self, planned: PlannedFulfilment, *, scanned: bool) -> None:
        parcel = derived_id(planned.id, "parcel:1")
        step = Book(
            *(parcel, planned.id, "WB-1", 1, "easypost", planned.warehouse, ADDRESS, planned.allocations),
            *(datetime.now(UTC), None),
        )
        bought = (await self._shipments.book(step)).bought
        assert bought is not None
        await self.world.execute("UPDATE fulfilments SET status = 'labelled' WHERE id = :id", id=planned.id)
        if scanned:
            path = f"easypost/trackers/{bought.tracking_code}/advance"
            self.shop.sandbox.control(path, {"steps": 2})
            await self._shipments.track(Follow(parcel, "easypost", bought.tracker))

    async def _count(self, spare: int) -> None:
        async with self.database.transaction() as connection:
            [level] = await stock_records.lock(connection, [("MUG", "EDI")])
            less = level.reserved + spare - level.on_hand
            counted = Change("count", "MUG", "EDI", MovementKind.COUNTED, less, 0, "count", "a clerk")
            await stock_records.move(connection, [counted])

    # --- what is shown, and what is done -----------------------------------------------------------------------------

    def shown(self, wish: CancelWish) -> tuple[Cancellation, tuple[Kept, ...]]:
        """The preview, and what the web process tells the order to keep. Raises Conflict."""

        async def look() -> tuple[Cancellation, tuple[Kept, ...]]:
            async with self.database.reading() as connection:
                row = await orders.find(connection, self.order)
                assert row is not None
                basis, found = await preview(connection, row, wish, at=datetime.now(UTC))
                kept = () if wish.refund is None else await kept_of(connection, row, wish)
                told = await as_shown(connection, row, wish, basis.token, now=datetime.now(UTC))
                assert told.moved == ""
                return found, kept

        return self.do(look())

    def cancel(self, wish: CancelWish, kept: tuple[Kept, ...]) -> None:
        """What the order's workflow does: a change that waits goes first, then labels, money, units, the letter."""
        if self.awaits is not None:
            self.it_is_given_up(None, 1)
        self.do(self.stand(OrderStatus.CANCELLING))
        self.do(self._void_labels())
        by_change = {one.change_id: one for one in kept}
        total = sum(self._take_back_but(change, by_change.get(change, NOTHING_KEPT)) for change in list(self.states))
        self.do(self._end(wish, total))

    async def _void_labels(self) -> None:
        for parcel in await self._shipments.booked(self.order):
            await self._shipments.void(VoidLabel(parcel.parcel_id, parcel.provider, parcel.shipment))

    def _take_back_but(self, change: str | None, kept: Kept) -> int:
        """What is kept of a hold is captured; a refund leaves what is kept of what was taken."""
        state, keep = self.states[change], kept.amount
        if state.status is PaymentStatus.CANCELLED:
            return 0
        taking = lambda step: self.shop.payments().capture(step)  # noqa: E731
        if kept.more and state.status is not PaymentStatus.CAPTURED:
            took = self.insist("capture", taking, change, amount=Money(kept.more, "USD"))
            assert took.captured.minor == state.captured.minor + kept.more
            return keep
        if state.captured.minor and state.status is not PaymentStatus.CAPTURED:
            self.states[change] = self.insist("capture", taking, change, amount=Money(0, "USD"))
        back = self.insist("void", lambda step: self.shop.payments().void(step), change)
        if back is None or back.status is not PaymentStatus.CAPTURED:
            return 0
        if back.refunded < back.captured:
            rest = back.captured - back.refunded
            refund = lambda step: self.shop.payments().refund(replace(step, keep=keep))  # noqa: E731
            self.insist("refund", refund, change, amount=rest)
        return keep

    async def _end(self, wish: CancelWish, kept: int) -> None:
        for _ in range(2):
            release = Release(self.order, "the order was cancelled", restock=wish.restock, by="Ann")
            await self.shop.stock.release(release)
        now, revision = datetime.now(UTC), int(datetime.now(UTC).timestamp() * 1_000_000)
        waiting = Waiting("Cancelled", Party.NOBODY, now)
        ended = Projection(self.order, revision, OrderStatus.CANCELLED, waiting, closed_at=now, kept=kept)
        await OrderRecords(self.database).record(ended)
        if wish.tell_customer:
            await self._notifications.notify(Notice(self.order, NoticeKind.CANCELLED, kept=kept))

    # --- everybody's books -------------------------------------------------------------------------------------------

    def levels(self) -> Levels:
        """What is on the shelves."""
        rows = self.do(self.world.rows("SELECT sku, warehouse, on_hand, reserved FROM stock_levels"))
        return Levels(
            Counter({(row.sku, row.warehouse): row.on_hand for row in rows}),
            Counter({(row.sku, row.warehouse): row.reserved for row in rows}),
        )

    def labels(self) -> dict[str, str | None]:
        """The carrier's labels: what it says to their return, by our id of the parcel."""
        found: list[dict[str, Any]] = self.shop.sandbox.view("books/easypost_shipment")["data"]
        return {one["reference"]: one["refund_status"] for one in found if one["postage_label"]}

    def cost(self) -> int:
        """What the order comes to beyond what a credit settles, and what has been given back of it, in cents."""
        row = self.do(self.world.row("SELECT total, credit FROM orders WHERE id = :id", id=self.order))
        return int(row.total) - (row.credit or 0) - self.books().refunded - self.paying()

    def paying(self) -> int:
        """Refunds that are on their way to the provider, in cents."""
        query = "SELECT coalesce(sum(amount), 0)::bigint AS n FROM refunds WHERE order_id = :id AND status = 'paying'"
        return int(self.do(self.world.row(query, id=self.order)).n)

    def letters(self) -> list[str]:
        """The mail server's, by subject."""
        return [mail["subject"] for mail in self._mailbox.get("/api/messages").json()["messages"]]

    def parcels_of(self, shown: Cancellation, becomes: ParcelEnd) -> set[str]:
        """The parcels for which a preview says that."""
        return {derived_id(one.fulfilment_id, "parcel:1") for one in shown.parcels if one.becomes is becomes}
