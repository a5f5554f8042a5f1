"""The rules by which customers return what was delivered."""

from fastapi import APIRouter

from activities.return_requests import RULES_JSON
from api.auth import ReadsOrders, WritesRules
from api.describing import problems
from api.paging import DEFAULT_LIMIT, CursorText, Limit
from api.rule_versions import Version, check_rules, find_rules, page_of_rules, replace_rules
from api.schemas.return_rules import ReturnRuleOut, ReturnRulesIn, ReturnRulesListOut, ReturnRulesOut
from api.services import Wired
from db.return_rules import RULES
from domain.return_rules import ReturnRule, faults

router = APIRouter(prefix="/v1/return-rules", tags=["returns"])


@router.get("", response_model=ReturnRulesOut, summary="Read the return rules in force", responses=problems())
async def show(caller: ReadsOrders, wired: Wired) -> ReturnRulesOut:
    """The rules by which returns are taken. Where nobody has made any, the one that Waybill brings along."""
    async with wired.database.reading() as connection:
        row = await RULES.newest(connection)
    if row is None:
        rules = [ReturnRuleOut.model_validate(ReturnRule())]
        return ReturnRulesOut(version=0, rules=rules, made_by=None, made_at=None)
    return ReturnRulesOut.model_validate(row)


@router.put("", response_model=ReturnRulesOut, summary="Replace the return rules", responses=problems(409, body=True))
async def replace(body: ReturnRulesIn, caller: WritesRules, wired: Wired) -> ReturnRulesOut:
    """Put another version of the rules in force. Returns that were asked for before stay under theirs."""
    rules = check_rules(tuple(rule.to_domain() for rule in body.rules), faults)
    listed = RULES_JSON.dump_python(rules, mode="json")
    row = await replace_rules(wired, RULES, listed, replaces=body.replaces, by=caller.actor)
    return ReturnRulesOut.model_validate(row)


@router.get("/versions", response_model=ReturnRulesListOut, summary="List versions of the rules", responses=problems())
async def versions(
    caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> ReturnRulesListOut:
    """All versions, the newest first. A return names the version that it was asked for under."""
    page = await page_of_rules(wired, RULES, limit=limit, cursor=cursor)
    items = [ReturnRulesOut.model_validate(row) for row in page.items]
    return ReturnRulesListOut(items=items, next_cursor=page.next_cursor)


@router.get("/versions/{version}", response_model=ReturnRulesOut, summary="Read a version", responses=problems(404))
async def show_version(version: Version, caller: ReadsOrders, wired: Wired) -> ReturnRulesOut:
    """One version of the rules."""
    row = await find_rules(wired, RULES, version, noun="return")
    return ReturnRulesOut.model_validate(row)
