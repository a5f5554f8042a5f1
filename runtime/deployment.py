"""Worker Versioning: which build of the workers takes the orders.

A worker with BUILD_ID set belongs to the version `waybill/BUILD_ID` and gets nothing until that version is the current
one; then new orders and those in flight, each at its next step, go to it. Without BUILD_ID a worker takes every order.

    python -m runtime.deployment        makes BUILD_ID current, once its workers poll; harmless to repeat
"""

import asyncio
import sys
from datetime import timedelta
from time import monotonic

from temporalio.api.deployment.v1 import WorkerDeploymentVersion as Version
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    DescribeWorkerDeploymentVersionRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import Client
from temporalio.common import VersioningBehavior, WorkerDeploymentVersion
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from runtime.endings import leave
from runtime.plugin import connect_bare
from runtime.settings import SettingsError, TemporalSettings, load_temporal_settings

DEPLOYMENT = "waybill"
WAIT_FOR_WORKERS = timedelta(minutes=2)
CALL = timedelta(seconds=10)
LOOK_EVERY = timedelta(milliseconds=500)

_PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
        RPCStatusCode.ABORTED,
    }
)
_NOT_READY = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.FAILED_PRECONDITION})


class DeploymentError(Exception):
    """The version could not be made current; the text says why and what to do."""


def versioned(build_id: str) -> WorkerDeploymentConfig | None:
    """The worker's version, under which orders move on to the current one by themselves; None without a build id."""
    if not build_id:
        return None
    return WorkerDeploymentConfig(
        version=WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.AUTO_UPGRADE,
    )


async def make_current(settings: TemporalSettings, *, wait: timedelta = WAIT_FOR_WORKERS) -> str:
    """Give the orders to the build of the settings, once a worker of it polls; the build that had them before.

    Empty where no build had them. Raises DeploymentError after ``wait``, or where Temporal refuses.
    """
    if not settings.build_id:
        raise DeploymentError("BUILD_ID is not set: which build shall take the orders?")
    queue = f"{settings.temporal_task_queue} in {settings.temporal_namespace}"
    deadline, trouble = monotonic() + wait.total_seconds(), ""
    while True:
        try:
            client = await connect_bare(settings)
            before = await _current(client)
            if before != settings.build_id:
                if not await polls(client, settings):
                    raise _NotReady(f"no worker with BUILD_ID={settings.build_id} polls {queue}")
                await _set(client, settings.build_id)
            return before
        except _NotReady as error:
            trouble = str(error)
        except RPCError as error:
            if error.status not in _PASSING | _NOT_READY:
                raise DeploymentError(f"Temporal at {settings.temporal_address} refuses: {error.message}") from error
            trouble = error.message
        except RuntimeError as error:  # the client's word for a server that cannot be reached
            trouble = f"Temporal at {settings.temporal_address} cannot be reached ({error})"
        if monotonic() > deadline:
            raise DeploymentError(
                f"After {wait.total_seconds():.0f} s {settings.build_id} is not current: {trouble}. "
                "Start its workers, look at their logs, and run this again."
            )
        await asyncio.sleep(LOOK_EVERY.total_seconds())


class _NotReady(Exception):
    """No worker of the version is there yet."""


async def _current(client: Client) -> str:
    """The build that is current; empty where there is none."""
    request = DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT)
    try:
        told = await client.workflow_service.describe_worker_deployment(request, timeout=CALL)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:  # no worker of any version has ever polled
            return ""
        raise
    return told.worker_deployment_info.routing_config.current_deployment_version.build_id


async def polls(client: Client, settings: TemporalSettings) -> bool:
    """Whether a worker of the build has polled the orders' queue for workflows and for activities."""
    request = DescribeWorkerDeploymentVersionRequest(
        namespace=client.namespace,
        deployment_version=Version(deployment_name=DEPLOYMENT, build_id=settings.build_id),
    )
    try:
        told = await client.workflow_service.describe_worker_deployment_version(request, timeout=CALL)
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return False
        raise
    kinds = {queue.type for queue in told.version_task_queues if queue.name == settings.temporal_task_queue}
    return {TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY} <= kinds


async def _set(client: Client, build_id: str) -> None:
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id, identity="runtime.deployment"
    )
    await client.workflow_service.set_worker_deployment_current_version(request, timeout=CALL)


def main() -> int:
    """Status 2 where the settings do not allow it, 1 where the version could not be made current."""
    try:
        settings = load_temporal_settings()
        before = asyncio.run(make_current(settings))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except DeploymentError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    same = before == settings.build_id
    told = "is current already" if same else f"is current now; before it was {before or 'none'}"
    sys.stdout.write(f"{DEPLOYMENT}/{settings.build_id} {told}.\n")
    return 0


if __name__ == "__main__":
    leave(main())
