"""The worker process: settings -> activities, workflows, relay -> run."""

import asyncio
import sys

import uvloop

from runtime.collector import spare_what_stays
from runtime.logs import configure_logs
from runtime.settings import SettingsError, load_settings
from runtime.traces import open_traces
from runtime.worker import run_worker


def main() -> int:
    """Work until SIGTERM or SIGINT."""
    try:
        settings = load_settings()
        traces = open_traces(settings, "waybill-worker")
    except SettingsError as error:
        sys.stderr.write(f"The worker cannot start:\n{error}\n")
        return 2
    configure_logs(settings.log_level, also=traces.ids)
    spare_what_stays()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_worker(settings, traces))
    finally:
        traces.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
