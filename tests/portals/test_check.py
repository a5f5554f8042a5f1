"""The daily look at portals: what is missing is noticed before an order needs it."""

import uuid

from tests.portals.trade import Trade
from tests.supplier import needs_chromium
from workflows.portals.check import PortalCheckWorkflow, PortalRound, PortalRoundResult

pytestmark = needs_chromium


async def look(trade: Trade) -> PortalRoundResult:
    """What the schedule starts."""
    settings = trade.house.settings
    return await trade.house.client.execute_workflow(
        PortalCheckWorkflow.run,
        PortalRound(settings.portal_task_queue),
        id=f"portal-check-{uuid.uuid4().hex}",
        task_queue=settings.temporal_task_queue,
    )


async def test_a_portal_of_which_parts_are_missing_is_paused_and_people_are_told(trade: Trade) -> None:
    await trade.stocked()
    await trade.open()
    assert await look(trade) == PortalRoundResult(1)
    await trade.supplier.turn(button_renamed="items")
    assert await look(trade) == PortalRoundResult(1, paused=("northgate",))
    (portal,) = (await trade.house.http.get("/v1/portals")).json()["items"]
    assert portal["paused_at"] is not None
    assert portal["reason"].startswith("The daily check: “items” has no button ")
    exception = await trade.trouble("portal_paused")
    assert portal["reason"] in exception["reason"]
    assert await trade.numbers() == []
