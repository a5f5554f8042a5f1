"""What the stack does before it runs; `tests/end_to_end` sees it at work."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from local.ports import Ports
from local.processes import LocalError
from local.stack import Stack

GIVEN = ("DATABASE_URL", "TEMPORAL_ADDRESS")
ENVIRONMENT = {name: value for name, value in os.environ.items() if name not in GIVEN}


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with TemporaryDirectory(prefix="waybill-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


async def test_a_stack_that_cannot_start_says_why_and_leaves_nothing_running(folder: Path) -> None:
    ports = Ports.ephemeral()
    wrong = ENVIRONMENT | {"DATABASE_URL": "mysql://nowhere"}
    with pytest.raises(LocalError, match=r"migrate failed .* must start with postgresql://"):
        async with Stack(folder, ports=ports, say=print, environment=wrong, durable=False):
            pass
    ports.check_free()  # what had started is gone


async def test_a_stack_on_a_port_in_use_touches_nothing(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports = replace(Ports.ephemeral(), web=listener.getsockname()[1])
        with pytest.raises(LocalError, match=r"is in use \(WEB_PORT\)"):
            async with Stack(folder, ports=ports, say=print, environment=ENVIRONMENT):
                pass
    assert not (folder / "pids.json").exists()


def test_servers_of_ones_own_need_no_ports_here(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        given = ENVIRONMENT | {"DATABASE_URL": "postgresql://db/waybill", "TEMPORAL_ADDRESS": "temporal:7233"}
        for own in ({"postgres": taken}, {"temporal": taken}, {"temporal_ui": taken}):
            ports = replace(Ports.ephemeral(), **own)
            Stack(folder, ports=ports, say=print, environment=given).check_ports()
            with pytest.raises(LocalError):
                Stack(folder, ports=ports, say=print, environment=ENVIRONMENT).check_ports()
