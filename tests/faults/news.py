"""How the tests of faults handle what providers tell: they read it in the sandbox's books, hold it back and send it."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg

from integrations.signatures import easypost_signature, stripe_signature
from tests.house import House
from tests.street import EASYPOST_SECRET, STRIPE_SECRET

SILENCE = {"lost_rate": 1}
"""the dial under which no webhook is ever sent"""


async def silence(house: House) -> None:
    """From now on no provider's news arrives by itself."""
    await house.stripe(webhooks=SILENCE)
    await house.easypost(webhooks=SILENCE)


async def sent(house: House, *, after: int = 0) -> list[dict[str, Any]]:
    """Deliveries on the sandbox's books, oldest first; also those that never left."""
    response = await house.street.sandbox.get("/control/webhooks", params={"limit": 1000})
    found = response.raise_for_status().json()["deliveries"]
    return sorted((d for d in found if d["id"] > after), key=lambda d: int(d["id"]))


async def mark(house: House) -> int:
    """The newest delivery so far."""
    return max((int(d["id"]) for d in await sent(house)), default=0)


async def event_ids(house: House, *, after: int = 0) -> list[str]:
    """The events that providers have written since, oldest first, each once."""
    return list(dict.fromkeys(d["event_id"] for d in await sent(house, after=after)))


async def deliver(house: House, events: Sequence[str]) -> None:
    """Have these events sent, in this order, and wait until each is applied, parked or ignored."""
    for event in events:
        (await house.street.sandbox.post(f"/control/webhooks/redeliver/{event}")).raise_for_status()
    await house.all_heard()


async def make_up(house: House, provider: str, kind: str, obj: dict[str, Any], signature: str) -> str:
    """Have the sandbox send an event of ours, signed as told; its id."""
    body = {"provider": provider, "type": kind, "object": obj, "signature": signature}
    response = await house.street.sandbox.post("/control/events", json=body)
    event: str = response.raise_for_status().json()["event"]["id"]
    return event


def stripe_body(event_id: str, kind: str, obj: dict[str, Any]) -> bytes:
    """An event as Stripe writes it."""
    return json.dumps({"id": event_id, "object": "event", "type": kind, "data": {"object": obj}}).encode()


def json_bytes(value: Any) -> bytes:
    """A value as the bytes of its JSON."""
    return json.dumps(value).encode()


def by_stripe(body: bytes, *, secret: str = STRIPE_SECRET, age: float = 0) -> dict[str, str]:
    """The header with which Stripe signs a body; ``age`` in seconds."""
    stamp = str(int(datetime.now(UTC).timestamp() - age))
    return {"Stripe-Signature": f"t={stamp},v1={stripe_signature(body, secret=secret, timestamp=stamp)}"}


def by_easypost(body: bytes, *, secret: str = EASYPOST_SECRET) -> dict[str, str]:
    """The header with which EasyPost signs a body."""
    return {"X-Hmac-Signature": easypost_signature(body, secret=secret)}


async def a_day_passes_in_the_inbox(house: House) -> None:
    """Everything in the inbox is a day older, and due."""
    connection = await asyncpg.connect(house.settings.database_url)
    try:
        await connection.execute("UPDATE inbox SET received_at = received_at - interval '25 hours', due_at = now()")
    finally:
        await connection.close()


async def rows(house: House, query: str) -> list[Any]:
    """What a query finds in the house's database."""
    connection = await asyncpg.connect(house.settings.database_url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def inbox_settles(house: House, status: str) -> None:
    """Wait until the inbox has events of this status, and none that is still to be applied."""

    async def settled() -> bool:
        found = await house.inbox()
        return status in found and "stored" not in found

    await eventually(settled, f"the inbox to have {status} events only")


async def eventually(so: Callable[[], Awaitable[Any]], what: str, *, seconds: float = 20) -> Any:
    """What ``so`` finds, once it finds anything."""
    deadline = time.monotonic() + seconds
    while not (found := await so()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.03)
    return found
