"""Whether a payment can pay for an order."""

from dataclasses import replace

import pytest

from domain.money import Money
from domain.payments import PaymentState, PaymentStatus, mismatch, step_key

OWED, NOTHING = Money(5000, "EUR"), Money(0, "EUR")
HELD = PaymentState("pi_1", PaymentStatus.AUTHORISED, OWED, OWED, NOTHING, NOTHING, order_id="o-1")
CAPTURED = replace(HELD, status=PaymentStatus.CAPTURED, capturable=NOTHING, captured=OWED)


@pytest.mark.parametrize("state", [HELD, CAPTURED, replace(HELD, order_id=None)])
def test_the_whole_amount_held_or_taken_pays_for_the_order(state: PaymentState) -> None:
    assert mismatch(state, owed=OWED, order_id="o-1") is None


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (replace(HELD, amount=Money(4999, "EUR")), "The payment is for 49.99 EUR, but the order comes to 50.00 EUR."),
        (replace(HELD, amount=Money(5000, "USD")), "The payment is for 50.00 USD, but the order comes to 50.00 EUR."),
        (replace(HELD, order_id="o-2"), "The payment belongs to another order."),
        (replace(HELD, capturable=Money(1, "EUR")), "Only 0.01 EUR of 50.00 EUR is held."),
        (replace(CAPTURED, captured=Money(4000, "EUR")), "Only 40.00 EUR of 50.00 EUR was captured."),
    ],
    ids=["another amount", "another currency", "another order", "held in part", "captured in part"],
)
def test_what_does_not_pay_for_the_order_says_why(state: PaymentState, why: str) -> None:
    assert mismatch(state, owed=OWED, order_id="o-1") == why


def test_only_a_new_decision_makes_a_new_key() -> None:
    assert step_key("o-1", "capture", 1) == step_key("o-1", "capture", 1) == "o-1:capture:1"
    assert len({step_key("o-1", p, n) for p in ("capture", "refund") for n in (1, 2)}) == 4
