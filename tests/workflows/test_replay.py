"""Orders and transfers in flight survive a change of code: every recorded history still replays."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from runtime.codec import EncryptionCodec
from runtime.plugin import waybill_plugin
from tests.street import KEY_RING
from tests.workflows.record import HISTORIES
from tests.workflows.scrubbing import payloads_of
from tests.workflows.stories import STORIES
from workflows.claims.workflow import ClaimWorkflow
from workflows.exchanges.workflow import ExchangeWorkflow
from workflows.money.check import MoneyCheckWorkflow
from workflows.money.refund import RefundWorkflow
from workflows.orders.workflow import OrderWorkflow
from workflows.returns.workflow import ReturnWorkflow
from workflows.stock.check import StockCheckWorkflow
from workflows.stock.transfer import TransferWorkflow

RECORDED = sorted(HISTORIES.rglob("*.json"))
"""those of orders that began under an earlier edition of their workflow in folders of their own"""
PRIVATE = re.compile(r"127\.0\.0\.1|localhost|/home/|/root/|/tmp/|/Users/|/site-packages|\d+@\w")


def name_of(path: Path) -> str:
    return path.relative_to(HISTORIES).with_suffix("").as_posix()


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
async def test_a_recorded_order_replays(path: Path) -> None:
    await replayer().replay_workflow(recorded(path))


async def test_a_history_that_the_code_cannot_have_written_does_not_replay() -> None:
    events: dict[str, Any] = json.loads((HISTORIES / "delivered.json").read_text())
    scheduled = [e for e in events["events"] if "activityTaskScheduledEventAttributes" in e]
    names = [e["activityTaskScheduledEventAttributes"]["activityType"] for e in scheduled]
    names[0]["name"], names[1]["name"] = names[1]["name"], names[0]["name"]
    with pytest.raises(NondeterminismError):
        await replayer().replay_workflow(history(json.dumps(events), "altered"))


def test_every_story_is_recorded() -> None:
    assert set(STORIES) <= {name_of(path) for path in RECORDED}


def test_what_an_order_is_found_by_is_written_when_it_comes_to_wait_and_at_its_end() -> None:
    events = json.loads((HISTORIES / "delivered.json").read_text())["events"]
    kinds = [event["eventType"].removeprefix("EVENT_TYPE_") for event in events]
    assert kinds.count("UPSERT_WORKFLOW_SEARCH_ATTRIBUTES") == 3  # labelled, shipped, delivered
    assert kinds[-1] == "WORKFLOW_EXECUTION_COMPLETED"
    assert "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES" in kinds[len(kinds) - 1 - kinds[::-1].index("WORKFLOW_TASK_COMPLETED") :]


@pytest.mark.parametrize("path", RECORDED, ids=name_of)
def test_a_recorded_history_names_no_machine(path: Path) -> None:
    text = path.read_text()
    kept = [p.data.decode() for event in recorded(path).events for p in payloads_of(event)]
    assert kept
    for words in (text, *kept):
        assert PRIVATE.search(words) is None


def replayer() -> Replayer:
    return Replayer(
        workflows=[
            *(OrderWorkflow, TransferWorkflow, ReturnWorkflow, ClaimWorkflow, ExchangeWorkflow),
            *(RefundWorkflow, MoneyCheckWorkflow, StockCheckWorkflow),
        ],
        plugins=[waybill_plugin(EncryptionCodec(KEY_RING))],
    )


def recorded(path: Path) -> WorkflowHistory:
    return history(path.read_text(), path.stem)


def history(text: str, name: str) -> WorkflowHistory:
    return WorkflowHistory.from_json(name, text)
