"""One supplier and one browser for all tests of portals; each test finds the books empty and the dials at rest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.portals.browser import Chromium, find_chromium
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from tests.activities.world import database, shop_url, world
from tests.ground import Ground
from tests.house import open_house
from tests.portals.trade import QUICK, Trade, open_trade
from tests.street import Street
from tests.supplier import Supplier, open_supplier

__all__ = ["database", "shop_url", "world"]

DAILY = frozenset(
    {
        "test_a_kill_at_any_step_leaves_one_order_at_the_portal",
        "test_a_cancelled_order_is_cancelled_at_the_portal_and_cannot_come_back",
        "test_an_order_goes_through_the_portal_to_the_door",
        "test_a_paused_portal_holds_its_orders_and_resuming_continues_them",
        "test_without_a_worker_the_order_says_so_and_is_cancelled_without_one",
        "test_a_portal_of_which_parts_are_missing_is_paused_and_people_are_told",
        "test_a_person_orders_by_hand_while_the_portal_is_paused",
        "test_a_browser_that_dies_while_nobody_visits_is_started_again",
    }
)
"""what every run looks at; a job in a browser takes seconds, and the others are left to `make fuzz`"""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most to the long run."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and getattr(item, "originalname", "") not in DAILY:
            item.add_marker(pytest.mark.fuzz)


@pytest.fixture(scope="session")
async def portal_process(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supplier]:
    """The supplier's portal."""
    async with open_supplier(tmp_path_factory.mktemp("supplier")) as supplier:
        yield supplier


@pytest.fixture
async def supplier(portal_process: Supplier) -> Supplier:
    """The portal, tidied."""
    await portal_process.tidy()
    return portal_process


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    """The browser."""
    async with Chromium(find_chromium(), sandbox=False) as chromium:
        yield chromium


@pytest.fixture
def office(chromium: Chromium, supplier: Supplier) -> Office:
    """Visits to the portal, with a log-in of this test's own."""
    return Office(chromium, [supplier.account], Sessions(), pace=QUICK)


@pytest.fixture
async def trade(street: Street, ground: Ground, chromium: Chromium) -> AsyncIterator[Trade]:
    """A house with a supplier; no worker of portals yet."""
    async with open_house(street, ground) as house, open_trade(house, chromium) as trade:
        yield trade


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """For log-ins that are kept on disk."""
    return tmp_path / "sessions"
