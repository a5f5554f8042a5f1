"""Wishes that are refused, at every step of an order: of those nothing stands in its history."""

import json
import uuid
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import (
    DoUpdate,
    NotifyHasPatch,
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from runtime import plugin
from runtime.sandbox import WithoutContext

_LATER = timedelta(days=90)
_NOBODYS = {"exception_id": "nobody's", "action": "retry", "by": "Ann", "note": ""}


class Refusing(WithoutContext):
    """A runner that has every order refuse a wish before each of its steps, long after whatever it waits for was due.

    Whatever a workflow does then it would not do on replay.
    """

    def __init__(self, done: list[str], runner: WorkflowRunner) -> None:
        super().__init__(runner)
        self._done = done

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """See the base class."""
        instance = super().create_instance(det)
        if det.info.workflow_type != "Order":
            return instance
        activate, begun = instance.activate, False

        def refuse_and_activate(act: WorkflowActivation) -> WorkflowActivationCompletion:
            nonlocal begun
            goes_on = not any(job.HasField("remove_from_cache") for job in act.jobs)
            if begun and goes_on and not act.is_replaying:
                self._note(activate(_refused(act)))
            begun = True
            return activate(act)

        instance.activate = refuse_and_activate  # type: ignore[method-assign]
        return instance

    def _note(self, completion: WorkflowActivationCompletion) -> None:
        answers = [c.update_response for c in completion.successful.commands if c.HasField("update_response")]
        if not answers or not answers[0].HasField("rejected"):
            self._done.append("it did not refuse")
        others = [c.WhichOneof("variant") for c in completion.successful.commands if not c.HasField("update_response")]
        self._done += [name for name in others if name is not None]


def _refused(act: WorkflowActivation) -> WorkflowActivation:
    wish = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(_NOBODYS).encode())
    name = uuid.uuid4().hex
    update = DoUpdate(id=name, protocol_instance_id=name, name="resolve", input=[wish], run_validator=True)
    later = WorkflowActivation(run_id=act.run_id, history_length=act.history_length)
    later.timestamp.FromDatetime(act.timestamp.ToDatetime() + _LATER)
    # Where a refused wish comes with something else, conditions are looked at in between (SDK 1.35).
    else_ = WorkflowActivationJob(notify_has_patch=NotifyHasPatch(patch_id="nobody's"))
    later.jobs.extend([else_, WorkflowActivationJob(do_update=update)])
    return later


def refuse(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Orders of houses that are opened from now on refuse so; what they have done by mistake, command by command."""
    done: list[str] = []
    monkeypatch.setattr(plugin, "WithoutContext", lambda runner: Refusing(done, runner))
    return done
