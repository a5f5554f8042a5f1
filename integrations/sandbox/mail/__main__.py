"""Run the mail sandbox: `python -m integrations.sandbox.mail --smtp-port P --http-port Q --data DIR`."""

import argparse
from pathlib import Path

import uvicorn
import uvloop

from integrations.sandbox.mail.dials import Dials
from integrations.sandbox.mail.smtp import Listener
from integrations.sandbox.mail.store import MailStore
from integrations.sandbox.mail.web import build_app


async def serve(*, host: str, smtp_port: int, http_port: int, data: Path) -> None:
    """Serve SMTP and HTTP until the process is told to stop."""
    store, dials = MailStore(data), Dials(data / "dials.json")
    listener = Listener(store, dials, host=host, port=smtp_port)
    await listener.apply()
    config = uvicorn.Config(
        build_app(store, dials, listener), host=host, port=http_port, log_level="warning", access_log=False
    )
    try:
        await uvicorn.Server(config).serve()
    finally:
        await listener.close()
        store.close()


def main() -> None:
    """Parse the command line and serve."""
    parser = argparse.ArgumentParser(prog="integrations.sandbox.mail", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address for both servers (default: this machine only)")
    parser.add_argument("--smtp-port", type=int, required=True)
    parser.add_argument("--http-port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True, help="folder for the mails; kept over restarts")
    options = parser.parse_args()
    options.data.mkdir(parents=True, exist_ok=True)
    uvloop.run(serve(host=options.host, smtp_port=options.smtp_port, http_port=options.http_port, data=options.data))


if __name__ == "__main__":
    main()
