"""A process that has enough to do says so at once, in a way that a client can act on."""

import asyncio

import httpx2
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from api.context import CrowdLimit


class Busy:
    """An application that answers when it is let, except for its health."""

    def __init__(self) -> None:
        self.inside = asyncio.Semaphore(0)
        self.let = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.inside.release()
        if scope["path"] != "/healthz":
            await self.let.wait()
        await PlainTextResponse("done")(scope, receive, send)


async def test_beyond_its_limit_a_process_asks_to_come_back_and_goes_on_afterwards() -> None:
    busy = Busy()
    transport = httpx2.ASGITransport(app=CrowdLimit(busy, limit=2))
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as http:
        waiting = [asyncio.create_task(http.get("/v1/orders")) for _ in range(2)]
        for _ in waiting:
            await busy.inside.acquire()
        refused = await http.get("/v1/orders")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.headers["content-type"] == "application/problem+json"
        assert refused.json()["code"] == "unavailable"
        assert (await http.get("/healthz")).status_code == 200
        busy.let.set()
        assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]
        assert (await http.get("/v1/orders")).status_code == 200
