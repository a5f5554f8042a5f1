"""How much is measured."""

import pytest

from bench.settings import Settings
from local.processes import LocalError


def test_without_settings_three_hundred_orders_are_measured() -> None:
    assert Settings.from_environment({"ORDERS": "", "PATH": "/bin"}) == Settings()
    assert (Settings().orders, Settings().in_flight, Settings().listed) == (300, 50, 100_000)


def test_a_quick_look_is_a_matter_of_settings() -> None:
    quick = Settings.from_environment({"ORDERS": "5", "IN_FLIGHT": "2", "LISTED": "1000"})
    assert quick == Settings(orders=5, in_flight=2, listed=1000)
    assert quick.warm_up == 2


@pytest.mark.parametrize("text", ["0", "-1", "many", "1.5", "10000001"])
def test_what_is_no_number_of_orders_is_refused(text: str) -> None:
    with pytest.raises(LocalError, match="ORDERS must be a number from 1 to"):
        Settings.from_environment({"ORDERS": text})
