"""The rules by which customers return what was delivered."""

from typing import Annotated

from fastapi import APIRouter, Path

from activities.return_requests import RULES_JSON
from api.auth import ReadsOrders, WritesRules
from api.describing import problems
from api.errors import Fault, InvalidRequest
from api.paging import DEFAULT_LIMIT, Cursor, CursorText, Limit, page_of
from api.schemas.return_rules import ReturnRuleIn, ReturnRuleOut, ReturnRulesIn, ReturnRulesListOut, ReturnRulesOut
from api.services import Wired
from db import return_rules as records
from domain.errors import Conflict, NotFound
from domain.money import check_currency
from domain.return_rules import ReturnRule, faults

router = APIRouter(prefix="/v1/return-rules", tags=["returns"])

Version = Annotated[int, Path(ge=1, le=2**31, description="A version.")]
_NEWEST = Cursor[int](int)


@router.get("", response_model=ReturnRulesOut, summary="Read the return rules in force", responses=problems())
async def show(caller: ReadsOrders, wired: Wired) -> ReturnRulesOut:
    """The rules by which returns are taken. Where nobody has made any, the one that Waybill brings along."""
    async with wired.database.reading() as connection:
        row = await records.newest(connection)
    if row is None:
        rules = [ReturnRuleOut.model_validate(ReturnRule())]
        return ReturnRulesOut(version=0, rules=rules, made_by=None, made_at=None)
    return ReturnRulesOut.model_validate(row)


@router.put("", response_model=ReturnRulesOut, summary="Replace the return rules", responses=problems(409, body=True))
async def replace(body: ReturnRulesIn, caller: WritesRules, wired: Wired) -> ReturnRulesOut:
    """Put another version of the rules in force. Returns that were asked for before stay under theirs."""
    rules = _checked(body.rules)
    async with wired.database.transaction() as connection:
        version = await records.lock(connection)
        if body.replaces is not None and body.replaces != version:
            raise Conflict(f"Version {version} is in force by now. Read it, and change that one.", field="replaces")
        row = await records.add(
            connection, version=version + 1, rules=RULES_JSON.dump_python(rules, mode="json"), by=caller.actor
        )
    return ReturnRulesOut.model_validate(row)


@router.get("/versions", response_model=ReturnRulesListOut, summary="List versions of the rules", responses=problems())
async def versions(
    caller: ReadsOrders, wired: Wired, limit: Limit = DEFAULT_LIMIT, cursor: CursorText = None
) -> ReturnRulesListOut:
    """All versions, the newest first. A return names the version that it was asked for under."""
    async with wired.database.reading() as connection:
        rows = await records.page(connection, before=_NEWEST.read(cursor), limit=limit + 1)
    page = page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write(row.version))
    items = [ReturnRulesOut.model_validate(row) for row in page.items]
    return ReturnRulesListOut(items=items, next_cursor=page.next_cursor)


@router.get("/versions/{version}", response_model=ReturnRulesOut, summary="Read a version", responses=problems(404))
async def show_version(version: Version, caller: ReadsOrders, wired: Wired) -> ReturnRulesOut:
    """One version of the rules."""
    async with wired.database.reading() as connection:
        row = await records.find(connection, version)
    if row is None:
        raise NotFound("version of the return rules", str(version))
    return ReturnRulesOut.model_validate(row)


def _checked(given: list[ReturnRuleIn]) -> tuple[ReturnRule, ...]:
    rules = tuple(rule.to_domain() for rule in given)
    found = [Fault(field, f"{reason}.", "invalid_rule") for field, reason in faults(rules)]
    if found:
        raise InvalidRequest(found)
    for index, rule in enumerate(rules):
        if rule.currency is not None:
            check_currency(rule.currency, field=f"rules[{index}].currency")
    return rules
