"""Make sure that the first API key is there: `python -m api.first_key`, with DATABASE_URL and FIRST_API_KEY set.

Either may be a file in SECRETS_DIR instead. The key has every scope. Running it again changes nothing; a key that
was revoked stays revoked.
"""

import asyncio
import sys
import uuid

from db import identity
from db.base import Database
from db.settings import setting
from domain.identity import Scope, hash_api_key

_SHORTEST = 32


async def store_first_key(dsn: str, key: str) -> None:
    """Store the hash of ``key`` with all scopes, unless it is there."""
    database = Database(dsn, pool_size=1, application="waybill-first-key")
    try:
        async with database.transaction() as connection:
            scopes = [scope.value for scope in Scope]
            await identity.add_key(
                connection, id=str(uuid.uuid4()), name="first key", key_hash=hash_api_key(key), scopes=scopes
            )
    finally:
        await database.close()


def main() -> int:
    """Store the key that FIRST_API_KEY holds."""
    dsn, key = setting("DATABASE_URL"), setting("FIRST_API_KEY")
    if not dsn or len(key) < _SHORTEST:
        sys.stderr.write(f"Set DATABASE_URL, and FIRST_API_KEY to at least {_SHORTEST} random characters.\n")
        return 2
    asyncio.run(store_first_key(dsn, key))
    return 0


if __name__ == "__main__":
    sys.exit(main())
