"""The plugin: what travels comes back as it was, encrypted on its way; and the sandbox catches clocks in workflows."""

import asyncio
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from activities.payments import PayStep
from activities.projections import Projection
from domain.exceptions import Action, Resolution
from domain.inbox import EventTopic, Wake
from domain.money import Money
from domain.orders import OrderRequest, OrderStatus, PaymentSource, PlacedOrder, Policy
from domain.payments import Decline, PaymentState, PaymentStatus
from domain.stock import Allocation, Plan, Shortage
from domain.waiting import Party, Waiting
from local.temporal import find_program
from runtime.codec import EncryptionCodec
from runtime.plugin import data_converter
from tests.activities.world import ADDRESS, CUSTOMER, lines_of

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
MONEY = Money(2000, "USD")
REQUEST = OrderRequest(
    "web",
    "1001",
    CUSTOMER,
    ADDRESS,
    "USD",
    lines_of(("MUG", 2)),
    "standard",
    500,
    3500,
    PaymentSource("stripe", "pm_1"),
)

TRAVELLERS: list[Any] = [
    PlacedOrder("o-1", "WB-1", NOW, REQUEST, Policy(payment_window=timedelta(minutes=90, milliseconds=5))),
    PlacedOrder("o-1", "WB-1", NOW, REQUEST, restart=Resolution("e-1", Action.RETRY, "Ada")),
    PayStep("o-1", "WB-1", REQUEST.payment, MONEY, NOW, n=2),
    PaymentState(
        "pi", PaymentStatus.AUTHORISED, MONEY, MONEY, MONEY, MONEY, capture_before=NOW, decline=Decline("c", "m")
    ),
    Plan((Allocation(1, "MUG", "EDI", 2),), (Shortage("TEE", 1),), ("why",)),
    Projection("o-1", 7, OrderStatus.SHIPPED, Waiting("it", Party.CARRIER, NOW, NOW, "that")),
    Resolution("e-1", Action.RETRY, "Ada"),
    Wake("easypost", "evt_1", EventTopic.TRACKING, "parcel"),
]


@pytest.fixture
def codec() -> EncryptionCodec:
    return EncryptionCodec({"k1": os.urandom(32)})


@pytest.mark.parametrize("value", TRAVELLERS, ids=lambda value: type(value).__name__)
async def test_what_workflows_and_activities_exchange_comes_back_as_it_was(codec: EncryptionCodec, value: Any) -> None:
    converter = data_converter(codec)
    payloads = await converter.encode([value])
    (back,) = await converter.decode(payloads, [type(value)])
    assert back == value
    assert type(back) is type(value)


async def test_members_of_enumerations_and_tuples_stay_what_they_are(codec: EncryptionCodec) -> None:
    converter = data_converter(codec)
    (back,) = await converter.decode(await converter.encode([TRAVELLERS[0]]), [PlacedOrder])
    assert isinstance(back.request.lines, tuple)
    assert back.policy.payment_window == timedelta(minutes=90, milliseconds=5)
    (wake,) = await converter.decode(await converter.encode([TRAVELLERS[-1]]), [Wake])
    assert wake.topic is EventTopic.TRACKING


async def test_no_personal_data_shows_in_what_temporal_stores(codec: EncryptionCodec) -> None:
    (payload,) = await data_converter(codec).encode([TRAVELLERS[0]])
    stored = payload.SerializeToString()
    assert not any(word.encode() in stored for word in (CUSTOMER.email, CUSTOMER.name, ADDRESS.street1))


async def test_the_text_and_details_of_a_failure_are_encrypted_too(codec: EncryptionCodec) -> None:
    converter, failure = data_converter(codec), Failure()
    error = ApplicationError("ada@customer.example was refused", {"street": "Montgomery"}, type="Rejected")
    await converter.encode_failure(error, failure)
    stored = failure.SerializeToString()
    assert not any(word in stored for word in (b"ada@customer.example", b"Montgomery"))
    back = await converter.decode_failure(failure)
    assert isinstance(back, ApplicationError)
    assert (back.message, back.type) == ("ada@customer.example was refused", "Rejected")
    assert back.details == ({"street": "Montgomery"},)


# A project of two workflows, one of which looks at the clock, run as ours are: by the plugin, against a real server.
_WORKFLOWS = """
from datetime import datetime

from temporalio import workflow

from domain.money import Money


@workflow.defn
class Careless:
    @workflow.run
    async def run(self) -> str:
        return datetime.now().isoformat()


@workflow.defn
class Careful:
    @workflow.run
    async def run(self) -> str:
        return f"{workflow.now().tzinfo} {Money(5, 'EUR')}"
"""
_MAIN = """
import asyncio
import sys

from temporalio.client import Client, WorkflowFailureError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker
from temporalio.workflow import NondeterminismError

from runtime.codec import EncryptionCodec
from runtime.endings import leave
from runtime.plugin import waybill_plugin
from workflows.clocks import Careful, Careless


async def main() -> None:
    plugin = waybill_plugin(EncryptionCodec({"k1": bytes(32)}))
    server = await WorkflowEnvironment.start_local(dev_server_existing_path=sys.argv[1])
    async with server:
        address = server.client.service_client.config.target_host
        client = await Client.connect(address, plugins=[plugin])
        trouble = [NondeterminismError]
        async with Worker(
            client, task_queue="q", workflows=[Careful, Careless], workflow_failure_exception_types=trouble
        ):
            for workflow in (Careful, Careless):
                try:
                    print(">", await client.execute_workflow(workflow.run, id=workflow.__name__, task_queue="q"))
                except WorkflowFailureError as error:
                    print(">", error.cause)


asyncio.run(main())
leave(0)  # the SDK's threads may abort an interpreter that takes itself apart
"""


async def test_a_workflow_that_looks_at_the_clock_is_caught(tmp_path: Path) -> None:
    package = tmp_path / "workflows"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "clocks.py").write_text(_WORKFLOWS)
    (tmp_path / "main.py").write_text(_MAIN)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "main.py",
        find_program(),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, problems.decode()
    # The server's own words come out there too.
    careful, careless = [line for line in out.decode().splitlines() if line.startswith(">")]
    assert careful == "> UTC 0.05 EUR"
    assert "Cannot access datetime.datetime.now" in careless
