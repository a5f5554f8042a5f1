"""The sandbox as a process: what it was told, and what a kill cannot take from it."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest
import stripe

from integrations.sandbox.__main__ import parse, read_settings
from integrations.sandbox.settings import FixedHook
from local.ports import free_port
from tests.sandbox.servers import KEY, Receiver, until

ROOT = Path(__file__).parents[2]


class Process:
    """The sandbox's own process, startable again on the same data."""

    def __init__(self, data: Path, **environment: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._data, self._environment = data, environment
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-m", "integrations.sandbox", "--port", str(self.port)]
        command += ["--data", str(self._data)]
        self.running = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **self._environment})
        until(self._healthy, seconds=20)

    def end(self, how: signal.Signals) -> int:
        self.running.send_signal(how)
        return self.running.wait(timeout=10)

    def client(self, key: str = KEY) -> stripe.StripeClient:
        return stripe.StripeClient(key, base_addresses={"api": f"{self.url}/stripe"}, max_network_retries=0)

    def _healthy(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/healthz", trust_env=False).status_code == 200
        except httpx2.TransportError:
            return False


def test_a_kill_takes_nothing_from_the_books(tmp_path: Path, card_payment: Any, receiver: Receiver) -> None:
    process = Process(tmp_path)
    vendor = process.client()
    vendor.v1.webhook_endpoints.create({"url": receiver.url, "enabled_events": ["payment_intent.succeeded"]})
    httpx2.put(f"{process.url}/control/dials/stripe", json={"webhooks": {"late_seconds": 1}}, trust_env=False)
    intent = vendor.v1.payment_intents.create(card_payment, {"idempotency_key": "k-create"})
    vendor.v1.payment_intents.capture(intent.id, options={"idempotency_key": "k-capture"})
    process.end(signal.SIGKILL)

    process.start()
    try:
        assert vendor.v1.payment_intents.retrieve(intent.id).amount_received == 5000
        again = vendor.v1.payment_intents.create(card_payment, {"idempotency_key": "k-create"})
        assert again.id == intent.id
        assert len(vendor.v1.payment_intents.list().data) == 1
        receiver.wait_for(1)
        counted = httpx2.get(f"{process.url}/control/calls/count?deed=true", trust_env=False).json()
        assert counted["operations"]["stripe:payment_intents.capture"] == 1
    finally:
        process.end(signal.SIGKILL)


def test_it_ends_in_peace_when_asked_to(tmp_path: Path) -> None:
    process = Process(tmp_path)
    assert process.end(signal.SIGTERM) in (0, -signal.SIGTERM)


def test_only_the_key_given_at_the_start_opens_it(tmp_path: Path) -> None:
    process = Process(tmp_path, SANDBOX_STRIPE_API_KEY="sk_test_only")
    try:
        with pytest.raises(stripe.AuthenticationError):
            process.client(KEY).v1.payment_intents.list()
        assert process.client("sk_test_only").v1.payment_intents.list().data == []
    finally:
        process.end(signal.SIGKILL)


def test_webhook_targets_come_from_options_or_the_environment() -> None:
    environment = {"SANDBOX_EASYPOST_WEBHOOK_URL": "http://e", "SANDBOX_STRIPE_WEBHOOK_SECRET": "whsec_1"}
    options = parse(["--data", "d", "--port", "9", "--stripe-webhook-url", "http://s"], environment)
    settings = read_settings(options, environment)
    assert settings.hooks == (FixedHook("stripe", "http://s", "whsec_1"), FixedHook("easypost", "http://e", ""))
    assert settings.public_url == "http://127.0.0.1:9"


def test_a_secret_without_a_target_is_refused() -> None:
    environment = {"SANDBOX_STRIPE_WEBHOOK_SECRET": "whsec_1"}
    with pytest.raises(ValueError, match="no URL"):
        read_settings(parse(["--data", "d"], environment), environment)
