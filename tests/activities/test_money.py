"""Money is conserved: whatever people, providers and faults do in whatever order, the books agree after every step."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Flaky, FlakyStrategyDefinition
from hypothesis.stateful import get_state_machine_test, initialize

from domain.changes.wish import Edits
from tests.activities.days.changing import AT_FIRST, Changing
from tests.activities.days.claiming import Claiming
from tests.activities.days.day import FAULTS, METHODS, Fault
from tests.activities.days.paying import Paying
from tests.activities.days.refunding import Refunding
from tests.activities.days.shop import Shop
from tests.sandbox.servers import RunningSandbox

DAILY, LONG = (200, 5), (600, 20)
"""how many days are lived to their end, and how many things happen in one, that it begins among them"""
FAR = st.sampled_from(["delivered", "captured", "shared", "delivered", "shared", "authorised"])


class Day(Paying, Refunding, Changing, Claiming):
    """One order, and everything that can happen to it."""

    @initialize(method=METHODS, several=st.booleans(), fault=FAULTS, times=st.integers(1, 2), edits=AT_FIRST, far=FAR)
    def an_order_is_placed(
        self, method: str, several: bool, fault: Fault, times: int, edits: Edits | None, far: str
    ) -> None:
        """And as ``far`` goes what follows without any trouble, a change of it included."""
        self.place(method, several=several)
        self.authorise_first(fault, times)
        if self.secured and edits is not None:
            self.somebody_changes_it(edits, "pm_card_visa", 1)
            if self.awaits is not None and far != "authorised":
                self.the_difference_is_paid(fault, 1, True)
        self.go_as_far_as(far)


@pytest.fixture
def shop(shop_url: str, sandbox: RunningSandbox) -> Iterator[Shop]:
    shop = Shop(shop_url, sandbox)
    yield shop
    shop.close()


def live(shop: Shop, days: int, steps: int, *, drawn: bool) -> None:
    """So many days, each with an order of its own: ``drawn`` by chance, or as they were the last time."""

    shop.length = steps

    class Here(Day):
        def __init__(self) -> None:
            super().__init__(shop)

    while (left := days - shop.days) > 0:
        try:
            go_on = get_state_machine_test(
                Here,
                settings=settings(
                    max_examples=left,
                    stateful_step_count=steps,
                    deadline=None,
                    print_blob=True,
                    phases=[Phase.generate],
                    suppress_health_check=list(HealthCheck),
                    derandomize=False,
                ),
            )
            (go_on if drawn else seed(shop.days)(go_on))()
        except FlakyStrategyDefinition as error:
            # Of two people who act at once either may win, so that what can happen next is not the same in every day
            # that begins alike. Hypothesis ends there; the days so far were lived. Whatever else was wrong stays wrong.
            if any(not isinstance(each, Flaky) for each in behind(error)):
                raise


def behind(error: BaseException) -> Iterator[BaseException]:
    """The error, and each that was being handled when the one before was raised."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__context__


def test_money_is_conserved_whatever_happens(shop: Shop) -> None:
    live(shop, *DAILY, drawn=False)


@pytest.mark.fuzz
def test_money_is_conserved_on_many_long_days(shop: Shop) -> None:
    live(shop, *LONG, drawn=True)
