"""The order's payment, and a look into the provider's own books."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from activities.payments import Payments, PayStep
from db.base import Database
from domain.money import Money
from domain.orders import PaymentSource
from domain.payments import PaymentState
from integrations.payments.stripe.adapter import Stripe
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

OWED = Money(2000, "USD")


@pytest.fixture
def payments(database: Database, stripe: Stripe) -> Payments:
    return Payments(database, {stripe.name: stripe})


@pytest.fixture
async def step(world: World) -> PayStep:
    """The first decision about the payment of an order, by a good card."""
    return await step_for(world, "pm_card_visa")


async def step_for(world: World, method: str | None, *, intent: str | None = None) -> PayStep:
    source = PaymentSource("stripe", method, intent)
    return PayStep(await world.order("1"), "WB-1", source, OWED, datetime.now(UTC))


def of(step: PayStep, state: PaymentState, *, n: int = 1) -> PayStep:
    """A later step of the same payment."""
    return replace(step, reference=state.reference, n=n)


async def told(world: World) -> list[tuple[str, int, bool]]:
    """The record's steps: kind, amount, whether it is known to be done."""
    rows = await world.rows("SELECT kind, amount, at FROM payment_events ORDER BY intended_at, key")
    return [(row.kind, row.amount, row.at is not None) for row in rows]


def intents(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    """The payments in the provider's books, without those that were cancelled."""
    found: list[dict[str, Any]] = sandbox.view("books/payment_intent")["data"]
    return [intent for intent in found if intent["status"] != "canceled"]


def sums(sandbox: RunningSandbox) -> tuple[Any, Any, Any]:
    """Held, captured and refunded in the provider's books, in cents."""
    books = sandbox.view("summary")["stripe"]
    held, taken, given_back = (books[part].get("usd", 0) for part in ("authorised", "captured", "refunded"))
    return held, taken, given_back
