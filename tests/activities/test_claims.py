"""Steps of claims and exchanges over a real database: one order and one refund, wherever the worker is killed."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.case_steps import CaseStep, DecideCase
from activities.claim_requests import claim
from activities.claims import ApproveClaim, Claims
from activities.exchange_requests import exchange
from activities.exchanges import Exchanges
from activities.refund_grants import ask_to_pay, grant, grant_by_hand
from activities.return_requests import ask
from activities.returns import Inspect, Receive, Returns, Step
from db import ledger
from domain.claims import ClaimApproval, ClaimedLine, ClaimKind, ClaimRequest, ClaimStatus, Remedy
from domain.errors import MoreThanDelivered, MoreThanShipped, RefundTooLarge, UnitsReplaced
from domain.exceptions import Action
from domain.exchanges import ExchangeRequest, ExchangeStatus, Ships
from domain.ledger import EntryKind, LedgerEntry
from domain.orders import Line, PaymentSource, derived_id
from domain.refunds import RefundLine, RefundRequest
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.return_units import Arrived, Condition, Inspected, Inspection, ReturnReceipt
from tests.activities.killing import Killed, killed_at
from tests.activities.world import World

AT = datetime.now(UTC)
CARD = PaymentSource("stripe", method="pm_card_visa")
BOOKS = (
    "SELECT count(*) AS n, sum(total) AS total, sum(credit) AS credit FROM orders WHERE origin IS NOT NULL",
    "SELECT kind, cause LIKE 'claim:%' OR cause LIKE 'exchange:%' AS ours, amount FROM ledger "
    "WHERE kind = 'credited' ORDER BY kind, amount",
    "SELECT status, amount, credited FROM refunds ORDER BY amount",
    "SELECT key, text <> '' FROM claim_events UNION ALL SELECT key, text <> '' FROM exchange_events ORDER BY 1",
)


async def served(world: World, reference: str = "1", units: int = 2) -> str:
    """An order of mugs at 15.00 that have arrived, and whose money was captured."""
    order, _ = await world.paid_order(reference, ("MUG", units))
    await world.execute("UPDATE fulfilments SET status = 'delivered', delivered_at = :at", at=AT - timedelta(days=1))
    total = 500 + 1500 * units
    payment = derived_id(order, "payment")
    await world.execute(
        "INSERT INTO payments (id, order_id, provider, reference, status, currency, amount, authorised, captured) "
        "VALUES (:id, :order, 'stripe', :reference, 'captured', 'USD', :total, 0, :total)",
        id=payment,
        order=order,
        reference=f"pi_{reference}",
        total=total,
    )
    async with world.database.transaction() as connection:
        cause = f"payment:{payment}"
        await ledger.post(
            connection, [LedgerEntry(f"captured:{payment}", order, EntryKind.CAPTURED, total, "USD", cause)]
        )
    return order


async def paid_in_two(world: World, order: str, further: int) -> None:
    """So much of what was captured was captured by a second payment, for a change."""
    await world.execute("UPDATE payments SET amount = amount - :x, captured = captured - :x", x=further)
    await world.execute(
        "INSERT INTO payments (id, order_id, change_id, due, provider, reference, status, currency, amount, captured) "
        "VALUES (:id, :order, 'c', :x, 'stripe', 'pi_further', 'captured', 'USD', :x, :x)",
        id=derived_id(order, "further"),
        order=order,
        x=further,
    )


async def claimed(world: World, order: str, units: int = 1, reference: str = "c") -> str:
    request = ClaimRequest(reference, ClaimKind.DAMAGED, (ClaimedLine(1, units),), "In pieces.")
    async with world.database.transaction() as connection:
        row, _ = await claim(connection, order, request, actor="a test", at=AT)
    return str(row.id)


async def exchanged(world: World, order: str, price: int = 900, ships: Ships = Ships.AFTER_INSPECTION) -> Any:
    back = ReturnRequest("x", ReturnReason.DOES_NOT_FIT, (WantedLine(1, 1),), label=False)
    request = ExchangeRequest("x", back, (Line(1, "TEE", 1, price),), ships, "standard", 0, CARD)
    async with world.database.transaction() as connection:
        row, _ = await exchange(connection, order, request, actor="a test", at=AT)
    return row


async def inspected(world: World, back: str) -> Returns:
    returns = Returns(world.database)
    await returns.receive(Receive(back, AT, ReturnReceipt("dock", "Bob", (Arrived(1, 1),))))
    found = (Inspected(1, Condition.RESALEABLE, 1),)
    await returns.inspect(Inspect(back, AT, Inspection("bench", "Bob", found)))
    return returns


def approval(name: str, remedy: Remedy) -> ApproveClaim:
    return ApproveClaim(name, AT, ClaimApproval("Ann", remedy), 0)


async def replace_it(world: World, order: str) -> Callable[[], Awaitable[object]]:
    step = approval(await claimed(world, order), Remedy.REPLACEMENT)
    return lambda: Claims(world.database).approve(step)


async def refund_it(world: World, order: str) -> Callable[[], Awaitable[object]]:
    step = approval(await claimed(world, order), Remedy.REFUND)
    return lambda: Claims(world.database).approve(step)


async def settle_it(world: World, order: str) -> Callable[[], Awaitable[object]]:
    back = (await exchanged(world, order)).return_id
    returns = await inspected(world, back)
    return lambda: returns.settle(Step(back, AT, "waybill"))


async def order_it(world: World, order: str) -> Callable[[], Awaitable[object]]:
    row = await exchanged(world, order)
    returns = await inspected(world, row.return_id)
    await returns.settle(Step(row.return_id, AT, "waybill"))
    return lambda: Exchanges(world.database).look(CaseStep(row.id, AT, "waybill"))


async def order_at_once(world: World, order: str) -> Callable[[], Awaitable[object]]:
    row = await exchanged(world, order, ships=Ships.AT_ONCE)
    return lambda: Exchanges(world.database).look(CaseStep(row.id, AT, "waybill"))


STEPS = (replace_it, refund_it, settle_it, order_it, order_at_once)


async def books(world: World) -> list[Any]:
    return [[tuple(row) for row in await world.rows(query)] for query in BOOKS]


async def check_laws(world: World) -> None:
    """Of every order debits are credits, and what was kept is what is explained."""
    ids = [row.id for row in await world.rows("SELECT id FROM orders")]
    async with world.database.reading() as connection:
        assert [now.fault for now in (await ledger.balances(connection, ids)).values()] == [None] * len(ids)


async def _outcome(world: World, prepare: Any, reference: str, at: int) -> tuple[Any, int]:
    """What the books say after a step that is killed before its ``at``-th statement and then made again, twice."""
    act = await prepare(world, await served(world, reference))
    before = await books(world)
    with killed_at(world.database, at) as seen:
        try:
            await act()
        except Killed:
            if "COMMIT" not in seen[:-1]:
                assert await books(world) == before
    reached = len(seen)
    first = await act()
    assert await act() == first
    await check_laws(world)
    after = await books(world)
    tables = "claim_events, claim_lines, claims, exchange_events, exchanges, return_events, return_lines, returns"
    await world.execute(
        f"TRUNCATE {tables}, refunds, ledger, payments, timeline, order_lines, fulfilment_lines, fulfilments, "
        "reservations, movements, orders CASCADE"
    )
    return after, reached


@pytest.mark.fuzz
@pytest.mark.parametrize("prepare", STEPS)
async def test_a_step_is_made_once_wherever_the_worker_is_killed(world: World, prepare: Any) -> None:
    wanted, statements = await _outcome(world, prepare, "0", 10_000)
    for at in range(1, statements + 1):
        assert (await _outcome(world, prepare, str(at), at))[0] == wanted, f"killed at statement {at}"


async def test_what_is_claimed_cannot_be_returned_and_what_is_returned_cannot_be_claimed(world: World) -> None:
    order = await served(world, units=3)
    await claimed(world, order, 1)
    back = ReturnRequest("r", ReturnReason.CHANGED_MIND, (WantedLine(1, 3),), label=False)
    async with world.database.transaction() as connection:
        with pytest.raises(MoreThanDelivered, match="2 units"):
            await ask(connection, order, back, actor="a test", at=AT)
        await ask(connection, order, ReturnRequest("r", back.reason, (WantedLine(1, 1),)), actor="a test", at=AT)
    with pytest.raises(MoreThanShipped, match="1 units"):
        await claimed(world, order, 2, "d")


async def test_units_that_were_refunded_are_not_replaced_and_the_money_is_not_given_back_twice(world: World) -> None:
    order = await served(world, units=1)
    name = await claimed(world, order)
    claims = Claims(world.database)
    assert (await claims.approve(approval(name, Remedy.REFUND))).standing.status is ClaimStatus.CLOSED
    again = await claims.approve(approval(name, Remedy.REPLACEMENT))
    assert again.refusal is not None and again.refusal.code == "too_late"
    await world.execute("UPDATE claims SET status = 'withdrawn'")
    second = await claimed(world, order, 1, "d")
    for remedy, code in ((Remedy.REPLACEMENT, "conflict"), (Remedy.REFUND, "refund_too_large")):
        refusal = (await claims.approve(approval(second, remedy))).refusal
        assert refusal is not None and refusal.code == code
    assert (await world.row("SELECT count(*) AS n FROM orders WHERE origin IS NOT NULL")).n == 0


async def test_units_that_were_replaced_are_not_refunded_by_hand_but_an_amount_is(world: World) -> None:
    order = await served(world)
    name = await claimed(world, order)
    assert (await Claims(world.database).approve(approval(name, Remedy.REPLACEMENT))).refusal is None
    both = RefundRequest("both", "late", (RefundLine(1, 2),))
    with pytest.raises(UnitsReplaced, match="1 of line 1 were replaced"):
        await by_hand(world, order, both)
    other = RefundRequest("other", "late", (RefundLine(1, 1),))
    assert [(await by_hand(world, order, other)).amount for _ in range(2)] == [1500, 1500]
    with pytest.raises(UnitsReplaced):
        await by_hand(world, order, RefundRequest("rest", "late", (RefundLine(1, 1),)))
    assert (await by_hand(world, order, RefundRequest("sorry", "late", amount=300))).amount == 300
    await check_laws(world)


async def by_hand(world: World, order: str, request: RefundRequest) -> Any:
    async with world.database.transaction() as connection:
        row, _ = await grant_by_hand(connection, order, request, actor="Ann")
    return row


async def test_what_came_back_for_goods_sent_at_once_is_worth_less_and_a_person_is_told(world: World) -> None:
    order = await served(world)
    row = await exchanged(world, order, 1500, Ships.AT_ONCE)
    exchanges, step = Exchanges(world.database), CaseStep(row.id, AT, "waybill")
    assert (await exchanges.look(step)).standing.status is ExchangeStatus.ORDERED
    returns = Returns(world.database)
    await returns.receive(Receive(row.return_id, AT, ReturnReceipt("dock", "Bob", (Arrived(1, 1),))))
    found = (Inspected(1, Condition.DAMAGED, 1),)
    await returns.inspect(Inspect(row.return_id, AT, Inspection("bench", "Bob", found)))
    await returns.settle(Step(row.return_id, AT, "waybill"))
    for _ in range(2):
        standing = (await exchanges.look(step)).standing
    assert standing.trouble is not None
    assert standing.trouble.value == "exchange_short"
    (told,) = await world.rows("SELECT reason, actions FROM exceptions")
    assert "0.00 USD" in told.reason and "15.00 USD were credited" in told.reason and told.actions == ["skip"]
    assert await world.rows("SELECT 1 FROM refunds WHERE status <> 'exchanged'") == []
    await check_laws(world)


async def test_a_person_lets_go_what_does_not_come_back_for_goods_sent_at_once(world: World) -> None:
    row = await exchanged(world, await served(world), 900, Ships.AT_ONCE)
    exchanges, late = Exchanges(world.database), AT + timedelta(days=29)
    await exchanges.look(CaseStep(row.id, AT, "waybill"))
    await world.execute("UPDATE orders SET status = 'delivered', closed_at = now() WHERE origin IS NOT NULL")
    for _ in range(2):
        standing = (await exchanges.tell_late(CaseStep(row.id, late, "waybill"))).standing
    assert standing.trouble is not None and standing.deadline is None
    asked = (await world.row("SELECT id, actions FROM exceptions")).id
    first = DecideCase(row.id, late, "Ann", "", asked, Action.SKIP)
    done = [await exchanges.decide(first) for _ in range(2)]
    assert done[0] == done[1]
    assert (done[0].standing.status, done[0].standing.trouble) == (ExchangeStatus.COMPLETED, None)
    assert (await world.row("SELECT status FROM refunds")).status == "exchanged"


async def test_what_costs_less_gives_the_difference_back_and_what_is_never_sent_all_of_it(world: World) -> None:
    order = await served(world)
    row = await exchanged(world, order, 900)
    returns = await inspected(world, row.return_id)
    await returns.settle(Step(row.return_id, AT, "waybill"))
    step = CaseStep(row.id, AT, "waybill")
    exchanges = Exchanges(world.database)
    assert (await exchanges.look(step)).standing.status is ExchangeStatus.ORDERED
    split = [tuple(r) for r in await world.rows("SELECT status, amount FROM refunds ORDER BY amount")]
    assert split == [("granted", 600), ("exchanged", 900)]
    beyond = RefundRequest("beyond", "Goodwill.", amount=3500 - 1500 + 1)  # of 35.00 that were captured
    with pytest.raises(RefundTooLarge, match=r"At most 20\.00 USD"):
        async with world.database.transaction() as connection:
            await grant(connection, order, beyond, actor="Ann")
    placed = await world.row("SELECT id, total, credit FROM orders WHERE origin IS NOT NULL")
    async with world.database.reading() as connection:
        now = await ledger.balance_now(connection, placed.id)
    assert (placed.total, placed.credit, now.credited, now.owed) == (900, 900, 900, 0)
    refused = (await exchanges.withdraw(step)).refusal
    assert refused is not None and refused.code == "conflict"
    await world.execute("UPDATE orders SET status = 'cancelled', closed_at = now() WHERE origin IS NOT NULL")
    for _ in range(2):
        assert (await exchanges.look(step)).standing.status is ExchangeStatus.ENDED
    given = [tuple(r) for r in await world.rows("SELECT status, amount FROM refunds ORDER BY amount, status")]
    assert given == [("granted", 600), ("granted", 900), ("withdrawn", 900)]
    await check_laws(world)


async def test_what_is_kept_for_an_exchange_leaves_refunds_of_each_payment_their_money(world: World) -> None:
    order = await served(world)
    await paid_in_two(world, order, 2500)  # of 35.00
    async with world.database.transaction() as connection:
        before, _ = await grant(connection, order, RefundRequest("before", "Late.", amount=800), actor="Ann")
    row = await exchanged(world, order, 1500)
    await (await inspected(world, row.return_id)).settle(Step(row.return_id, AT, "waybill"))
    async with world.database.transaction() as connection:
        assert (await ask_to_pay(connection, before.id, actor="Ann")).status == "paying"
        with pytest.raises(RefundTooLarge, match=r"At most 12\.00 USD"):
            await grant(connection, order, RefundRequest("beyond", "Goodwill.", amount=1201), actor="Ann")
        rest, _ = await grant(connection, order, RefundRequest("rest", "Goodwill.", amount=1200), actor="Ann")
        await ask_to_pay(connection, rest.id, actor="Ann")
    told = [tuple(r) for r in await world.rows("SELECT status, amount, payment_id FROM refunds ORDER BY amount")]
    first, further = derived_id(order, "payment"), derived_id(order, "further")
    assert [one for one in told if one[0] == "paying"] == [
        ("paying", 200, first),
        ("paying", 800, first),
        ("paying", 1000, further),
    ]


async def test_a_claim_that_two_payments_refund_tells_what_they_refund_together(world: World) -> None:
    order = await served(world)
    await paid_in_two(world, order, 1000)
    await Claims(world.database).approve(approval(await claimed(world, order, 2), Remedy.REFUND))
    assert [r.amount for r in await world.rows("SELECT amount FROM refunds ORDER BY amount")] == [500, 2500]
    told = await world.row("SELECT text FROM claim_events WHERE key = 'refunded'")
    assert told.text == "A refund of 30.00 USD was granted."


async def test_of_two_who_decide_at_once_one_is_heeded(world: World) -> None:
    order = await served(world)
    name = await claimed(world, order)
    claims = Claims(world.database)
    answers = await asyncio.gather(*(claims.approve(approval(name, remedy)) for remedy in Remedy))
    assert sorted(answer.refusal is None for answer in answers) == [False, True]
    placed = (await world.row("SELECT count(*) AS n FROM orders WHERE origin IS NOT NULL")).n
    granted = (await world.row("SELECT count(*) AS n FROM refunds")).n
    assert placed + granted == 1


async def test_who_grants_a_refund_just_after_another_had_a_replacement_placed_is_refused(world: World) -> None:
    order = await served(world)
    name = await claimed(world, order)
    claims = Claims(world.database)
    for _ in range(2):
        assert (await claims.approve(approval(name, Remedy.REPLACEMENT))).refusal is None
    refused = (await claims.approve(approval(name, Remedy.REFUND))).refusal
    assert refused is not None and refused.code == "conflict"
    assert await world.rows("SELECT 1 FROM refunds") == []


async def test_what_came_back_to_the_sender_was_shipped_and_can_be_claimed(world: World) -> None:
    order = await served(world, units=1)
    await world.execute("UPDATE fulfilments SET status = 'returned'")
    assert await claimed(world, order)
    await world.execute("UPDATE fulfilments SET status = 'labelled'")
    with pytest.raises(MoreThanShipped, match="0 units"):
        await claimed(world, order, 1, "d")
