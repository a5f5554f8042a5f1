"""A stack for whatever is tried as it is written."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from local.ports import Ports
from local.stack import Stack

GIVEN = ("DATABASE_URL", "TEMPORAL_ADDRESS")


@pytest.fixture(scope="package")
def folder() -> Iterator[Path]:
    """A folder that other users may enter, which pytest's own are not."""
    with TemporaryDirectory(prefix="waybill-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


@pytest.fixture(scope="package")
async def stack(folder: Path) -> AsyncIterator[Stack]:
    environment = {name: value for name, value in os.environ.items() if name not in GIVEN}
    kept = folder / ".waybill" / "up"
    ports = Ports.ephemeral()
    async with Stack(kept, ports=ports, say=lambda _: None, environment=environment, durable=False) as stack:
        yield stack
