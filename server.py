"""The web process: settings -> app -> serve."""

import signal
import sys

import uvicorn

from runtime.logs import configure_logs
from runtime.settings import SettingsError, load_settings
from runtime.web import create_app


def main() -> int:
    """Serve until SIGTERM or SIGINT; requests in flight get ten seconds to end."""
    try:
        settings = load_settings()
    except SettingsError as error:
        sys.stderr.write(f"The web process cannot start:\n{error}\n")
        return 2
    configure_logs(settings.log_level)
    # Once it has ended in good order, uvicorn raises the signal again: this makes the exit status 0, as after SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    uvicorn.run(
        create_app(settings),
        host=settings.web_host,
        port=settings.web_port,
        timeout_graceful_shutdown=10,
        limit_concurrency=1000,
        server_header=False,
        log_config=None,
        access_log=False,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
