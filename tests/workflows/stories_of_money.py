"""Refunds, and the nightly looks at money and stock, told to a house; each returns its workflow's id."""

import uuid
from typing import Any

from temporalio.common import WorkflowIDReusePolicy

from domain.exceptions import ExceptionKind
from tests.house import CUSTOMER, House
from tests.workflows import test_refund as refunds
from workflows.money.check import MoneyCheckSoFar, MoneyCheckWorkflow
from workflows.stock.check import CheckSoFar, StockCheckWorkflow


async def refund_paid(house: House) -> str:
    """Paid, after an answer was lost, and told to the customer."""
    order = await refunds.delivered(house)
    await house.stripe(fail_next=[{"operation": "refunds.create", "status": "lost_answer"}])
    return await _ended(house, f"refund-{await refunds.refund(house, order)}")


async def refund_refused(house: House) -> str:
    """Refused by the provider: a person is told."""
    order = await refunds.delivered(house)
    await house.stripe(fail_next=[{"operation": "refunds.create", "status": 400}])
    name = await refunds.refund(house, order)
    await house.exception(order, ExceptionKind.REFUND_FAILED)
    return await _ended(house, f"refund-{name}")


async def refund_untold(house: House) -> str:
    """Paid, and its e-mail refused: a person is told."""
    order = await refunds.delivered(house)
    await house.mail_server(refuse_recipients=[CUSTOMER["email"]])
    return await _ended(house, f"refund-{await refunds.refund(house, order)}")


async def money_checked(house: House) -> str:
    """All orders, here one, compared with their providers, who know of a refund that nobody else does."""
    order = await refunds.delivered(house)
    await house.somebody_refunds(order, 500)
    return await _run(house, MoneyCheckWorkflow.run, MoneyCheckSoFar(), f"money-check-{uuid.uuid4().hex}")


async def stock_checked(house: House) -> str:
    """Two levels, of which one has drifted."""
    await house.receive("MUG", 5)
    await house.receive("TEE", 5)
    async with house.database.transaction() as connection:
        await connection.exec_driver_sql("UPDATE stock_levels SET on_hand = 6 WHERE sku = 'TEE'")
    return await _run(house, StockCheckWorkflow.run, CheckSoFar(), f"stock-check-{uuid.uuid4().hex}")


async def _run(house: House, run: Any, argument: Any, name: str) -> str:
    await house.client.execute_workflow(
        run,
        argument,
        id=name,
        task_queue=house.settings.temporal_task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )
    return name


async def _ended(house: House, name: str) -> str:
    await house.client.get_workflow_handle(name).result()
    return name
