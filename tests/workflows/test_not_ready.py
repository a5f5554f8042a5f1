"""What Temporal refuses for now is told to the caller as such, and what it refuses for good is not hidden."""

from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Unavailable
from domain.orders import CancelRequest
from workflows.gateway import OrderGateway


class Handle:
    """A workflow to which Temporal passes no update on."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    async def execute_update(self, *_: Any, **__: Any) -> Any:
        raise RPCError("Unable to perform workflow execution update.", self._status, b"")


class Refusing(Client):
    """Temporal, answering every update with this status."""

    def __init__(self, status: RPCStatusCode) -> None:
        self._status = status

    def get_workflow_handle(self, *_: Any, **__: Any) -> Any:
        return Handle(self._status)


def gateway(status: RPCStatusCode) -> OrderGateway:
    return OrderGateway(Refusing(status), task_queue="orders")


@pytest.mark.parametrize(
    "status", [RPCStatusCode.FAILED_PRECONDITION, RPCStatusCode.ABORTED, RPCStatusCode.UNAVAILABLE]
)
async def test_an_order_whose_workflow_is_not_ready_is_asked_again_later(status: RPCStatusCode) -> None:
    with pytest.raises(Unavailable):
        await gateway(status).cancel("1", CancelRequest("api:shop"), key="k")


async def test_what_temporal_refuses_for_good_is_a_fault_of_ours() -> None:
    with pytest.raises(RPCError):
        await gateway(RPCStatusCode.INVALID_ARGUMENT).cancel("1", CancelRequest("api:shop"), key="k")
