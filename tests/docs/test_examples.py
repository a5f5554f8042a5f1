"""The guide's commands are run as they stand, one block after the other, against a whole stack."""

import asyncio
import shutil
from dataclasses import asdict
from pathlib import Path
from time import monotonic

import pytest

from local.ports import Ports
from local.stack import Stack
from tests.docs.reading import blocks, read

PATIENCE_SECONDS = 30
PAUSE_SECONDS = 0.2
LACKING = [program for program in ("bash", "curl", "jq") if shutil.which(program) is None]


class Reader:
    """Somebody who pastes block after block into one shell, and tries again where an order is not that far yet."""

    def __init__(self, folder: Path, ports: Ports) -> None:
        self._folder = folder
        self._ports = {str(port): str(asdict(ports)[name]) for name, port in asdict(Ports()).items()}

    async def follow(self, block: str) -> None:
        """Runs a block until it succeeds; fails with what it said last where it does not in time."""
        for usual, ours in self._ports.items():
            block = block.replace(f"127.0.0.1:{usual}", f"127.0.0.1:{ours}")
        deadline = monotonic() + PATIENCE_SECONDS
        while True:
            status, said = await self._run(block)
            if status == 0:
                return
            assert monotonic() < deadline, f"{block}\nsaid:\n{said}"
            await asyncio.sleep(PAUSE_SECONDS)

    async def _run(self, block: str) -> tuple[int, str]:
        """Every block gets a shell of its own that begins with the variables and functions of the one before."""
        script = f"touch state; . ./state\nset -a -e -o pipefail\n{block}\nexport -p > state; declare -f >> state"
        process = await asyncio.create_subprocess_exec(
            *("bash", "-c", script),
            cwd=self._folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        return process.returncode or 0, said.decode(errors="replace")


@pytest.mark.skipif(bool(LACKING), reason=f"not installed: {', '.join(LACKING)}")
async def test_the_commands_of_the_guide_work_as_they_stand(folder: Path, stack: Stack) -> None:
    reader = Reader(folder, stack.ports)
    for block in blocks(read(), "sh"):
        await reader.follow(block)
