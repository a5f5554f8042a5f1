"""A wish that is refused leaves no trace in an order's history, so nothing may come of it, however late it is."""

import pytest

from tests.faults.refusing import refuse
from tests.ground import Ground
from tests.house import open_house
from tests.street import Street
from tests.workflows.stories import STORIES

_DAILY = ("handed_over", "held")
_BY_BROWSER = frozenset({"supplied", "withdrawn"})


async def check(street: Street, ground: Ground, monkeypatch: pytest.MonkeyPatch, story: str) -> None:
    """Time alone moves no order: the steps that it takes are those of its history."""
    done = refuse(monkeypatch)
    async with open_house(street, ground) as house:
        await STORIES[story](house)
    assert done == []


@pytest.mark.parametrize("story", _DAILY)
async def test_an_order_takes_no_step_because_a_wish_was_refused(
    street: Street, ground: Ground, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    await check(street, ground, monkeypatch, story)


@pytest.mark.fuzz
@pytest.mark.parametrize("story", sorted(set(STORIES) - _BY_BROWSER))
async def test_no_order_takes_a_step_because_a_wish_was_refused(
    street: Street, ground: Ground, monkeypatch: pytest.MonkeyPatch, story: str
) -> None:
    await check(street, ground, monkeypatch, story)
