"""Money is conserved: whatever people, providers and faults do in whatever order, the books agree after every step."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.activities.days.changing import Changing
from tests.activities.days.claiming import Claiming
from tests.activities.days.paying import Paying
from tests.activities.days.refunding import Refunding
from tests.activities.days.shop import Shop
from tests.sandbox.servers import RunningSandbox

DAILY, LONG = (200, 6), (1500, 20)
"""how many days are lived to their end, and how many things happen in one; about half as many more are broken off"""


class Day(Paying, Refunding, Changing, Claiming):
    """One order, and everything that can happen to it."""


@pytest.fixture
def shop(shop_url: str, sandbox: RunningSandbox) -> Iterator[Shop]:
    shop = Shop(shop_url, sandbox)
    yield shop
    shop.close()


def live(shop: Shop, days: int, steps: int) -> None:
    """So many days, each with an order of its own."""

    class Here(Day):
        def __init__(self) -> None:
            super().__init__(shop)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=days,
            stateful_step_count=steps,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert shop.days >= days


def test_money_is_conserved_whatever_happens(shop: Shop) -> None:
    live(shop, *DAILY)


@pytest.mark.fuzz
def test_money_is_conserved_on_many_long_days(shop: Shop) -> None:
    live(shop, *LONG)
