"""Ctrl-C is a good ending, and what a person can put right is one line."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENT = """
import asyncio, sys
from local.terminal import run, until_told
async def main():
    try:
        print("ready", flush=True)
        await (until_told() if sys.argv[2] == "waits" else asyncio.sleep(600))
    finally:
        await asyncio.sleep(float(sys.argv[1]))
        print("tidied", flush=True)
    return 0
sys.exit(run(main))
"""
FAILING = """
import sys
from local.processes import LocalError
from local.terminal import run
async def main():
    raise LocalError("Port 8000 is in use (WEB_PORT).")
sys.exit(run(main))
"""


async def started(program: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, *arguments),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(("doing", "status"), [("waits", 0), ("works", 130)])
async def test_a_signal_ends_it_tidily_and_is_a_failure_only_to_unfinished_work(
    ending: signal.Signals, doing: str, status: int
) -> None:
    process = await started(PATIENT, "0", doing)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"ready\n"
    process.send_signal(ending)
    out, errors = await process.communicate()
    assert (process.returncode, out, errors) == (status, b"tidied\n", b"")


async def test_a_second_signal_leaves_at_once() -> None:
    process = await started(PATIENT, "600", "works")
    assert process.stdout is not None
    await process.stdout.readline()
    process.send_signal(signal.SIGINT)
    deadline = asyncio.get_running_loop().time() + 20
    while process.returncode is None:  # the first may still be on its way
        assert asyncio.get_running_loop().time() < deadline
        process.send_signal(signal.SIGTERM)
        await asyncio.wait([asyncio.ensure_future(process.wait())], timeout=0.1)
    await process.communicate()
    assert process.returncode == 130


async def test_what_a_person_can_put_right_is_one_line_and_status_2() -> None:
    process = await started(FAILING)
    out, errors = await process.communicate()
    assert (process.returncode, out, errors) == (2, b"", b"Port 8000 is in use (WEB_PORT).\n")
