"""Who may do what: every route names the scope that it needs."""

from collections.abc import Set
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes

from api.keys import ApiKeys, Caller
from api.services import Wired
from domain.errors import Forbidden, Unauthorised
from domain.identity import Scope

_BEARER = HTTPBearer(
    scheme_name="API key",
    description="`Authorization: Bearer wb_…`. Each operation lists the scope that the key needs.",
    auto_error=False,
)

CALLER = "waybill.caller"
"""where a request's scope names its caller if this process makes it itself; nobody outside can write there"""


async def caller(
    wanted: SecurityScopes,
    request: Request,
    wired: Wired,
    described: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
) -> Caller:
    """The caller, who has every scope that the route needs. Raises Unauthorised or Forbidden."""
    scopes = {Scope(scope) for scope in wanted.scopes}
    known: Caller | None = request.scope.get(CALLER)
    if known is not None:
        return _allowed(known, scopes)
    return await require(wired.keys, request.headers.get("authorization", ""), scopes)


async def require(keys: ApiKeys, authorization: str, scopes: Set[Scope]) -> Caller:
    """Whose key the header ``authorization`` holds. Raises Unauthorised, or Forbidden if it lacks one of ``scopes``."""
    scheme, _, key = authorization.partition(" ")
    if scheme.lower() != "bearer" or not key.strip():
        raise Unauthorised("Send an API key as a bearer token: `Authorization: Bearer wb_…`.")
    return _allowed(await keys.caller(key.strip()), scopes)


def _allowed(found: Caller, scopes: Set[Scope]) -> Caller:
    lacking = scopes - found.scopes
    if lacking:
        raise Forbidden(f"The API key {found.name!r} lacks the scope {', '.join(sorted(lacking))}.")
    return found


ReadsOrders = Annotated[Caller, Security(caller, scopes=[Scope.ORDERS_READ])]
WritesOrders = Annotated[Caller, Security(caller, scopes=[Scope.ORDERS_WRITE])]
WritesFulfilments = Annotated[Caller, Security(caller, scopes=[Scope.FULFILMENTS_WRITE])]
ReadsExceptions = Annotated[Caller, Security(caller, scopes=[Scope.EXCEPTIONS_READ])]
WritesExceptions = Annotated[Caller, Security(caller, scopes=[Scope.EXCEPTIONS_WRITE])]
WritesHolds = Annotated[Caller, Security(caller, scopes=[Scope.HOLDS_WRITE])]
WritesRules = Annotated[Caller, Security(caller, scopes=[Scope.RULES_WRITE])]
ReadsCatalogue = Annotated[Caller, Security(caller, scopes=[Scope.CATALOGUE_READ])]
WritesCatalogue = Annotated[Caller, Security(caller, scopes=[Scope.CATALOGUE_WRITE])]
ReadsStock = Annotated[Caller, Security(caller, scopes=[Scope.STOCK_READ])]
WritesStock = Annotated[Caller, Security(caller, scopes=[Scope.STOCK_WRITE])]
ReadsLedger = Annotated[Caller, Security(caller, scopes=[Scope.LEDGER_READ])]
WritesLedger = Annotated[Caller, Security(caller, scopes=[Scope.LEDGER_WRITE])]
GrantsRefunds = Annotated[Caller, Security(caller, scopes=[Scope.REFUNDS_GRANT])]
PaysRefunds = Annotated[Caller, Security(caller, scopes=[Scope.REFUNDS_PAY])]
WritesReturns = Annotated[Caller, Security(caller, scopes=[Scope.RETURNS_WRITE])]
WritesClaims = Annotated[Caller, Security(caller, scopes=[Scope.CLAIMS_WRITE])]
DecidesClaims = Annotated[Caller, Security(caller, scopes=[Scope.CLAIMS_DECIDE])]
WritesExchanges = Annotated[Caller, Security(caller, scopes=[Scope.EXCHANGES_WRITE])]
ReadsPortals = Annotated[Caller, Security(caller, scopes=[Scope.PORTALS_READ])]
WritesPortals = Annotated[Caller, Security(caller, scopes=[Scope.PORTALS_WRITE])]
WritesKeys = Annotated[Caller, Security(caller, scopes=[Scope.KEYS_WRITE])]
