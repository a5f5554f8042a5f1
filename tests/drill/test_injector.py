"""What becomes of servers that do not get ready again by themselves."""

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from drill.injector import Injector
from drill.stack import DrillStack
from local.ports import LOOPBACK, free_port
from local.processes import Service, Supervisor, answers


@dataclass
class OneServer:
    """A stack as far as its processes are concerned."""

    supervisor: Supervisor


async def test_a_server_that_hangs_is_killed_and_started_again_and_told_of(tmp_path: Path) -> None:
    port = free_port()
    service = Service(
        name="postgres",
        command=[sys.executable, "-m", "http.server", "--bind", LOOPBACK, str(port)],
        environment={},
        folder=tmp_path,
        log=tmp_path / "log",
        ready=lambda: answers(f"http://{LOOPBACK}:{port}/"),
    )
    supervisor = Supervisor(tmp_path / "pids.json", print)
    injector = Injector(cast(DrillStack, OneServer(supervisor)), ready_within=1.0)
    await supervisor.run(service)
    try:
        hung = supervisor.pid("postgres")
        await injector.have_ready("postgres")
        assert injector.findings == []
        os.kill(hung, signal.SIGSTOP)
        await injector.have_ready("postgres")
        assert injector.findings == ["postgres answered nobody for 1 s, and was killed and started again"]
        assert supervisor.pid("postgres") != hung
        assert await service.ready()
    finally:
        await injector.close()
        await supervisor.stop()
