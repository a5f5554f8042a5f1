"""Who is logged in to the console: whoever has shown an API key, for twelve hours, and not after it is revoked."""

from collections.abc import Sequence

from itsdangerous import BadSignature, TimestampSigner

from api.keys import ApiKeys
from console.identity import VALID_FOR
from domain.errors import Forbidden, Unauthorised
from domain.identity import Scope

_SALT = "console"


class ConsoleSessions:
    """Fits `console.identity.Sessions`. The cookie holds the signed id of the key, and neither the key nor its hash.

    The first of ``secrets`` signs, all of them verify, so that one can be replaced.
    """

    def __init__(self, keys: ApiKeys, secrets: Sequence[str]) -> None:
        self._keys = keys
        # The library signs with its last key and tries them all.
        self._signer = TimestampSigner(list(reversed(secrets)), salt=_SALT)

    async def begin(self, key: str) -> str:
        """See the protocol."""
        caller = await self._keys.caller(key)
        return self._signer.sign(caller.key_id).decode()

    async def check(self, cookie: str, scope: Scope) -> str:
        """See the protocol."""
        try:
            key_id = self._signer.unsign(cookie, max_age=int(VALID_FOR.total_seconds())).decode()
        except (BadSignature, UnicodeError) as error:
            raise Unauthorised("Log in first.") from error
        caller = await self._keys.by_id(key_id)
        if scope not in caller.scopes:
            raise Forbidden(f"The API key {caller.name!r} lacks the scope {scope}.")
        return caller.name
