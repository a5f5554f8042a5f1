"""The sandbox in which workflows run, without questions that our converter never asks.

For every payload of a workflow the SDK runs code inside the sandbox, three times, to learn the context that converter
and codec might want to know: which activity, which workflow. Ours do the same in every context.
"""

from collections.abc import Sequence
from typing import ClassVar

from temporalio import workflow
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner


class WithoutContext(WorkflowRunner):
    """A runner whose workflows' payloads have no context. For converters that know none, and no storage elsewhere.

    Preparing a workflow loads it once for a look, in the sandbox; what this process has looked at stays as it is.
    """

    _prepared: ClassVar[set[type]] = set()

    def __init__(self, runner: WorkflowRunner) -> None:
        self._runner = runner

    def prepare_workflow(self, defn: workflow._Definition) -> None:
        """See the base class."""
        if defn.cls not in self._prepared:
            self._runner.prepare_workflow(defn)
            self._prepared.add(defn.cls)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See the base class."""
        return _Instance(self._runner.create_instance(det))

    def set_worker_level_failure_exception_types(self, types: Sequence[type[BaseException]]) -> None:
        """See the base class."""
        self._runner.set_worker_level_failure_exception_types(types)


class _Instance(WorkflowInstance):
    def __init__(self, instance: WorkflowInstance) -> None:
        self._instance = instance
        self._nowhere = StorageDriverStoreContext()

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        return self._instance.activate(act)

    def get_serialization_context(self, command_info: object) -> None:
        return None

    def get_external_store_context(self, command_info: object) -> StorageDriverStoreContext:
        return self._nowhere

    def get_info(self) -> workflow.Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()
