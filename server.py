"""The web process: settings -> app -> serve."""

import signal
import sys

import uvicorn

from runtime.collector import spare_what_stays
from runtime.logs import configure_logs
from runtime.sdk_threads import spare_threads
from runtime.settings import SettingsError, load_settings
from runtime.traces import open_traces
from runtime.web import create_app

# Longer than Caddy's file has it keep a connection that nobody uses: who sends a request just as the other side closes
# gets no answer, and a webhook is sent again much later. Not much longer: each open one counts towards the limit below.
KEEP_ALIVE_SECONDS = 25


def main() -> int:
    """Serve until SIGTERM or SIGINT; requests in flight get ten seconds to end."""
    try:
        settings = load_settings()
        traces = open_traces(settings, "waybill-web")
    except SettingsError as error:
        sys.stderr.write(f"The web process cannot start:\n{error}\n")
        return 2
    configure_logs(settings.log_level, also=traces.ids)
    spare_threads()
    # Once it has ended in good order, uvicorn raises the signal again: this makes the exit status 0, as after SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app = create_app(settings, traces)
        spare_what_stays()
        uvicorn.run(
            app,
            host=settings.web_host,
            port=settings.web_port,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=10,
            limit_concurrency=1000,
            server_header=False,
            log_config=None,
            access_log=False,
        )
    finally:
        traces.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
