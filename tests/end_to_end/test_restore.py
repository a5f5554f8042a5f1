"""A backup taken in the middle of things, and put back after they have ended: the outside world remembers them all."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from local.backup import back_up
from local.processes import LocalError
from local.restore import Wish, restore
from local.shop import Placed
from tests.end_to_end.killing import all_to_the_door, hand_over, ready_for_hand_over
from tests.end_to_end.town import Town, batch_of, simple_order, until

ASKS_OFTEN = {"CHECK_CARRIER_EVERY": "PT2S", "CHECK_PAYMENT_EVERY": "PT2S"}
"""News that came after the backup does not come again: orders must ask for it."""


@pytest.fixture(autouse=True)
async def good_weather(town: Town) -> AsyncIterator[None]:
    yield
    await town.good_weather()


@pytest.fixture
async def own_town() -> AsyncIterator[Town]:
    with tempfile.TemporaryDirectory(prefix="waybill-restored-", ignore_cleanup_errors=True) as made:
        await asyncio.to_thread(Path(made).chmod, 0o755)
        running = Town(Path(made), **ASKS_OFTEN)
        await running.open()
        await running.load()
        yield running
        await running.close()


async def deeds(town: Town) -> dict[str, Any]:
    """What the outside world's own books say was done: charges, labels, and how often each was asked for and done."""
    intents = await town.book("payment_intent")
    labels = [s for s in await town.book("easypost_shipment") if s["tracking_code"]]
    return {
        "charged": Counter((i["metadata"].get("order_id", i["id"]), i["amount_received"]) for i in intents),
        "labels": Counter((s["reference"], s["tracking_code"]) for s in labels),
        "captures": Counter(
            call["path"] for call in await town.calls(operation="payment_intents.capture", deed="true")
        ),
        "purchases": Counter(call["path"] for call in await town.calls(operation="shipments.buy", deed="true")),
    }


async def all_closed(town: Town, placed: list[Placed]) -> None:
    ids = [order.id for order in placed]
    await town.until(placed, lambda counts: counts["delivered"] == len(placed), seconds=90)
    await town.closed(ids)


async def put_back(town: Town, archive: Path, backups: Path) -> list[str]:
    """Restore while nothing runs, and start again; what the restore said."""
    said: list[str] = []
    await town.close()
    wish = Wish(archive=archive, replace=True, outside=False)
    await restore(town.stack.folder, wish, backups=backups, say=said.append)
    town.reset()
    await town.open()
    return said


async def test_what_was_paid_and_labelled_after_the_backup_is_found_and_not_done_again(
    town: Town, tmp_path: Path
) -> None:
    town.must_own_temporal()
    known = await ready_for_hand_over(town, "backed-up")
    archive, _ = await back_up(town.stack.folder, tmp_path)
    forgotten = await ready_for_hand_over(town, "forgotten")
    both = [known, forgotten]
    await asyncio.gather(*(leaves(town, order) for order in both))
    done = await deeds(town)

    await put_back(town, archive, tmp_path)
    await leaves(town, known)
    assert (await town.ask("GET", f"/v1/orders/{forgotten.id}")).status_code == 404
    assert (await town.shop.place(simple_order("forgotten"))).id == forgotten.id  # the shop sends it again
    await until(lambda: labelled(town, forgotten), what="the label found")
    await leaves(town, forgotten)
    await all_to_the_door(town, both)
    await all_closed(town, both)
    assert await deeds(town) == done
    assert not await town.rows("SELECT 1 FROM exceptions WHERE order_id = ANY($1)", [order.id for order in both])


async def leaves(town: Town, placed: Placed) -> None:
    answer = await hand_over(town, placed)
    assert answer is not None
    assert answer.status_code == 200, answer.text


async def labelled(town: Town, placed: Placed) -> bool:
    return "hand-over" in (await town.order(placed.id))["waiting"]["sentence"]


@pytest.mark.fuzz
async def test_a_restored_backup_goes_on_and_repeats_no_deed_that_it_has_forgotten(
    own_town: Town, tmp_path: Path
) -> None:
    town = own_town
    town.must_own_temporal()
    known = await town.place(3, batch="ahead")
    await town.until(known, lambda counts: counts["fulfilling"] + counts["shipped"] > 0)
    placing = asyncio.create_task(town.place(5, batch="midway"))
    await until(lambda: written(town, 2), what="the first of the next orders")
    archive, _ = await back_up(town.stack.folder, tmp_path / "backups")
    known += await placing
    late = simple_order("after-the-backup")
    forgotten = await town.shop.place(late)
    await all_closed(town, [*known, forgotten])
    done = await deeds(town)
    assert set(done["captures"].values()) == set(done["purchases"].values()) == {1}

    with pytest.raises(LocalError, match="is running already"):
        await restore(
            town.stack.folder, Wish(archive=archive, replace=True, outside=False), backups=tmp_path, say=print
        )
    said = await put_back(town, archive, tmp_path / "backups")
    assert any("open orders go on" in line for line in said)
    assert any("left as it is (sandbox, mail)" in line for line in said)
    assert (await town.ask("GET", f"/v1/orders/{forgotten.id}")).status_code == 404
    again = [await town.shop.place(order) for order in batch_of(5, "midway")]  # the shop sends its orders again
    assert {order.id for order in again} <= {order.id for order in known}
    assert (await town.shop.place(late)).id == forgotten.id
    await all_closed(town, [*known, forgotten])
    assert await deeds(town) == done
    [told] = await town.rows("SELECT count(*) AS n FROM exceptions")
    assert told["n"] == 0, "an order needed a person"


async def written(town: Town, more: int) -> bool:
    [row] = await town.rows("SELECT count(*) AS n FROM orders")
    return bool(row["n"] >= 3 + more)
