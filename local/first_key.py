"""The API key that a fresh stack begins with."""

from db.base import Database
from db.identity import add_key
from domain.identity import Scope, hash_api_key

ID_DIGITS = 12


async def admit(database_url: str, key: str) -> None:
    """Writes the key, allowed everything, unless it is known; one that a person has revoked stays so."""
    digest = hash_api_key(key)
    database = Database(database_url, pool_size=1, application="waybill-local")
    try:
        async with database.transaction() as connection:
            scopes = [scope.value for scope in Scope]
            name = "first key of the local stack"
            await add_key(connection, id=f"local-{digest[:ID_DIGITS]}", name=name, key_hash=digest, scopes=scopes)
    finally:
        await database.close()
