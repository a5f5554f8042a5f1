"""An order that comes no further is told from one that waits, by Temporal's description alone."""

import json

import pytest
from temporalio.api.common.v1 import ActivityType, Payload
from temporalio.api.failure.v1 import ApplicationFailureInfo, Failure
from temporalio.api.workflow.v1 import PendingActivityInfo, PendingWorkflowTaskInfo
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse

from activities.failures import BUSY
from workflows.gateway import Failing, failing


def described(*, task: int = 0, reported: str = "", **activities: int) -> DescribeWorkflowExecutionResponse:
    """A workflow whose next task, and whose activities, are at these attempts, and what Temporal reports of it."""
    pending = [PendingActivityInfo(activity_type=ActivityType(name=n), attempt=a) for n, a in activities.items()]
    waits = PendingWorkflowTaskInfo(attempt=task) if task else None
    found = DescribeWorkflowExecutionResponse(pending_workflow_task=waits, pending_activities=pending)
    if reported:
        told = Payload(data=json.dumps([f"category={reported}", "cause=Whatever"]).encode())
        found.workflow_execution_info.search_attributes.indexed_fields["TemporalReportedProblems"].CopyFrom(told)
    return found


@pytest.mark.parametrize(
    "waits",
    [
        described(),
        described(task=6, reported="WorkflowTaskTimedOut"),
        described(task=20),
        described(record=30),
        described(capture_payment=120),
        described(record=1, book_parcel=60),
    ],
)
def test_an_order_that_tries_again_is_not_stuck(waits: DescribeWorkflowExecutionResponse) -> None:
    assert failing("1", waits) is None


@pytest.mark.parametrize(("kind", "stuck"), [(BUSY, False), ("Unreachable", True)])
def test_an_order_that_waits_for_its_turn_in_a_portal_is_not_stuck(kind: str, *, stuck: bool) -> None:
    last = Failure(application_failure_info=ApplicationFailureInfo(type=kind))
    pending = PendingActivityInfo(activity_type=ActivityType(name="ask_portal"), attempt=500, last_failure=last)
    waits = DescribeWorkflowExecutionResponse(pending_activities=[pending])
    assert (failing("1", waits) is not None) is stuck


@pytest.mark.parametrize(
    ("stuck", "what", "times"),
    [
        (described(task=21), "the workflow's next step", 20),
        (described(task=6, reported="WorkflowTaskFailed"), "the workflow's next step", 5),
        (described(record=31), "the activity record", 30),
        (described(reserve_stock=1, capture_payment=121), "the activity capture_payment", 120),
    ],
)
def test_an_order_whose_step_fails_again_and_again_is_stuck(
    stuck: DescribeWorkflowExecutionResponse, what: str, times: int
) -> None:
    assert failing("1", stuck) == Failing("1", what, times)
