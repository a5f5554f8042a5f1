"""Several who want the same: one place in a portal, or one order. Whoever comes second finds what is there."""

import asyncio
import os
import signal
from pathlib import Path

from sqlalchemy import text

from db import portals as records
from domain.exceptions import ExceptionKind
from tests.portals.trade import Trade
from tests.supplier import needs_chromium

pytestmark = needs_chromium

GOODS = {"MUG-01": 2}


async def visitors(trade: Trade) -> list[int]:
    """The database sessions of the portal workers that are at work."""
    query = text("SELECT pid FROM pg_stat_activity WHERE application_name = 'waybill-portals'")
    async with trade.house.database.reading() as connection:
        return list((await connection.execute(query)).scalars())


async def cut_off(trade: Trade, sessions: list[int]) -> None:
    """The database loses these sessions, with every lock that they hold."""
    query = text("SELECT pg_terminate_backend(pid) FROM unnest(CAST(:pids AS integer[])) AS pid")
    async with trade.house.database.statement() as connection:
        await connection.execute(query, {"pids": sessions})


async def taken_up_again(trade: Trade, order: str) -> None:
    """The order's workflow is ended from outside, and an operator has it take the order up in another run."""
    await trade.house.handle(order).terminate()
    exception = await trade.house.exception(order, ExceptionKind.WORKFLOW_ENDED, patience=60)
    answer = await trade.house.http.post(f"/v1/exceptions/{exception.id}/resolve", json={"action": "retry"})
    assert answer.is_success, answer.text


async def test_who_waits_for_a_place_in_a_portal_says_so_and_needs_nobody(trade: Trade) -> None:
    await trade.stocked()
    await trade.open(concurrency=1, in_line=0)
    async with records.admitted(trade.house.database, "northgate", concurrency=1) as entered:
        assert entered
        order = await trade.house.place(GOODS)
        row = await trade.house.until(order, waiting="its turn at northgate for parcel 1", patience=60)
        assert "(on Waybill itself)" in row.waiting["sentence"] and row.waiting["until"] is None
        assert await trade.house.exceptions(order) == []
    await trade.ordered(order)
    assert len(await trade.numbers()) == 1


async def test_two_runs_of_one_order_at_two_workers_place_it_once(trade: Trade, tmp_path: Path) -> None:
    """The first run's worker hangs at the button, which the portal has heard, while the second run's comes."""
    await trade.stocked()
    await trade.supplier.next_answer("orders.submit", "hang_after")
    async with trade.processes(tmp_path) as workers:
        first = await workers.start()
        order = await trade.house.place(GOODS)
        await trade.supplier.called("orders.submit", seconds=60)
        os.kill(first.pid, signal.SIGSTOP)  # it does not hear that its run is over
        await workers.start()
        await taken_up_again(trade, order)
        await asyncio.sleep(5)  # the second is at the portal's door, and the first one's lock is not lost
        assert [row.stage for row in await trade.at_portals(order)] == ["submitting"]
        os.kill(first.pid, signal.SIGCONT)
        row = await trade.ordered(order)
        assert (row.submissions, await trade.numbers()) == (1, [row.reference])
        await trade.to_the_door(order)
    assert await trade.supplier.calls("orders.submit") == 1
    assert await trade.house.charges(order) == [2900]


async def test_a_worker_that_was_frozen_and_lost_its_locks_does_not_order_what_another_has(
    trade: Trade, tmp_path: Path
) -> None:
    await trade.stocked()
    async with trade.processes(tmp_path) as workers:
        frozen = await workers.start()
        order = await trade.house.place(GOODS)
        await trade.supplier.called("options.send", seconds=60)  # the summary and the button are next
        os.kill(frozen.pid, signal.SIGSTOP)
        await cut_off(trade, await visitors(trade))
        other = await workers.start()
        row = await trade.ordered(order)
        other.terminate()
        await other.wait()
        os.kill(frozen.pid, signal.SIGCONT)
        # Whatever it was about to do it has done, or given up, once it has placed another order.
        second = await trade.ordered(await trade.house.place(GOODS))
    assert await trade.numbers() == sorted([row.reference, second.reference])
    assert await trade.supplier.calls("orders.submit") == 2
