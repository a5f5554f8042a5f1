"""The rules by which orders are held when they are placed."""

from fastapi import APIRouter

from activities.holds import RULES_JSON, facts_at_placement
from api.auth import ReadsOrders, WritesRules
from api.describing import problems
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.rule_versions import Version, check_rules, find_rules, page_of_rules, replace_rules
from api.schemas.holds import (
    HoldRulesIn,
    HoldRulesListOut,
    HoldRulesOut,
    HoldTrialIn,
    HoldTrialOut,
    WouldHoldOut,
)
from api.services import Wired
from db import holds as records
from db import order_lists
from db.holds import RULES
from db.order_lists import OrderFilter
from domain.hold_rules import HoldRules, faults, holds_at_placement
from domain.money import Money

router = APIRouter(prefix="/v1/hold-rules", tags=["holds"])


@router.get("", response_model=HoldRulesOut, summary="Read the hold rules in force", responses=problems())
async def show(caller: ReadsOrders, wired: Wired) -> HoldRulesOut:
    """The rules that look at every order when it is placed."""
    async with wired.database.reading() as connection:
        row = await records.RULES.newest(connection)
    if row is None:
        return HoldRulesOut(version=0, rules=[], made_by=None, made_at=None)
    return HoldRulesOut.model_validate(row)


@router.put("", response_model=HoldRulesOut, summary="Replace the hold rules", responses=problems(409, body=True))
async def replace(body: HoldRulesIn, caller: WritesRules, wired: Wired) -> HoldRulesOut:
    """Put another version of the rules in force. Orders that were placed before stay as they are."""
    rules = check_rules(tuple(rule.to_domain() for rule in body.rules), faults)
    listed = RULES_JSON.dump_python(rules, mode="json")
    row = await replace_rules(wired, RULES, listed, replaces=body.replaces, by=caller.actor)
    return HoldRulesOut.model_validate(row)


@router.get("/versions", response_model=HoldRulesListOut, summary="List versions of the rules", responses=problems())
async def versions(
    caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> HoldRulesListOut:
    """All versions, the newest first. An order's hold names the version that placed it."""
    page = await page_of_rules(wired, RULES, limit=limit, cursor=cursor)
    items = [HoldRulesOut.model_validate(row) for row in page.items]
    return HoldRulesListOut(items=items, next_cursor=page.next_cursor)


@router.get("/versions/{version}", response_model=HoldRulesOut, summary="Read a version", responses=problems(404))
async def show_version(version: Version, caller: ReadsOrders, wired: Wired) -> HoldRulesOut:
    """One version of the rules."""
    row = await find_rules(wired, RULES, version, noun="hold")
    return HoldRulesOut.model_validate(row)


@router.post("/try", response_model=HoldTrialOut, summary="Try rules", responses=problems(body=True))
async def attempt(body: HoldTrialIn, caller: ReadsOrders, wired: Wired) -> HoldTrialOut:
    """Which of the newest orders these rules would have held, as things stood when each was placed."""
    rules = HoldRules(0, check_rules(tuple(rule.to_domain() for rule in body.rules), faults))
    held = []
    async with wired.database.reading() as connection:
        rows = await order_lists.page(connection, OrderFilter(), newest_first=True, after=None, limit=body.last)
        for row in rows:
            mine = rules.for_channel(row.channel)
            placement = await facts_at_placement(
                connection,
                mine,
                order_id=row.id,
                email=row.customer["email"],
                at=row.placed_at,
                total=Money(row.total, row.currency),
                shipping_country=row.shipping_address["country"],
                billing_country=row.billing_country,
            )
            found = holds_at_placement(mine, placement, order_id=row.id, at=row.placed_at)
            if found:
                words = [hold.words for hold in found]
                held.append(WouldHoldOut(order_id=row.id, order_number=row.number, holds=words))
    return HoldTrialOut(orders=len(rows), held=held)
