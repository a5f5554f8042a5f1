"""PostgreSQL or Temporal away for a while, as orders arrive and move, or more callers at once than can be served.

Nothing fails, nothing is lost, all goes on.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, asynccontextmanager
from pathlib import Path
from time import monotonic
from typing import Any

import httpx2
import pytest

from api.app import MAX_AT_ONCE
from domain.orders import order_id
from local.shop import Placed
from tests.end_to_end.killing import check_every_deed, hand_over, passed, ready_for_hand_over
from tests.end_to_end.town import Town, simple_order, until

ANSWERS_WITHIN = 12.0
"""seconds that a caller waits at most for a clear answer, whatever is away"""

EVENTS_A_MINUTE = 60
"""that an outage may add at most to the history of each order; what an order's own steps write comes on top"""

OWN_EVENTS = 120
"""more than the history of an order of one parcel that nothing befalls"""

SURPLUS, LARGE = 60, 900_000
"""requests beyond what a web process serves at once, and the bytes of each one's body: 54 MB"""

MOST_GROWTH = 16 * 1024 * 1024
"""bytes of memory that refusing them may take"""


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    await town.good_weather()
    yield
    await town.good_weather()


def away(town: Town, name: str, how: str) -> AbstractAsyncContextManager[None]:
    return town.down(name) if how == "down" else _frozen(town.frozen(name))


@asynccontextmanager
async def _frozen(frozen: AbstractContextManager[None]) -> AsyncIterator[None]:
    with frozen:
        yield


def check_problem(answer: httpx2.Response) -> None:
    """A clear answer that says when to come back."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "unavailable"


async def timed(
    town: Town, method: str, path: str, body: dict[str, Any] | None = None, key: str = ""
) -> httpx2.Response:
    began = monotonic()
    answer = await town.ask(method, path, body, key=key)
    assert monotonic() - began <= ANSWERS_WITHIN, f"{method} {path} took {monotonic() - began:.1f} s"
    return answer


async def goes_on(town: Town, placed: list[Placed], *, name: str, since: float) -> None:
    """Everything ends as if nothing had been; how soon, and how many events it cost, is printed."""
    back = monotonic()
    await town.until(placed, lambda counts: counts["delivered"] == len(placed), seconds=120)
    minutes, count = (back - since) / 60, await town.events(placed)
    each = count / len(placed)
    told = f"away {back - since:.0f} s, all delivered {monotonic() - back:.1f} s later, {each:.0f} events an order"
    print(name, told)  # noqa: T201 - the measures, shown by pytest -s
    assert each <= OWN_EVENTS + EVENTS_A_MINUTE * minutes
    await check_every_deed(town, placed)


async def temporal_away(town: Town, how: str, seconds: float, *, every: float = 1) -> None:
    """While an order comes ``every`` so many seconds."""
    name = f"temporal-{how}-{seconds:.0f}"
    parked = await ready_for_hand_over(town, f"{name}-parked")
    await town.good_weather()
    moving = await town.place(4, batch=f"{name}-moving")
    began = monotonic()
    bodies: list[dict[str, Any]] = []
    async with away(town, "temporal", how):
        while monotonic() < began + seconds:
            body = simple_order(f"{name}-{len(bodies)}")
            answer = await timed(town, "POST", "/v1/orders", body, key=body["external_reference"])
            assert answer.status_code == 202, answer.text
            bodies.append(body)
            if len(bodies) == 2:
                refused = await hand_over(town, parked)
                assert refused is not None
                check_problem(refused)
            for path in ("/v1/orders", f"/v1/orders/{parked.id}", "/healthz"):
                assert (await timed(town, "GET", path)).status_code == 200
            ready = await timed(town, "GET", "/readyz")
            assert (ready.status_code, ready.json()["temporal"]) == (200, False)
            await until(lambda: passed(began + len(bodies) * every), what="the next order")
    accepted = [await town.shop.place(body) for body in bodies]
    await hand_over_patiently(town, parked)
    await town.bring_to_door(parked.id)
    await goes_on(town, [parked, *moving, *accepted], name=name, since=began)


async def hand_over_patiently(town: Town, placed: Placed) -> None:
    """As the API asks its callers to: a 503 is repeated under the same key."""
    path, deadline = f"/v1/fulfilments/{await fulfilment(town, placed)}/hand-over", monotonic() + 60
    while (answer := await timed(town, "POST", path, key=f"hand-over-{placed.id}")).status_code == 503:
        check_problem(answer)
        assert monotonic() < deadline, answer.text
    assert answer.status_code == 200, answer.text


async def fulfilment(town: Town, placed: Placed) -> str:
    return str((await town.order(placed.id))["fulfilments"][0]["id"])


async def postgres_away(town: Town, how: str, seconds: float) -> None:
    name = f"postgres-{how}-{seconds:.0f}"
    moving = await town.place(6, batch=f"{name}-moving")
    await town.until(moving, lambda counts: counts["fulfilling"] + counts["shipped"] > 0)
    began, asked = monotonic(), 0
    bodies = [simple_order(f"{name}-{number}") for number in range(3)]
    async with away(town, "postgres", how):
        while monotonic() < began + seconds:
            asked += 1
            answers = await asyncio.gather(
                *(timed(town, "POST", "/v1/orders", body, body["external_reference"]) for body in bodies),
                timed(town, "GET", "/v1/orders"),
                timed(town, "GET", f"/v1/orders/{moving[0].id}"),
                timed(town, "GET", "/readyz"),
            )
            for answer in answers:
                check_problem(answer)
            assert (await timed(town, "GET", "/healthz")).status_code == 200
            await until(lambda: passed(began + asked), what="the next look")  # noqa: B023 - awaited at once
    accepted = [await town.shop.place(body) for body in bodies]
    assert [order.id for order in accepted] == [order_id(b["channel"], b["external_reference"]) for b in bodies]
    references = Counter(
        row["external_reference"]
        for row in await town.rows("SELECT external_reference FROM orders WHERE id = ANY($1)", [o.id for o in accepted])
    )
    assert references == Counter(body["external_reference"] for body in bodies)
    await goes_on(town, [*moving, *accepted], name=name, since=began)


async def test_orders_are_accepted_while_temporal_is_gone_and_start_once_it_is_back(town: Town) -> None:
    await temporal_away(town, "down", 6)


async def test_without_postgres_callers_are_told_when_to_come_back_and_nothing_is_half_done(town: Town) -> None:
    await postgres_away(town, "down", 12)


async def test_beyond_200_requests_at_once_callers_are_told_to_come_back_before_memory_grows(town: Town) -> None:
    crowd = await asyncio.gather(*(enter(town, unknown_goods(20_000)) for _ in range(MAX_AT_ONCE)))
    pid, body = town.stack.supervisor.pid("web"), unknown_goods(LARGE)
    before, began = memory(pid), monotonic()
    refused = await asyncio.gather(*(town.ask("POST", "/v1/orders", body) for _ in range(SURPLUS)))
    took, grown = monotonic() - began, peak(pid) - before
    print(SURPLUS, "refused in", round(took, 1), "s,", grown // 1024**2, "MB more")  # noqa: T201
    for answer in refused:
        check_problem(answer)
    assert took <= ANSWERS_WITHIN
    assert grown <= MOST_GROWTH
    assert (await town.ask("GET", "/healthz")).status_code == 200
    # Those inside are all answered; on a busy machine some of them that no connection to the database was free in time.
    answers = Counter(await asyncio.gather(*(finish(*request) for request in crowd)))
    assert answers[422] + answers[503] == MAX_AT_ONCE, answers
    assert answers[422]
    assert (await town.ask("GET", "/v1/orders")).status_code == 200


def unknown_goods(size: int) -> bytes:
    """An order of what the shop does not sell, whose answer costs little, in a body of ``size`` bytes."""
    order = simple_order("crowd")
    lines = [{**line, "sku": "GONE"} for line in order["lines"]]
    return json.dumps({**order, "lines": lines}).encode().ljust(size - 1) + b"\n"


async def enter(town: Town, body: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A request that is being served: the application has asked for its body, and waits for the last byte."""
    reader, writer = await asyncio.open_connection("127.0.0.1", town.stack.ports.web)
    head = f"POST /v1/orders HTTP/1.1\r\nHost: shop.test\r\nAuthorization: Bearer {town.stack.secrets.api_key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head.encode())
    assert b" 100 " in await reader.readuntil(b"\r\n\r\n")
    writer.write(body[:-1])
    await writer.drain()
    return reader, writer


async def finish(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
    """Send the last byte; the status of the answer."""
    writer.write(b"\n")
    status = int((await reader.readuntil(b"\r\n")).split()[1])
    writer.close()
    return status


def memory(pid: int) -> int:
    """Bytes of memory that a process has; its peak begins anew."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return peak(pid)


def peak(pid: int) -> int:
    """The most bytes of memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [kilobytes] = re.findall(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(kilobytes) * 1024


@pytest.mark.fuzz
@pytest.mark.parametrize("how", ["down", "frozen"])
async def test_temporal_may_be_away_for_two_minutes(town: Town, how: str) -> None:
    await temporal_away(town, how, 120)


@pytest.mark.fuzz
async def test_temporal_may_be_away_for_ten_minutes(town: Town) -> None:
    await temporal_away(town, "down", 600, every=4)


@pytest.mark.fuzz
async def test_postgres_may_be_away_for_ten_minutes(town: Town) -> None:
    await postgres_away(town, "down", 600)


@pytest.mark.fuzz
@pytest.mark.parametrize("how", ["down", "frozen"])
async def test_postgres_may_be_away_for_two_minutes(town: Town, how: str) -> None:
    await postgres_away(town, how, 120)
