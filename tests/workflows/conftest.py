"""The whole of Waybill for each test, in a street that a test process shares."""

from collections.abc import AsyncIterator

import pytest

from tests.ground import Ground
from tests.house import House, open_house
from tests.street import Street


@pytest.fixture
async def house(street: Street, ground: Ground) -> AsyncIterator[House]:
    """A database, a worker with its relay, and the web app, for one test; goods in the warehouse are the test's."""
    async with open_house(street, ground) as house:
        yield house
