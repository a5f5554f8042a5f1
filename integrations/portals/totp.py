"""One-time passwords by time: RFC 6238 with HMAC-SHA-1, six digits, steps of 30 s, as authenticator apps have it."""

import base64
import binascii

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP = 30
"""seconds for which a code is valid"""


def decoded(secret: str) -> bytes:
    """A secret as portals show it: base32, with or without spaces and padding. Raises ValueError."""
    text = "".join(secret.split()).replace("-", "").upper()
    try:
        key = base64.b32decode(text + "=" * (-len(text) % 8))
    except binascii.Error:
        raise ValueError("a secret for one-time passwords is base32: letters and the digits 2 to 7") from None
    if len(key) < 10:
        raise ValueError("a secret for one-time passwords has at least 16 characters")
    return key


def code(secret: str, at: float) -> str:
    """The code at a moment in unix seconds. Raises ValueError for what is no secret."""
    # Portals hand out secrets of 80 bits, which the RFC allows and the library refuses unless told.
    # SHA-1 is what the portals' side expects; its weakness against collisions is none here.
    made = TOTP(decoded(secret), 6, SHA1(), STEP, enforce_key_length=False)  # noqa: S303
    return made.generate(int(at)).decode()
