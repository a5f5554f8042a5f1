"""The bare workflow's worker, a process of its own: `python -m bench.bare_worker ADDRESS NAMESPACE TASK_QUEUE`.

Its settings are those of the platform's worker; only converter and codec are Temporal's own, that is, none.
"""

import asyncio
import signal
import sys
from datetime import timedelta

import uvloop
from temporalio.client import Client, GrpcCompression
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.bare_workflow import BareWorkflow, bare


async def serve(address: str, namespace: str, task_queue: str) -> None:
    """Work until SIGTERM or SIGINT. Says `ready` on standard output once it polls."""
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stop.set)
    client = await Client.connect(address, namespace=namespace, grpc_compression=GrpcCompression.NONE)
    async with Worker(
        client,
        task_queue=task_queue,
        workflows=[BareWorkflow],
        activities=[bare],
        workflow_runner=UnsandboxedWorkflowRunner(),
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        graceful_shutdown_timeout=timedelta(seconds=8),
        max_heartbeat_throttle_interval=timedelta(seconds=1),
        max_concurrent_activities=100,
        max_workflow_task_external_storage_concurrency=1,
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await stop.wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(*sys.argv[1:4]))
