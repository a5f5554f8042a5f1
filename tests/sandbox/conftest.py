"""One sandbox for all its tests, emptied before each; and a receiver of webhooks."""

from collections.abc import Iterator
from typing import Any

import pytest
import stripe

from tests.sandbox.servers import Receiver, RunningSandbox


@pytest.fixture(scope="session")
def running_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSandbox]:
    running = RunningSandbox(tmp_path_factory.mktemp("sandbox"))
    yield running
    running.stop()


@pytest.fixture
def sandbox(running_sandbox: RunningSandbox) -> RunningSandbox:
    running_sandbox.control("reset")
    return running_sandbox


@pytest.fixture
def vendor(sandbox: RunningSandbox) -> stripe.StripeClient:
    return sandbox.client()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    listening = Receiver()
    yield listening
    listening.stop()


@pytest.fixture
def card_payment() -> dict[str, Any]:
    """A payment of 50.00 EUR by a good card, held for a later capture."""
    return {
        "amount": 5000,
        "currency": "eur",
        "capture_method": "manual",
        "payment_method": "pm_card_visa",
        "payment_method_types": ["card"],
        "confirm": True,
        "metadata": {"order": "o-1"},
    }
