"""The sandbox's clock can be set wrong: it says another time, and nothing happens sooner or later for it."""

import time
from typing import Any

import pytest

from tests.sandbox.servers import RunningSandbox


def set_clock(sandbox: RunningSandbox, ahead: Any) -> int:
    status: int = sandbox.http.put("/control/clock", json={"ahead_seconds": ahead}).status_code
    return status


def created(sandbox: RunningSandbox) -> int:
    made = sandbox.client().v1.payment_intents.create({"amount": 500, "currency": "usd"})
    return int(made.created)


def test_a_wrong_clock_dates_what_is_made_and_survives_a_restart(sandbox: RunningSandbox) -> None:
    assert set_clock(sandbox, 600) == 200
    sandbox.restart()
    assert sandbox.view("clock") == {"ahead_seconds": 600}
    assert 590 < created(sandbox) - time.time() < 610
    assert set_clock(sandbox, -600) == 200
    assert -610 < created(sandbox) - time.time() < -590
    assert set_clock(sandbox, 0) == 200
    assert abs(created(sandbox) - time.time()) < 10


def test_what_is_under_way_is_due_no_sooner_for_a_clock_that_was_set(
    sandbox: RunningSandbox, card_payment: Any
) -> None:
    intent = sandbox.client().v1.payment_intents.create(card_payment)
    before = sandbox.view(f"books/payment_intent/{intent.id}")["_lapses_at"]
    set_clock(sandbox, 600)
    assert sandbox.view(f"books/payment_intent/{intent.id}")["_lapses_at"] == pytest.approx(before + 600)
    set_clock(sandbox, 0)
    assert sandbox.view(f"books/payment_intent/{intent.id}")["_lapses_at"] == pytest.approx(before)


@pytest.mark.parametrize("wrong", ["soon", None, True, 1e9])
def test_a_clock_is_not_set_to_nonsense(sandbox: RunningSandbox, wrong: Any) -> None:
    assert set_clock(sandbox, wrong) == 422
    assert sandbox.view("clock")["ahead_seconds"] == 0
