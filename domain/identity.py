"""Who may do what: API keys and their scopes."""

import hashlib
import secrets
from enum import StrEnum

_PREFIX = "wb_"


class Scope(StrEnum):
    """What an API key may do."""

    ORDERS_READ = "orders:read"
    ORDERS_WRITE = "orders:write"
    FULFILMENTS_WRITE = "fulfilments:write"
    EXCEPTIONS_READ = "exceptions:read"
    EXCEPTIONS_WRITE = "exceptions:write"
    HOLDS_WRITE = "holds:write"
    RULES_WRITE = "rules:write"
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    STOCK_READ = "stock:read"
    STOCK_WRITE = "stock:write"
    LEDGER_READ = "ledger:read"
    LEDGER_WRITE = "ledger:write"
    REFUNDS_GRANT = "refunds:grant"
    REFUNDS_PAY = "refunds:pay"
    RETURNS_WRITE = "returns:write"
    RETURNS_OVERRIDE = "returns:override"
    CLAIMS_WRITE = "claims:write"
    CLAIMS_DECIDE = "claims:decide"
    EXCHANGES_WRITE = "exchanges:write"
    PORTALS_READ = "portals:read"
    PORTALS_WRITE = "portals:write"
    KEYS_WRITE = "keys:write"


def new_api_key() -> str:
    """A fresh API key: 256 random bits, recognisable by its prefix in logs and scanners."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_api_key(key: str) -> str:
    """What is stored of a key. SHA-256 suffices: the key is long and random, there is nothing to guess."""
    return hashlib.sha256(key.encode()).hexdigest()
