"""A sandbox on a free port, and a receiver of webhooks: real servers for the tests of the sandbox."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import stripe

from integrations.sandbox.app import create_server
from integrations.sandbox.settings import FixedHook, Settings
from local.ports import free_port

KEY = "sk_test_sandbox"


def until(condition: Callable[[], Any], *, seconds: float = 10) -> Any:
    """What the condition returns once that is true; fails after the deadline."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"not so within {seconds} s")


class RunningSandbox:
    """The sandbox in a thread. `restart` closes it and opens the same books again, on the same port."""

    def __init__(self, data: Path, *, hooks: tuple[FixedHook, ...] = (), api_key: str | None = None) -> None:
        self._data, self._hooks = data, hooks
        self.books = data / "books.sqlite3"
        self._keys = {"stripe": api_key} if api_key else {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.http = httpx2.Client(base_url=self.url, timeout=10, trust_env=False)
        self._start()

    def client(self, *, key: str = KEY, retries: int = 0) -> stripe.StripeClient:
        """The vendor's own client, talking to this sandbox."""
        addresses: Any = {"api": f"{self.url}/stripe"}
        return stripe.StripeClient(key, base_addresses=addresses, max_network_retries=retries)

    def dial(self, **dials: Any) -> None:
        """Turn the payment vendor's dials."""
        self.http.put("/control/dials/stripe", json=dials).raise_for_status()

    def fail_next(self, operation: str, status: int | str, **more: Any) -> None:
        """Script one fault."""
        self.dial(fail_next=[{"operation": operation, "status": status, **more}])

    def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """POST to a control and return what it says."""
        response = self.http.post(f"/control/{path}", json=body or {})
        response.raise_for_status()
        return response.json()

    def view(self, path: str) -> Any:
        """GET a control."""
        response = self.http.get(f"/control/{path}")
        response.raise_for_status()
        return response.json()

    def restart(self) -> None:
        """Stop, and start again on the same books."""
        self.stop()
        self._start()

    def stop(self) -> None:
        """Stop and wait for it."""
        self._server.should_exit = True
        self._thread.join()

    def _start(self) -> None:
        settings = Settings(data=self._data, public_url=self.url, hooks=self._hooks, api_keys=dict(self._keys))
        self._server = create_server(settings, host="127.0.0.1", port=self.port)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        until(lambda: self._server.started)


@dataclass(frozen=True)
class Received:
    """One webhook as it arrived."""

    headers: dict[str, str]
    body: bytes
    path: str
    at: float


@dataclass
class Receiver:
    """Takes webhooks; ``replies`` are the statuses of the next ones, 200 when used up."""

    received: list[Received] = field(default_factory=list)
    replies: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.received.append(Received(headers, body, self.path, time.time()))
                self.send_response(receiver.replies.pop(0) if receiver.replies else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/hooks"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}).start()

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, count: int) -> list[Received]:
        """What arrived, once that is at least so many."""
        until(lambda: len(self.received) >= count)
        return list(self.received)


def card_of(charge: stripe.Charge) -> Any:
    """The card in the details of a charge."""
    details: Any = charge.payment_method_details
    return details["card"]


def error_of(caught: stripe.StripeError) -> Any:
    """The vendor's error object."""
    body: Any = caught.json_body
    return body["error"]
