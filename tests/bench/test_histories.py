"""An order's history is counted, and the bare workflow is made alike."""

import ast
from pathlib import Path

from temporalio.client import WorkflowHistory

from bench.bare_workflow import Steps
from bench.histories import cost_of

ROOT = Path(__file__).parents[2]
# The embedded stack has no build id, and its worker therefore no deployment.
NOT_ALIKE = {"task_queue", "workflows", "activities", "workflow_runner", "interceptors", "deployment_config"}


def _worker_settings(path: str) -> dict[str, str]:
    """The keywords of the one call of `Worker(...)` in a file, spelled out."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    (worker,) = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "Worker"]
    return {str(keyword.arg): ast.unparse(keyword.value) for keyword in worker.keywords}


def test_a_recorded_order_is_counted_step_by_step() -> None:
    text = (ROOT / "tests/workflows/histories/delivered.json").read_text(encoding="utf-8")
    cost = cost_of(WorkflowHistory.from_json("delivered", text).events)
    assert cost.events == text.count('"eventId"')
    assert cost.workflow_tasks == text.count('"EVENT_TYPE_WORKFLOW_TASK_COMPLETED"')
    assert cost.steps == Steps(
        activities=text.count('"EVENT_TYPE_ACTIVITY_TASK_SCHEDULED"'),
        local_activities=text.count('"core_local_activity"'),
        signals=text.count('"EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED"'),
        timers_fired=text.count('"EVENT_TYPE_TIMER_FIRED"'),
        timers_cancelled=text.count('"EVENT_TYPE_TIMER_STARTED"') - text.count('"EVENT_TYPE_TIMER_FIRED"'),
    )
    assert cost.steps.activities > 2
    assert cost.steps.local_activities > 2


def test_the_bare_workflows_worker_has_the_settings_of_the_platforms() -> None:
    platform = _worker_settings("runtime/worker.py")
    bare = _worker_settings("bench/bare_worker.py")
    assert {name: value for name, value in bare.items() if name not in NOT_ALIKE} == {
        name: value for name, value in platform.items() if name not in NOT_ALIKE
    }
