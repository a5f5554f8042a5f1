"""Steps of returns over a real database: made once, in one transaction, and never told by an older answer."""

import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import pytest

from activities.return_requests import ask
from activities.returns import Inspect, Outcome, Receive, Returns, Step
from domain.errors import MoreThanDelivered
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.return_units import Arrived, Condition, Inspected, Inspection, ReturnReceipt
from domain.returns import ReturnStatus
from tests.activities.world import World

AT = datetime.now(UTC)
DOCK = ReturnReceipt("dock", "Bob", (Arrived(1, 2),))
BENCH = Inspection("bench", "Bob", (Inspected(1, Condition.RESALEABLE, 1), Inspected(1, Condition.DAMAGED, 1)))


async def asked(world: World, reason: ReturnReason = ReturnReason.CHANGED_MIND) -> tuple[Returns, str]:
    """Two mugs were delivered, and are to come back."""
    order, _ = await world.paid_order("1", ("MUG", 2))
    delivered = "UPDATE fulfilments SET status = 'delivered', delivered_at = :at"
    await world.execute(delivered, at=AT - timedelta(days=1))
    request = ReturnRequest("r", reason, (WantedLine(1, 2),), label=False)
    async with world.database.transaction() as connection:
        row, _ = await ask(connection, order, request, actor="a test", at=AT)
    return Returns(world.database), row.id


async def test_every_step_that_is_repeated_changes_nothing_and_answers_the_same(world: World) -> None:
    returns, name = await asked(world)
    steps: tuple[Callable[[], Awaitable[Outcome]], ...] = (
        lambda: returns.receive(Receive(name, AT, DOCK)),
        lambda: returns.inspect(Inspect(name, AT, BENCH)),
        lambda: returns.settle(Step(name, AT, "waybill")),
    )
    seen = []
    for step in steps:
        first, again = await step(), await step()
        assert first.refusal is None
        assert first == again
        seen.append(first.standing)
    assert [standing.status for standing in seen] == [
        ReturnStatus.RECEIVED,
        ReturnStatus.INSPECTED,
        ReturnStatus.CLOSED,
    ]
    assert [standing.revision for standing in seen] == [1, 2, 3]
    query = "SELECT kind, on_hand_change, damaged_change FROM movements WHERE cause = :cause ORDER BY id"
    moved = await world.rows(query, cause=f"return:{name}")
    assert [tuple(row) for row in moved] == [("returned", 1, 0), ("returned", 1, 1)]
    assert (await world.row("SELECT settlement FROM returns")).settlement["amount"] == 0  # nothing was captured


async def test_a_reference_that_names_another_receipt_is_refused_and_nothing_is_written(world: World) -> None:
    returns, name = await asked(world)
    await returns.receive(Receive(name, AT, ReturnReceipt("dock", "Bob", (Arrived(1, 1),))))
    refused = (await returns.receive(Receive(name, AT, DOCK))).refusal
    assert refused is not None
    assert refused.code == "idempotency_key_reused"
    beyond = (await returns.receive(Receive(name, AT, ReturnReceipt("two", "Bob", (Arrived(1, 2),))))).refusal
    assert beyond is not None
    assert (beyond.code, beyond.faults[0][0]) == ("more_than_sent", "lines[0].quantity")
    assert (await world.row("SELECT received FROM return_lines")).received == 1


@pytest.mark.parametrize("decide", ["approve", "refuse", "withdraw"])
async def test_what_was_decided_is_not_decided_otherwise(world: World, decide: str) -> None:
    returns, name = await asked(world, ReturnReason.OTHER)
    step = Step(name, AT, "Ann", "It was worn.")
    first = await getattr(returns, decide)(step)
    assert (first.refusal, await getattr(returns, decide)(step)) == (None, first)
    others = {"approve": ["refuse"], "refuse": ["approve", "withdraw"], "withdraw": ["approve", "refuse"]}[decide]
    for other in others:
        assert (await getattr(returns, other)(step)).refusal is not None


async def test_a_bundle_comes_back_as_its_parts_and_only_whole_ones_can(world: World) -> None:
    order, _ = await world.paid_order("1", ("MUG", 5))
    await world.execute("UPDATE fulfilments SET status = 'delivered', delivered_at = :at", at=AT - timedelta(days=1))
    parts = [{"sku": "MUG", "name": "Mug", "quantity": 2}]
    made = "UPDATE order_lines SET sku = 'BAG', quantity = 3, parts = CAST(:parts AS jsonb)"
    await world.execute(made, parts=json.dumps(parts))
    lines = (WantedLine(1, 3),)
    with pytest.raises(MoreThanDelivered, match="2 units were delivered"):  # the fifth mug is half a bundle
        async with world.database.transaction() as connection:
            request = ReturnRequest("three", ReturnReason.DAMAGED, lines, label=False)
            await ask(connection, order, request, actor="a test", at=AT)
    async with world.database.transaction() as connection:
        request = ReturnRequest("two", ReturnReason.DAMAGED, (WantedLine(1, 2),), label=False)
        row, _ = await ask(connection, order, request, actor="a test", at=AT)
    returns = Returns(world.database)
    await returns.receive(Receive(row.id, AT, DOCK))
    await returns.inspect(Inspect(row.id, AT, BENCH))
    query = "SELECT sku, on_hand_change, damaged_change FROM movements WHERE cause = :cause ORDER BY id"
    moved = await world.rows(query, cause=f"return:{row.id}")
    assert [tuple(one) for one in moved] == [("MUG", 2, 0), ("MUG", 2, 2)]
