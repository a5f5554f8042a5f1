"""The worker process: settings -> activities, workflows, relay -> run. `--queue portals`: jobs in portals alone."""

import argparse
import asyncio
import importlib
import sys
from collections.abc import Awaitable, Callable

import uvloop

from runtime.collector import spare_what_stays
from runtime.logs import configure_logs
from runtime.sdk_threads import spare_threads
from runtime.settings import Settings, SettingsError, load_settings
from runtime.traces import Traces, open_traces
from runtime.worker import run_worker

Run = Callable[[Settings, Traces], Awaitable[None]]

_NO_PLAYWRIGHT = (
    "Portals need the package `playwright`, which is the extra `portals` in pyproject.toml; see docs/portals.md."
)


def main(arguments: list[str] | None = None) -> int:
    """Work until SIGTERM or SIGINT; ``arguments`` are those of the command line, if none are given."""
    parser = argparse.ArgumentParser(prog="worker.py", description="Waybill's worker.")
    parser.add_argument("--queue", choices=("orders", "portals"), default="orders", help="what to work on")
    queue: str = parser.parse_args(arguments).queue
    try:
        settings = load_settings()
        run = run_worker if queue == "orders" else _portals()
        traces = open_traces(settings, "waybill-worker")
    except SettingsError as error:
        return _refused(error)
    configure_logs(settings.log_level, also=traces.ids)
    spare_threads()
    spare_what_stays()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_awaited(run, settings, traces))
    except SettingsError as error:
        return _refused(error)
    finally:
        traces.close()
    return 0


async def _awaited(run: Run, settings: Settings, traces: Traces) -> None:
    await run(settings, traces)


def _portals() -> Run:
    """Loaded here alone, so that an installation without portals does without a browser's packages."""
    try:
        module = importlib.import_module("runtime.portals")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "playwright":
            raise
        raise SettingsError(_NO_PLAYWRIGHT) from error
    run: Run = module.run_portals
    return run


def _refused(error: SettingsError) -> int:
    sys.stderr.write(f"The worker cannot start:\n{error}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
