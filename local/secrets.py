"""The secrets of one local stack: generated the first time, kept in 0600 files, the same after every restart."""

import base64
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from domain.identity import new_api_key
from local.keeping import kept_secret


@dataclass(frozen=True, kw_only=True, repr=False)
class Secrets:
    """What the processes of one stack share. `repr` is left out so that no traceback shows a value."""

    stripe_key: str
    stripe_webhook: str
    easypost_key: str
    easypost_webhook: str
    encryption_keys: str
    signing: str
    codec_token: str
    api_key: str

    @classmethod
    def kept_in(cls, folder: Path) -> Self:
        """Reads the secrets of `folder`, making those that are missing."""
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)

        def kept(name: str, make: Callable[[], str]) -> str:
            return kept_secret(folder / name, make=make)

        return cls(
            stripe_key=kept("stripe_key", lambda: f"sk_test_{secrets.token_hex(24)}"),
            stripe_webhook=kept("stripe_webhook", lambda: f"whsec_{secrets.token_hex(24)}"),
            easypost_key=kept("easypost_key", lambda: f"EZTK{secrets.token_hex(27)}"),
            easypost_webhook=kept("easypost_webhook", lambda: secrets.token_hex(24)),
            encryption_keys=kept("encryption_keys", _key_ring),
            signing=kept("signing", lambda: secrets.token_urlsafe(32)),
            codec_token=kept("codec_token", lambda: secrets.token_urlsafe(32)),
            api_key=kept("api_key", new_api_key),
        )


def _key_ring() -> str:
    """One AES-256 key under a short id, as `ENCRYPTION_KEYS` wants it."""
    return f"k1:{base64.b64encode(secrets.token_bytes(32)).decode()}"
