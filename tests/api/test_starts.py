"""Starts are noted after the answer: together where they come together, and lost without harm."""

import asyncio

from sqlalchemy import text

from api.starts import Starts
from db.base import Database
from domain.errors import Unavailable
from tests.api.conftest import Api, order_body


async def noted(database: Database) -> dict[str, int]:
    """In which transaction each start was noted."""
    query = "SELECT id, CAST(CAST(xmin AS text) AS bigint) FROM orders WHERE started_at IS NOT NULL"
    async with database.reading() as connection:
        return {row[0]: row[1] for row in await connection.execute(text(query))}


async def not_started(api: Api, count: int) -> list[str]:
    """The ids of accepted orders whose workflows could not be started."""
    api.gateway.away = Unavailable("Temporal does not answer right now.")
    bodies = [order_body(external_reference=f"start-{number}") for number in range(count)]
    answers = [await api.http.post("/v1/orders", json=body) for body in bodies]
    return [answer.json()["id"] for answer in answers]


async def test_what_starts_while_a_note_is_on_its_way_is_noted_together_with_the_next(api: Api) -> None:
    first, *others = await not_started(api, 4)
    starts = Starts(api.database)
    starts.note(first)
    await asyncio.sleep(0)
    for order in others:
        starts.note(order)
    await starts.settled()
    transactions = await noted(api.database)
    assert set(transactions) == {first, *others}
    assert len({transactions[order] for order in others}) == 1
    assert transactions[first] != transactions[others[0]]


async def test_a_note_that_is_lost_leaves_the_order_to_the_relay_and_the_next_is_noted(api: Api) -> None:
    lost, later = await not_started(api, 2)
    starts = Starts(api.database)
    async with api.database.reading() as connection:
        await connection.execute(text("ALTER TABLE orders RENAME TO elsewhere"))
    starts.note(lost)
    await starts.settled()
    async with api.database.reading() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO orders"))
    starts.note(later)
    await starts.settled()
    assert set(await noted(api.database)) == {later}


async def test_an_order_that_is_refused_takes_no_number(api: Api) -> None:
    before = int((await api.place())["number"].removeprefix("WB-"))
    refused = await api.http.post("/v1/orders", json=order_body(external_reference="refused", total=1))
    after = await api.http.post("/v1/orders", json=order_body(external_reference="next"))
    assert refused.status_code == 422
    assert after.json()["number"] == f"WB-{before + 1}"
