"""The whole stack: orders reach their customers although processes die, and a restart goes on where it left off."""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic

import pytest

from local.board import Seen
from local.demo import quicken
from local.ports import Ports
from local.processes import LocalError
from local.sample_orders import sample_orders
from local.shop import Shop
from local.stack import Stack

GIVEN = ("DATABASE_URL", "TEMPORAL_ADDRESS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in GIVEN}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with TemporaryDirectory(prefix="waybill-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def stack_on(folder: Path, ports: Ports, told: list[str]) -> Stack:
    return Stack(folder, ports=ports, say=told.append, environment=ENVIRONMENT, durable=False)


async def orders_until(shop: Shop, true: Callable[[list[Seen]], bool], *, seconds: float = 60) -> list[Seen]:
    deadline = monotonic() + seconds
    while not true(orders := await shop.orders()):
        assert monotonic() < deadline, [order.waiting for order in orders]
        await asyncio.sleep(0.1)
    return orders


async def test_orders_outlive_a_killed_worker_and_a_restart_of_everything(folder: Path) -> None:
    ports, told = Ports.ephemeral(), list[str]()
    async with (
        stack_on(folder, ports, told) as stack,
        Shop(stack.addresses.web, api_key=stack.secrets.api_key) as shop,
    ):
        await shop.load_catalogue()
        placed = [await shop.place(order) for order in sample_orders(3, batch="stack")]
        os.kill(stack.supervisor.pid("worker"), signal.SIGKILL)
        await orders_until(shop, lambda orders: all(order.status == "fulfilling" for order in orders))
    assert told[0] == "worker ended unexpectedly (SIGKILL); starting it again."
    async with stack_on(folder, ports, told) as again:
        await quicken(again.addresses.sandbox)
        async with Shop(again.addresses.web, api_key=again.secrets.api_key) as shop:
            orders = await orders_until(shop, lambda orders: all(order.ended for order in orders))
    assert {order.status for order in orders} == {"delivered"}
    assert {order.id for order in orders} == {order.id for order in placed}


async def test_a_stack_that_cannot_start_says_why_and_leaves_nothing_running(folder: Path) -> None:
    ports = Ports.ephemeral()
    wrong = ENVIRONMENT | {"DATABASE_URL": "mysql://nowhere"}
    with pytest.raises(LocalError, match=r"migrate failed .* must start with postgresql://"):
        async with Stack(folder, ports=ports, say=print, environment=wrong, durable=False):
            pass
    ports.check_free()  # what had started is gone
