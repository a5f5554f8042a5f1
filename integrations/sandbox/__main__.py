"""Run the sandbox: ``python -m integrations.sandbox --port 8400 --data DIR``.

Webhook targets and keys may come from the environment, where they do not show in a process list:
SANDBOX_STRIPE_WEBHOOK_URL, SANDBOX_STRIPE_WEBHOOK_SECRET, SANDBOX_STRIPE_API_KEY, and the same for EASYPOST.
"""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from integrations.sandbox.app import create_server
from integrations.sandbox.settings import FixedHook, Settings

VENDORS = ("stripe", "easypost")


def parse(argv: Sequence[str] | None, environment: Mapping[str, str]) -> argparse.Namespace:
    """Read the command line; options not given fall back to the environment."""
    parser = argparse.ArgumentParser(prog="python -m integrations.sandbox", description="Stand-ins for vendors.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8400)
    parser.add_argument("--data", type=Path, required=True, help="folder of the books")
    parser.add_argument("--public-url", help="what links in answers begin with; default: host and port")
    for vendor in VENDORS:
        for option in ("webhook-url", "webhook-secret"):
            name = f"SANDBOX_{vendor}_{option}".upper().replace("-", "_")
            parser.add_argument(f"--{vendor}-{option}", default=environment.get(name), help=f"or {name}")
    return parser.parse_args(argv)


def read_settings(options: argparse.Namespace, environment: Mapping[str, str]) -> Settings:
    """The settings from command line and environment. Raises `ValueError` for a secret without a URL."""
    hooks = [hook for vendor in VENDORS if (hook := _hook(vendor, vars(options)))]
    names = {vendor: f"SANDBOX_{vendor.upper()}_API_KEY" for vendor in VENDORS}
    return Settings(
        data=options.data,
        public_url=(options.public_url or f"http://{options.host}:{options.port}").rstrip("/"),
        hooks=tuple(hooks),
        api_keys={vendor: environment[name] for vendor, name in names.items() if environment.get(name)},
    )


def _hook(vendor: str, options: Mapping[str, str | None]) -> FixedHook | None:
    url, secret = options[f"{vendor}_webhook_url"], options[f"{vendor}_webhook_secret"]
    if not url:
        if secret:
            raise ValueError(f"a webhook secret for {vendor} was given, but no URL")
        return None
    return FixedHook(vendor, url, secret or "")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    options = parse(None, os.environ)
    server = create_server(read_settings(options, os.environ), host=options.host, port=options.port)
    server.run()


if __name__ == "__main__":
    main()
