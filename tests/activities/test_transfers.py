"""Transfers' steps: each is made whole and once, wherever the worker is killed, and however often it is asked."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.stock import StockKeeper
from activities.stock_check import CheckAfter, StockCheck
from activities.stock_entries import enter
from activities.stock_news import StockLinks, StockNews
from activities.sweep import Sweep
from activities.transfers import Cancel, Expect, Outcome, Receive, Send, Step, Transfers, open_transfer, standing_of
from db import transfers as records
from db.base import Database
from domain.errors import NotEnoughUnits, Unavailable
from domain.stock_entries import Entry, EntryKind, EntryLine
from domain.transfers import (
    Arrived,
    Discrepancy,
    DiscrepancyReason,
    OpenTransfer,
    Receipt,
    Rest,
    TransferLine,
    TransferStatus,
    transfer_id,
)
from templates.render import Templates
from tests.activities.killing import Killed, killed_at
from tests.activities.test_stock_watch import Ears
from tests.activities.world import World, reserve_for

NOW = datetime.now(UTC)
_LEVELS = "SELECT sku, warehouse, on_hand, reserved, damaged, incoming FROM stock_levels ORDER BY 1, 2"


@pytest.fixture
def transfers(database: Database) -> Transfers:
    return Transfers(database)


async def draft(world: World, *wanted: tuple[str, int], reference: str = "1", **more: Any) -> str:
    """A transfer from Edison to Reno; its id."""
    lines = [TransferLine(n, sku, units) for n, (sku, units) in enumerate(wanted or (("MUG", 4),), start=1)]
    row = {
        "id": transfer_id(reference),
        "number": f"TR-{reference}",
        "reference": reference,
        "body_hash": "0" * 64,
        "source": "EDI",
        "destination": "RNO",
        "status": "draft",
        "since": NOW,
        "waiting": {},
        "note": "",
        "created_by": "a test",
        "created_at": NOW - timedelta(minutes=1),
        **more,
    }
    first = {"key": "draft", "at": NOW, "kind": "draft", "text": "Drafted.", "actor": "a test", "entered": None}
    async with world.database.transaction() as connection:
        assert await records.add(connection, row, lines, first)
    return transfer_id(reference)


def step(transfer: str) -> Step:
    return Step(transfer, NOW, "Ann")


async def sent(world: World, transfers: Transfers, *wanted: tuple[str, int], reference: str = "1") -> str:
    """A transfer that has left."""
    transfer = await draft(world, *wanted, reference=reference)
    assert (await transfers.hold(step(transfer))).refusal is None
    await transfers.send(Send(transfer, NOW, "Ann"))
    return transfer


def found(transfer: str, *lines: tuple[str, int], reference: str = "r", also: tuple[Discrepancy, ...] = ()) -> Receive:
    return Receive(transfer, NOW, Receipt(reference, "Bob", tuple(Arrived(*line) for line in lines), also))


async def levels(world: World) -> dict[tuple[str, str], tuple[int, ...]]:
    return {(r.sku, r.warehouse): (r.on_hand, r.reserved, r.damaged, r.incoming) for r in await world.rows(_LEVELS)}


async def books_agree(world: World) -> None:
    assert (await StockCheck(world.database).check(CheckAfter())).drifts == 0


LOST = Discrepancy("MUG", DiscrepancyReason.MISSING, 1, "seal broken")
CRUSHED = Discrepancy("MUG", DiscrepancyReason.DAMAGED, 1)
SWAPPED = Discrepancy("TEE", DiscrepancyReason.WRONG_ITEM, 2, instead="BAG")
MORE = Discrepancy("TEE", DiscrepancyReason.EXTRA, 5)
GOODS = (("MUG", 4), ("TEE", 3))

Act = Callable[[Transfers, str], Awaitable[Outcome]]
STEPS: dict[str, tuple[tuple[str, ...], Act]] = {
    "hold": ((), lambda t, oid: t.hold(step(oid))),
    "send": (("hold",), lambda t, oid: t.send(Send(oid, NOW, "Ann"))),
    "receive": (
        ("hold", "send"),
        lambda t, oid: t.receive(found(oid, ("MUG", 2), ("TEE", 1), also=(LOST, CRUSHED, SWAPPED, MORE))),
    ),
    "restock": (("hold", "send"), lambda t, oid: t.cancel(Cancel(oid, NOW, "Ann", "lorry", Rest.RESTOCK))),
    "write_off": (("hold", "send"), lambda t, oid: t.cancel(Cancel(oid, NOW, "Ann", "stolen", Rest.WRITE_OFF))),
    "release": (("hold",), lambda t, oid: t.cancel(Cancel(oid, NOW, "Ann"))),
    "late": (("hold", "send"), lambda t, oid: t.tell_late(Step(oid, NOW + timedelta(days=8), "waybill"))),
}


async def _outcome(world: World, transfers: Transfers, name: str, at: int) -> tuple[Any, int]:
    """What the books say after a step that is killed before its ``at``-th statement and then made again, twice."""
    reference = f"{name}-{at}"
    transfer = await draft(world, *GOODS, reference=reference)
    before, act = STEPS[name]
    for earlier in before:
        await STEPS[earlier][1](transfers, transfer)
    levels_before = await levels(world)
    with killed_at(world.database, at) as seen:
        try:
            await act(transfers, transfer)
        except Killed:
            if "COMMIT" not in seen[:-1]:
                assert await levels(world) == levels_before
    reached = len(seen)
    first = await act(transfers, transfer)
    assert await act(transfers, transfer) == first
    moved = await world.rows(
        "SELECT sku, warehouse, kind, on_hand_change, reserved_change, damaged_change, incoming_change FROM movements "
        "WHERE cause = :cause ORDER BY key",
        cause=f"transfer:{transfer}",
    )
    lines = await world.rows("SELECT * FROM transfer_lines WHERE transfer_id = :id ORDER BY number", id=transfer)
    told = await world.rows("SELECT key FROM transfer_events WHERE transfer_id = :id ORDER BY key", id=transfer)
    alerts = await world.rows("SELECT kind FROM stock_alerts WHERE transfer_id = :id", id=transfer)
    return ([tuple(m) for m in moved], [tuple(r)[1:] for r in lines], [tuple(t) for t in told], len(alerts)), reached


@pytest.mark.parametrize("name", STEPS)
async def test_a_step_is_made_once_wherever_the_worker_is_killed(world: World, transfers: Transfers, name: str) -> None:
    await world.receive("MUG", "EDI", 1000)
    await world.receive("TEE", "EDI", 1000)
    whole, statements = await _outcome(world, transfers, name, 0)
    assert statements > 5
    for at in range(1, statements + 1):
        assert (await _outcome(world, transfers, name, at))[0] == whole, f"killed at statement {at}"
    await books_agree(world)


async def test_what_arrives_is_booked_line_by_line_as_it_was_found(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 10)
    await world.receive("TEE", "EDI", 10)
    transfer = await sent(world, transfers, *GOODS)
    assert await levels(world) == {
        ("MUG", "EDI"): (6, 0, 0, 0),
        ("MUG", "RNO"): (0, 0, 0, 4),
        ("TEE", "EDI"): (7, 0, 0, 0),
        ("TEE", "RNO"): (0, 0, 0, 3),
    }
    outcome = await transfers.receive(found(transfer, ("MUG", 2), ("TEE", 1), also=(LOST, CRUSHED, SWAPPED, MORE)))
    assert (outcome.standing.status, outcome.refusal) == (TransferStatus.RECEIVED, None)
    after = await levels(world)
    assert after[("MUG", "RNO")] == (3, 0, 1, 0)  # two whole and a damaged one; one is missing
    assert after[("TEE", "RNO")] == (6, 0, 0, 0)  # one, and five beyond what was sent
    assert after[("BAG", "RNO")] == (2, 0, 0, 0)  # came in place of two tees
    reasons = await world.rows("SELECT reason FROM movements WHERE kind = 'written_off' ORDER BY reason")
    assert [row.reason for row in reasons] == ["missing: seal broken", "wrong_item"]
    await books_agree(world)


async def test_two_receipts_at_once_do_not_both_take_the_last_units(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await sent(world, transfers)
    outcomes = await asyncio.gather(
        *(transfers.receive(found(transfer, ("MUG", 3), reference=str(n))) for n in range(3))
    )
    refused = [outcome.refusal for outcome in outcomes if outcome.refusal]
    assert [refusal.code for refusal in refused] == ["more_than_sent"] * 2
    assert (await levels(world))[("MUG", "RNO")] == (3, 0, 0, 1)


async def test_a_receipt_counts_once_for_its_reference(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await sent(world, transfers)
    await asyncio.gather(*(transfers.receive(found(transfer, ("MUG", 2))) for _ in range(4)))
    assert (await levels(world))[("MUG", "RNO")] == (2, 0, 0, 2)
    other = await transfers.receive(found(transfer, ("MUG", 1)))
    assert other.refusal is not None
    assert (other.refusal.code, other.refusal.field) == ("idempotency_key_reused", "reference")


async def test_an_order_and_a_transfer_for_the_last_units_do_not_both_get_them(
    world: World, transfers: Transfers
) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer, order = await draft(world), await world.order("1", ("MUG", 4))
    outcome, plan = await asyncio.gather(
        transfers.hold(step(transfer)), StockKeeper(world.database).reserve(reserve_for(order, ("MUG", 4)))
    )
    assert (outcome.refusal is None) != bool(plan.allocations)
    assert await world.level("MUG", "EDI") == (4, 4)


async def test_safety_stock_stays_where_it_is(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 5)
    await world.execute("UPDATE stock_levels SET safety_stock = 2")
    refusal = (await transfers.hold(step(await draft(world)))).refusal
    assert refusal is not None
    assert refusal.faults == (("lines[0]", "MUG at EDI: 3 are available, 4 are to leave."),)


async def test_announcements_do_not_take_what_a_transfer_brings(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    await sent(world, transfers)

    async def entered(kind: EntryKind, units: int, *, announced: bool = False) -> None:
        line = EntryLine("MUG", units, announced=announced)
        async with world.database.transaction() as connection:
            await enter(connection, Entry(kind, "RNO", f"{kind}{units}", "because", "Ann", (line,)))

    with pytest.raises(NotEnoughUnits, match="0 are announced"):
        await entered(EntryKind.ANNOUNCEMENT, -1)
    await entered(EntryKind.ANNOUNCEMENT, 3)
    await entered(EntryKind.RECEIPT, 5, announced=True)
    assert (await levels(world))[("MUG", "RNO")] == (5, 0, 0, 4)
    await books_agree(world)


async def test_a_step_out_of_turn_is_refused_and_changes_nothing(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await draft(world)
    codes = [
        (await act).refusal
        for act in (
            transfers.send(Send(transfer, NOW, "Ann")),
            transfers.receive(found(transfer, ("MUG", 1))),
        )
    ]
    assert [refusal and refusal.code for refusal in codes] == ["conflict", "conflict"]
    await transfers.cancel(Cancel(transfer, NOW, "Ann"))
    late = await transfers.hold(step(transfer))
    assert late.refusal is not None
    assert late.refusal.code == "too_late"
    again = await transfers.expect(Expect(transfer, NOW, "Ann", NOW))
    assert again.refusal is not None
    assert await levels(world) == {("MUG", "EDI"): (4, 0, 0, 0)}


async def test_what_is_on_the_way_is_cancelled_only_where_somebody_says_what_becomes_of_it(
    world: World, transfers: Transfers
) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await sent(world, transfers)
    await transfers.receive(found(transfer, ("MUG", 1)))
    refusal = (await transfers.cancel(Cancel(transfer, NOW, "Ann"))).refusal
    assert refusal is not None
    assert (refusal.code, refusal.field) == ("conflict", "units")
    await transfers.cancel(Cancel(transfer, NOW, "Ann", "came back", Rest.RESTOCK))
    assert await levels(world) == {("MUG", "EDI"): (3, 0, 0, 0), ("MUG", "RNO"): (1, 0, 0, 0)}
    await books_agree(world)


async def test_goods_that_stand_ready_for_a_week_are_told_once(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await draft(world)
    await transfers.hold(step(transfer))
    early, late = (Step(transfer, NOW + timedelta(days=days), "waybill") for days in (6, 7))
    assert not (await transfers.tell_late(early)).standing.late
    assert (await transfers.tell_late(late)).standing.late
    ears = Ears()
    links = StockLinks(
        alert=lambda a: f"http://shop/alerts/{a}", transfer=lambda t: f"http://shop/t/{t}", movements=lambda s, w: s + w
    )
    news = StockNews(
        world.database,
        ears,
        Templates(),
        links,
        shop_name="Shop",
        mail_domain="shop.example",
        operators="o@shop.example",
    )
    for _ in range(2):
        await news.tell()
    (mail,) = ears.mails
    assert mail.subject == "A transfer waits too long: TR-1 from EDI to RNO"
    assert "it keeps 4 units from sale" in mail.text
    assert f"http://shop/t/{transfer}" in mail.text
    await transfers.send(Send(transfer, NOW, "Ann"))
    (alert,) = await world.rows("SELECT status FROM stock_alerts")
    assert alert.status == "resolved"


async def test_the_check_finds_lines_of_transfers_that_were_edited_by_hand(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 8)
    await sent(world, transfers)
    await books_agree(world)
    await world.execute("UPDATE transfer_lines SET received = 1")
    check = StockCheck(world.database)
    assert (await check.check(CheckAfter())).drifts == 1
    (alert,) = await world.rows("SELECT reason FROM stock_alerts WHERE kind = 'drift'")
    assert "open transfers bring 3, their movements say 4" in alert.reason
    await world.execute("UPDATE transfer_lines SET received = 0")
    await books_agree(world)
    held = await draft(world, reference="held")
    await transfers.hold(step(held))
    await books_agree(world)
    await world.execute("UPDATE transfer_lines SET held = 1 WHERE held > 0")
    assert (await check.check(CheckAfter())).drifts == 1


class Temporal:
    """Temporal, as far as the sweep can tell."""

    def __init__(self) -> None:
        self.running: set[str] = set()
        self.away = False

    async def start(self, transfer: OpenTransfer) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer right now.")
        self.running.add(transfer.id)

    async def runs(self, transfer_id: str) -> bool:
        return transfer_id in self.running


async def test_what_was_not_started_is_started_and_what_was_ended_is_taken_up_again(world: World) -> None:
    transfer = await draft(world)
    temporal = Temporal()
    temporal.away = True
    sweep = Sweep(world.database, temporal, records.CASES, open_transfer, noun="transfer")
    with pytest.raises(Unavailable):
        await sweep.start_accepted()
    temporal.away = False
    assert [await sweep.start_accepted() for _ in range(2)] == [1, 0]
    assert temporal.running == {transfer}
    temporal.running.clear()
    await world.execute("UPDATE transfers SET started_at = now() - interval '2 minutes'")
    await sweep.call_roll()
    assert temporal.running == {transfer}


async def test_the_record_waits_as_the_workflow_does(world: World, transfers: Transfers) -> None:
    await world.receive("MUG", "EDI", 4)
    transfer = await draft(world)
    for act in (
        transfers.hold(step(transfer)),
        transfers.send(Send(transfer, NOW, "Ann", NOW + timedelta(days=1))),
        transfers.receive(found(transfer, ("MUG", 1))),
        transfers.tell_late(Step(transfer, NOW + timedelta(days=2), "waybill")),
        transfers.receive(found(transfer, ("MUG", 3), reference="rest")),
    ):
        standing = (await act).standing
        row = await world.row("SELECT * FROM transfers")
        async with world.database.reading() as connection:
            lines = await records.lines(connection, transfer)
        assert standing_of(dict(row._mapping), lines) == standing
        assert row.waiting["sentence"] == standing.waiting.sentence
