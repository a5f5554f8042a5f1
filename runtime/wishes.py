"""Which workflow task brings somebody's wish: noted by the workflow itself, in live and in replay alike."""

from typing import Any

from temporalio import workflow
from temporalio.worker import (
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


class Wishes(Interceptor):
    """Every workflow that takes an update knows the length of its history then, as ``wished_at``."""

    def workflow_interceptor_class(self, input: WorkflowInterceptorClassInput) -> type[WorkflowInboundInterceptor]:
        """See the base class."""
        return _Noting


class _Noting(WorkflowInboundInterceptor):
    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        workflow.instance().wished_at = workflow.info().get_current_history_length()
        return await super().handle_update_handler(input)
