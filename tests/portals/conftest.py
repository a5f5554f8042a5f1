"""One supplier and one browser for all tests of portals; each test finds the books empty and the dials at rest."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from integrations.portals.browser import Chromium, find_chromium
from integrations.portals.desk import Pace
from integrations.portals.office import Office
from integrations.portals.sessions import Sessions
from tests.activities.world import database, shop_url, world
from tests.supplier import Supplier, open_supplier

__all__ = ["database", "shop_url", "world"]

QUICK = Pace(load=20, appear=1, act=6)


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
def folder(tmp_path: Path) -> Path:
    """For log-ins that are kept on disk."""
    return tmp_path / "sessions"
