"""What routes about versioned rules have in common: replace, list, check."""

from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Protocol, TypeVar

from fastapi import Path
from sqlalchemy import Row

from api.errors import Fault, InvalidRequest
from api.paging import Cursor, Page, page_of
from api.services import Services
from db.rule_versions import RuleVersions
from domain.errors import Conflict, NotFound
from domain.money import check_currency

Version = Annotated[int, Path(ge=1, le=2**31, description="A version.")]
_NEWEST = Cursor[int](int)


class Priced(Protocol):
    """A rule that may name a currency."""

    @property
    def currency(self) -> str | None:
        """An ISO 4217 code, or None."""


Rule = TypeVar("Rule", bound=Priced)


async def replace_rules(
    wired: Services, records: RuleVersions, rules: list[Any], *, replaces: int | None, by: str
) -> Row[Any]:
    """Put another version in force. Raises Conflict where ``replaces`` is not the one in force."""
    async with wired.database.transaction() as connection:
        version = await records.lock(connection)
        if replaces is not None and replaces != version:
            raise Conflict(f"Version {version} is in force by now. Read it, and change that one.", field="replaces")
        return await records.add(connection, version=version + 1, rules=rules, by=by)


async def page_of_rules(wired: Services, records: RuleVersions, *, limit: int, cursor: str | None) -> Page[Row[Any]]:
    """Versions, the newest first."""
    async with wired.database.reading() as connection:
        rows = await records.page(connection, before=_NEWEST.read(cursor), limit=limit + 1)
    return page_of(rows, limit=limit, cursor=lambda row: _NEWEST.write(row.version))


async def find_rules(wired: Services, records: RuleVersions, version: int, *, noun: str) -> Row[Any]:
    """One version. Raises NotFound."""
    async with wired.database.reading() as connection:
        row = await records.find(connection, version)
    if row is None:
        raise NotFound(f"version of the {noun} rules", str(version))
    return row


def check_rules(
    rules: tuple[Rule, ...], faults: Callable[[Sequence[Rule]], Iterable[tuple[str, str]]]
) -> tuple[Rule, ...]:
    """The same rules. Raises InvalidRequest with every fault, or UnknownCurrency."""
    found = [Fault(field, f"{reason}.", "invalid_rule") for field, reason in faults(rules)]
    if found:
        raise InvalidRequest(found)
    for index, rule in enumerate(rules):
        if rule.currency is not None:
            check_currency(rule.currency, field=f"rules[{index}].currency")
    return rules
