"""Labels of returns with a real carrier system: bought once, also by attempts that know nothing of each other."""

import asyncio
from datetime import UTC, datetime, timedelta

from activities.return_labels import LabelStep, ReturnLabels
from activities.return_requests import ask
from domain.return_requests import ReturnRequest, WantedLine
from domain.return_rules import ReturnReason
from domain.returns import LabelState
from integrations.carriers.easypost.adapter import EasyPost
from tests.activities.conftest import StandsStill
from tests.activities.world import World
from tests.sandbox.servers import RunningSandbox

AT = datetime.now(UTC)


async def test_an_attempt_that_stood_still_and_goes_on_beside_another_buys_no_second_label(
    world: World, sandbox: RunningSandbox, easypost: EasyPost, standing_still: StandsStill
) -> None:
    order, _ = await world.paid_order("1", ("MUG", 2))
    delivered = "UPDATE fulfilments SET status = 'delivered', delivered_at = :at"
    await world.execute(delivered, at=AT - timedelta(days=1))
    request = ReturnRequest("r", ReturnReason.CHANGED_MIND, (WantedLine(1, 2),), label=True)
    async with world.database.transaction() as connection:
        row, _ = await ask(connection, order, request, actor="a test", at=AT)
    step = LabelStep(row.id, AT, "waybill", provider="easypost")
    late = asyncio.create_task(ReturnLabels(world.database, {"easypost": standing_still}).book(step))
    await standing_still.stands.wait()
    booked = await ReturnLabels(world.database, {"easypost": easypost}).book(step)
    standing_still.goes_on.set()
    assert (await late).outcome.standing == booked.outcome.standing
    assert booked.outcome.standing.label is LabelState.BOUGHT
    made = sandbox.view("books/easypost_shipment")["data"]
    assert [bool(shipment["postage_label"]) for shipment in made].count(True) == 1
