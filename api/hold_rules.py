"""The rules by which orders are held when they are placed."""

from typing import Annotated

from fastapi import APIRouter, Path

from activities.holds import RULES_JSON, facts_at_placement
from api.auth import ReadsOrders, WritesRules
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.holds import (
    HoldRuleIn,
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
from db.order_lists import OrderFilter
from domain.errors import Conflict, NotFound
from domain.hold_rules import HoldRule, HoldRules, faults, holds_at_placement
from domain.money import Money, check_currency

router = APIRouter(prefix="/v1/hold-rules", tags=["holds"])

Version = Annotated[int, Path(ge=1, le=2**31, description="A version.")]
_NEWEST = Cursor[int](int)


@router.get("", response_model=HoldRulesOut, summary="Read the hold rules in force", responses=problems())
async def show(caller: ReadsOrders, wired: Wired) -> HoldRulesOut:
    """The rules that look at every order when it is placed."""
    async with wired.database.reading() as connection:
        row = await records.newest_rules(connection)
    if row is None:
        return HoldRulesOut(version=0, rules=[], made_by=None, made_at=None)
    return HoldRulesOut.model_validate(row)


@router.put("", response_model=HoldRulesOut, summary="Replace the hold rules", responses=problems(409, body=True))
async def replace(body: HoldRulesIn, caller: WritesRules, wired: Wired) -> HoldRulesOut:
    """Put another version of the rules in force. Orders that were placed before stay as they are."""
    rules = _checked(body.rules)
    async with wired.database.transaction() as connection:
        version = await records.lock_rules(connection)
        if body.replaces is not None and body.replaces != version:
            raise Conflict(f"Version {version} is in force by now. Read it, and change that one.", field="replaces")
        row = await records.add_rules(
            connection, version=version + 1, rules=RULES_JSON.dump_python(rules, mode="json"), by=caller.actor
        )
    return HoldRulesOut.model_validate(row)


@router.get("/versions", response_model=HoldRulesListOut, summary="List versions of the rules", responses=problems())
async def versions(
    caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> HoldRulesListOut:
    """All versions, the newest first. An order's hold names the version that placed it."""
    async with wired.database.reading() as connection:
        rows = await records.list_rules(connection, before=_NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write(row.version))
    items = [HoldRulesOut.model_validate(row) for row in page.items]
    return HoldRulesListOut(items=items, next_cursor=page.next_cursor)


@router.get("/versions/{version}", response_model=HoldRulesOut, summary="Read a version", responses=problems(404))
async def show_version(version: Version, caller: ReadsOrders, wired: Wired) -> HoldRulesOut:
    """One version of the rules."""
    async with wired.database.reading() as connection:
        row = await records.find_rules(connection, version)
    if row is None:
        raise NotFound("version of the hold rules", str(version))
    return HoldRulesOut.model_validate(row)


@router.post("/try", response_model=HoldTrialOut, summary="Try rules", responses=problems(body=True))
async def attempt(body: HoldTrialIn, caller: ReadsOrders, wired: Wired) -> HoldTrialOut:
    """Which of the newest orders these rules would have held, as things stood when each was placed."""
    rules = HoldRules(0, _checked(body.rules))
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


def _checked(given: list[HoldRuleIn]) -> tuple[HoldRule, ...]:
    rules = tuple(rule.to_domain() for rule in given)
    found = [Fault(field, f"{reason}.", "invalid_rule") for field, reason in faults(rules)]
    if found:
        raise InvalidRequest(found)
    for index, rule in enumerate(rules):
        if rule.currency is not None:
            check_currency(rule.currency, field=f"rules[{index}].currency")
    return rules
