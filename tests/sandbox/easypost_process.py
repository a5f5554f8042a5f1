"""The sandbox as a real process, the vendor's own client for it, and a receiver of webhooks."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
from easypost.easypost_client import EasyPostClient

from local.ports import free_port

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT.parent / "shared" / "fixtures"

SHOP = {
    "name": "EasyPost",
    "street1": "417 Montgomery Street",
    "street2": "5th Floor",
    "city": "San Francisco",
    "state": "CA",
    "zip": "94104",
    "country": "US",
    "phone": "4153334445",
}
CUSTOMER = {
    "name": "Elizabeth Swan",
    "street1": "179 N Harbor Dr",
    "city": "Redondo Beach",
    "state": "CA",
    "zip": "90277",
    "country": "US",
    "email": "elizabeth@example.com",
}
BERLIN = {"name": "Lise Meitner", "street1": "Thielallee 63", "city": "Berlin", "zip": "14195", "country": "DE"}
PARCEL = {"length": 20.2, "width": 10.9, "height": 5.0, "weight": 65.9}
CUSTOMS = {
    "contents_type": "merchandise",
    "customs_certify": True,
    "customs_signer": "Steve Brule",
    "customs_items": [{"description": "T-shirt", "quantity": 1, "value": "10.00", "weight": 5, "origin_country": "US"}],
}


class Sandbox:
    """The process; it can be killed and started again on the same books."""

    def __init__(self, data: Path, **environment: str) -> None:
        self._data, self._environment, self.port = data, environment, free_port()
        self.http = httpx2.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=10)
        self.client = self.client_with("EZTKtest")
        self._process: subprocess.Popen[bytes] | None = None

    def client_with(self, key: str) -> Any:
        """The vendor's client with this key."""
        return EasyPostClient(key, api_base=f"http://127.0.0.1:{self.port}/easypost/v2", timeout=10)

    def start(self) -> None:
        """Start and wait until it answers."""
        command = [sys.executable, "-m", "integrations.sandbox", "--port", str(self.port), "--data", str(self._data)]
        self._process = subprocess.Popen(command, cwd=ROOT, env={"PATH": "/usr/bin:/bin", **self._environment})
        until(self._answers)

    def kill(self) -> None:
        """End it as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def dial(self, **dials: Any) -> None:
        """Turn dials."""
        answer = self.http.put("/control/dials/easypost", json=dials)
        assert answer.status_code == 200, answer.text

    def reset(self) -> None:
        """Good behaviour, with parcels that stand still unless a test lets them go."""
        self.http.delete("/control/dials/easypost")
        self.dial(label_created_seconds=3600)

    def shipment(self, **changes: Any) -> Any:
        """A new shipment with rates, not yet bought."""
        return self.client.shipment.create(
            **{"to_address": CUSTOMER, "from_address": SHOP, "parcel": PARCEL, **changes}
        )

    def bought(self, **changes: Any) -> Any:
        """A shipment with its label."""
        shipment = self.shipment(**changes)
        return self.client.shipment.buy(shipment.id, rate=shipment.lowest_rate())

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the sandbox did not start"
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx2.TransportError:
            return False


class Receiver:
    """A webhook target that keeps what it got and accepts it."""

    def __init__(self) -> None:
        self.got: list[tuple[Mapping[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((dict(self.headers.items()), body))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *arguments: Any) -> None:
                """Be quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/webhooks/easypost"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def until(true: Callable[[], Any], seconds: float = 20) -> None:
    """Wait until something holds. Raises `AssertionError` after the deadline."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
