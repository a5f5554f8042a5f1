"""What a drill may be asked for, and the refusal of what makes no sense."""

import pytest

from drill.settings import SHORTEST, Settings
from local.processes import LocalError


def test_without_settings_a_seed_is_drawn_and_two_hundred_orders_are_placed() -> None:
    settings = Settings.from_environment({})
    assert settings.orders == 200
    assert settings.seed >= 1
    assert settings.faults == frozenset()


def test_settings_come_from_the_environment() -> None:
    settings = Settings.from_environment({"SEED": "7", "ORDERS": "10", "FAULTS": "worker, postgres"})
    assert (settings.seed, settings.orders, settings.seconds) == (7, 10, SHORTEST)
    assert settings.faults == {"worker", "postgres"}
    assert Settings.from_environment({"MINUTES": "30"}).seconds == 1800


@pytest.mark.parametrize(
    ("environment", "told"),
    [
        ({"ORDERS": "none"}, "ORDERS must be a number from 1 to 20000, not 'none'"),
        ({"SEED": "-1"}, "SEED must be a number"),
        ({"MINUTES": "0"}, "MINUTES must be a number"),
        ({"FAULTS": "worker,gremlins"}, "not gremlins"),
    ],
)
def test_a_wrong_setting_is_refused_with_what_is_right(environment: dict[str, str], told: str) -> None:
    with pytest.raises(LocalError, match=told):
        Settings.from_environment(environment)
