"""The nightly check: it runs over all levels, and its schedule is created once."""

import asyncio
import uuid

from temporalio.client import ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy
from temporalio.common import WorkflowIDReusePolicy

from runtime.schedules import ensure_schedules, stock_check_id
from tests.house import House
from workflows.stock.check import CheckSoFar, StockCheckWorkflow


async def test_the_check_looks_at_every_level_and_tells_the_operators_of_a_drift(house: House) -> None:
    await house.receive("MUG", 5)
    await house.receive("TEE", 5)
    async with house.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE stock_levels SET on_hand = 6 WHERE sku = 'TEE'")
    found = await house.client.execute_workflow(
        StockCheckWorkflow.run,
        CheckSoFar(),
        id=f"check-{uuid.uuid4().hex}",
        task_queue=house.settings.temporal_task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    assert found == CheckSoFar(None, 2, 1)
    (alert,) = (await house.http.get("/v1/stock/alerts", params={"kind": "drift"})).json()["items"]
    assert (alert["sku"], alert["status"]) == ("TEE", "open")
    answer = await house.http.post(f"/v1/stock/alerts/{alert['id']}/repair", json={"trust": "movements"})
    assert (answer.json()["status"], answer.json()["resolved_by"]) == ("resolved", "api:test shop")
    assert await house.stock("TEE") == (5, 0)


async def test_the_schedule_is_created_once_and_never_overlaps(house: House) -> None:
    queue = house.settings.temporal_task_queue
    made = await asyncio.gather(
        *(ensure_schedules(house.client, task_queue=queue, portal_task_queue="portals") for _ in range(3))
    )
    assert sum(made) == 3
    handle = house.client.get_schedule_handle(stock_check_id(queue))
    kept = (await handle.describe()).schedule
    assert kept.policy.overlap is ScheduleOverlapPolicy.SKIP
    assert kept.spec.jitter
    await handle.trigger()
    async with asyncio.timeout(15):
        while not (done := (await handle.describe()).info.recent_actions):  # noqa: ASYNC110 - Temporal tells of no start
            await asyncio.sleep(0.05)
    action = done[0].action
    assert isinstance(action, ScheduleActionExecutionStartWorkflow)
    started = house.client.get_workflow_handle(action.workflow_id, result_type=CheckSoFar)
    assert (await started.result()).drifts == 0
    await handle.delete()


async def test_an_order_that_waits_gets_the_units_that_another_one_gives_back(house: House) -> None:
    await house.receive("MUG", 2)
    first = await house.place()
    await house.labelled(first)
    second = await house.place()
    await house.until(second, waiting="2 of MUG missing")
    await house.cancel(first)
    await house.labelled(second)
