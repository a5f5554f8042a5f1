"""The one sentence that says what an order waits for."""

from datetime import UTC, datetime

import pytest

from domain.waiting import Party, Waiting

SINCE = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
UNTIL = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
NAMES = {
    Party.WAYBILL: "Waybill itself",
    Party.CUSTOMER: "the customer",
    Party.PAYMENT_PROVIDER: "the payment provider",
    Party.CARRIER: "the carrier",
    Party.WAREHOUSE: "the warehouse",
    Party.SUPPLIER: "the supplier",
    Party.OPERATOR: "an operator",
}


@pytest.mark.parametrize(
    ("waiting", "sentence"),
    [
        (
            Waiting("another way to pay", Party.CUSTOMER, SINCE, UNTIL, "the order expires"),
            "Waiting for another way to pay (on the customer) since 2026-03-01 09:30:00 UTC, "
            "until 2026-03-02 09:30:00 UTC; then the order expires.",
        ),
        (
            Waiting("a decision (retry): it failed", Party.OPERATOR, SINCE),
            "Waiting for a decision (retry): it failed (on an operator) since 2026-03-01 09:30:00 UTC.",
        ),
        (Waiting("Delivered", Party.NOBODY, SINCE), "Delivered, 2026-03-01 09:30:00 UTC."),
    ],
    ids=["with an end", "until a person decides", "on nobody"],
)
def test_a_wait_is_one_sentence(waiting: Waiting, sentence: str) -> None:
    assert waiting.sentence == sentence


@pytest.mark.parametrize("party", [p for p in Party if p is not Party.NOBODY])
def test_every_party_has_a_name_in_the_sentence(party: Party) -> None:
    assert f"(on {NAMES[party]})" in Waiting("it", party, SINCE).sentence
