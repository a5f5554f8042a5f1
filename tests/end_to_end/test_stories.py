"""What the demonstration's people do about its orders, on the whole stack."""

import asyncio
import re

import pytest

from local.demo_stories import Story, demo_orders, told
from local.shop import Placed
from local.staff import Staff
from tests.end_to_end.town import Town

TOLD = {
    Story.HELD: r"held(, split)?: .+",
    Story.EDITED: r"held, edited, USD 90\.93 back, split: EDI \+ RNO",
    Story.RETURNED: r"returned, USD \d+\.\d\d back: EDI",
    Story.EXCHANGED: r"exchanged for WB-\d+: EDI",
}


@pytest.mark.fuzz
async def test_an_order_is_held_one_is_edited_one_returned_and_one_exchanged(town: Town) -> None:
    await town.shop.hold_from_abroad()
    orders = {order.story: order.body for order in demo_orders(20, batch="stories") if order.story in TOLD}
    placed = {story: await town.shop.place(body) for story, body in orders.items() if story is not None}

    async def arrived(id: str) -> bool:
        await town.until([Placed(id, "")], lambda counts: counts["delivered"] == 1)
        return True

    staff = Staff(town.shop, arrived)
    deeds = {
        Story.HELD: staff.release,
        Story.EDITED: staff.edit,
        Story.RETURNED: staff.take_back,
        Story.EXCHANGED: staff.exchange,
    }
    ends = await asyncio.gather(*(deed(placed[story].id) for story, deed in deeds.items()))
    await town.closed([order.id for order in placed.values()])
    for story, words in TOLD.items():
        assert re.fullmatch(words, told(await town.shop.order(placed[story].id))), story
    sent = await town.shop.order(str(ends[-1]))
    assert (sent["status"], sent["money"]["captured"]) == ("delivered", sent["total"] - sent["credit"])
    assert sent["origin"]["order_id"] == placed[Story.EXCHANGED].id
