"""What is asked of returns: the rules in force."""

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncConnection

from db import return_rules
from domain.return_rules import ReturnRule, ReturnRules

RULES_JSON: TypeAdapter[tuple[ReturnRule, ...]] = TypeAdapter(tuple[ReturnRule, ...])


async def rules_in_force(connection: AsyncConnection) -> ReturnRules:
    """The newest version of the rules; version 0 where nobody has made any."""
    row = await return_rules.newest(connection)
    return ReturnRules() if row is None else ReturnRules(row.version, RULES_JSON.validate_python(row.rules))
