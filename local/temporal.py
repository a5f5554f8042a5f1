"""The embedded Temporal server with its Web UI: the `temporal` program from the virtual environment, on a file.

For one machine only; production runs a cluster or Temporal Cloud.
"""

import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from temporalio.client import Client
from temporalio.service import RPCError

from local.ports import LOOPBACK, Ports
from local.processes import LocalError, Service, answers

PROGRAM = "temporal"
NAMESPACE = "default"
# without these the server's SQLite file is 3 to 5 times slower; with them it still survives kill -9
PRAGMAS = ("journal_mode=WAL", "synchronous=NORMAL")
DYNAMIC = (
    # one queue on one machine gains nothing from four parts, which ask each other for work
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # the search attributes are those of its start: it need not read their names from the file at every write
    "system.forceSearchAttributesCacheRefreshOnRead=false",
)
# its garbage is collected half as often, for some 65 MB more
COLLECTOR = {"GOGC": "200"}
PROCESSOR_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def temporal_service(
    folder: Path,
    *,
    ports: Ports,
    log: Path,
    search_attributes: Mapping[str, str],
    codec_endpoint: str | None = None,
) -> Service:
    """The server as a supervised service, its database in `folder`.

    `search_attributes` are names and types as the program spells them (`Keyword`, `Bool`, …). `codec_endpoint` is the
    URL where the Web UI has payloads decrypted. Raises LocalError where the program is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "--db-filename": str(folder / "temporal.db"),
        "--ip": LOOPBACK,
        "--port": str(ports.temporal),
        "--ui-port": str(ports.temporal_ui),
        "--namespace": NAMESPACE,
        "--log-level": "warn",
    }
    if codec_endpoint:
        options["--ui-codec-endpoint"] = codec_endpoint
    command = [find_program(), "server", "start-dev", "--ui-disable-news-fetch"]
    command += [part for option in options.items() for part in option]
    command += [part for pragma in PRAGMAS for part in ("--sqlite-pragma", pragma)]
    command += [part for value in DYNAMIC for part in ("--dynamic-config-value", value)]
    for name, kind in search_attributes.items():
        command += ["--search-attribute", f"{name}={kind}"]

    async def ready() -> bool:
        return await serves(f"{LOOPBACK}:{ports.temporal}") and await answers(f"http://{LOOPBACK}:{ports.temporal_ui}")

    return Service(
        name="temporal",
        command=command,
        environment={  # nothing of the person's own
            "PATH": os.defpath,
            "HOME": str(folder),
            "GOMAXPROCS": str(half_the_processors()),
            **COLLECTOR,
        },
        log=log,
        ready=ready,
        retry_for=timedelta(seconds=5),  # it chooses further ports of its own, and may lose one to somebody
    )


def half_the_processors(quota: Path = PROCESSOR_QUOTA) -> int:
    """How many processors the server has. With all of them it wakes threads that look for work on each, where worker,
    web process and database have theirs to do; that costs more than it brings.

    ``quota`` is what a container may use, as Linux tells of it in `cpu.max`: microseconds of each so many, or `max`.
    """
    may_use = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used, _, of = quota.read_text(encoding="ascii").partition(" ") if quota.exists() else ("max", "", "")
    if used != "max":
        may_use = min(may_use, int(used) // int(of))
    return max(1, may_use // 2)


def find_program() -> str:
    """The `temporal` program beside this Python. Raises LocalError."""
    program = Path(sys.executable).with_name(PROGRAM)
    if not program.exists():
        raise LocalError(f"{program} is missing. Run 'make setup', or set TEMPORAL_ADDRESS to use a server of yours.")
    return str(program)


async def serves(address: str) -> bool:
    """Whether a Temporal server answers its health check there, with our namespace ready."""
    try:
        client = await Client.connect(address, namespace=NAMESPACE)
        return await client.service_client.check_health(timeout=timedelta(seconds=2))
    except (RPCError, RuntimeError):  # the client raises RuntimeError where nothing listens
        return False
