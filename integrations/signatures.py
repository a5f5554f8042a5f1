"""How providers sign their webhooks, and how a signature is checked.

Every check takes several secrets, so that a secret can be changed without losing an event, compares in constant time,
and raises `BadSignature` with a reason that quotes neither secret nor body. Without any secret nothing passes.
"""

import hashlib
import hmac
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from integrations.errors import BadSignature

STRIPE_TOLERANCE = timedelta(seconds=300)
"""How old a Stripe signature may be (the default of Stripe's own clients)."""

EASYPOST_TOLERANCE = timedelta(seconds=60)
"""How far the time of an EasyPost V2 signature may be from ours."""

_EASYPOST_PREFIX = "hmac-sha256-hex="


def verify_stripe(body: bytes, headers: Mapping[str, str], *, secrets: Sequence[str], now: datetime) -> None:
    """Check ``Stripe-Signature: t=<unix>,v1=<hex>[,v1=<hex>...]`` (docs.stripe.com/webhooks/signature).

    The key is the whole ``whsec_...`` string. Any v1 under any of ``secrets`` will do. Header names are lower case.
    """
    header = headers.get("stripe-signature")
    if header is None:
        raise BadSignature("stripe", "no Stripe-Signature header")
    stamp, given = _stripe_parts(header)
    expected = [stripe_signature(body, secret=secret, timestamp=stamp) for secret in secrets]
    _require_match("stripe", given, expected)
    # The age is judged after the signature: an unsigned time proves nothing.
    if now - _instant(stamp) > STRIPE_TOLERANCE:
        raise BadSignature("stripe", "the signature is too old")


def stripe_signature(body: bytes, *, secret: str, timestamp: str) -> str:
    """The v1 signature: hex HMAC-SHA256 of ``<timestamp>.<body>``."""
    return _hex(secret.encode(), f"{timestamp}.".encode() + body)


def verify_easypost(
    body: bytes, headers: Mapping[str, str], *, secrets: Sequence[str], path: str, now: datetime
) -> None:
    """Check EasyPost's V2 signature where there is one, else V1. Header names are lower case.

    V2 (``X-Hmac-Signature-V2``) signs time, method, path and body, so neither an old event nor one meant for another
    address passes; V1 (``X-Hmac-Signature``, what EasyPost's own clients check) signs the body alone.
    """
    if "x-hmac-signature-v2" in headers:
        _verify_easypost_v2(body, headers, secrets=secrets, path=path, now=now)
        return
    given = headers.get("x-hmac-signature")
    if given is None:
        raise BadSignature("easypost", "no X-Hmac-Signature header")
    _require_match("easypost", [given], [easypost_signature(body, secret=secret) for secret in secrets])


def easypost_signature(body: bytes, *, secret: str) -> str:
    """The V1 signature: HMAC-SHA256 of the body under the NFKD-normalised secret."""
    return _EASYPOST_PREFIX + _hex(_easypost_key(secret), body)


def easypost_signature_v2(body: bytes, *, secret: str, timestamp: str, path: str) -> str:
    """The V2 signature: HMAC-SHA256 of timestamp, ``POST``, path and body. ``timestamp`` as in the header."""
    return _EASYPOST_PREFIX + _hex(_easypost_key(secret), f"{timestamp}POST{path}".encode() + body)


def _verify_easypost_v2(
    body: bytes, headers: Mapping[str, str], *, secrets: Sequence[str], path: str, now: datetime
) -> None:
    stamp, signed_path = headers.get("x-timestamp"), headers.get("x-path")
    if stamp is None or signed_path is None:
        raise BadSignature("easypost", "a V2 signature without X-Timestamp and X-Path")
    expected = [easypost_signature_v2(body, secret=secret, timestamp=stamp, path=signed_path) for secret in secrets]
    _require_match("easypost", [headers["x-hmac-signature-v2"]], expected)
    if signed_path.partition("?")[0] != path.partition("?")[0]:
        raise BadSignature("easypost", "the event was signed for another path")
    if abs(now - _rfc2822(stamp)) > EASYPOST_TOLERANCE:
        raise BadSignature("easypost", "the signature is too old")


def _stripe_parts(header: str) -> tuple[str, list[str]]:
    pairs = [part.strip().partition("=") for part in header.split(",")]
    stamps = [value for name, _, value in pairs if name == "t"]
    given = [value for name, _, value in pairs if name == "v1"]
    if len(stamps) != 1 or not given or not (stamps[0].isascii() and stamps[0].isdecimal()):
        raise BadSignature("stripe", "the Stripe-Signature header is not of the form t=...,v1=...")
    return stamps[0], given


def _instant(stamp: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(stamp), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise BadSignature("stripe", "the signature's time is no time") from error


def _rfc2822(stamp: str) -> datetime:
    try:
        at = parsedate_to_datetime(stamp)
    except ValueError as error:
        raise BadSignature("easypost", "X-Timestamp is not an RFC 2822 date") from error
    # "-0000" means UTC without a claim about the local zone, and is read as a naive time.
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _require_match(provider: str, given: Iterable[str], expected: Sequence[str]) -> None:
    if not expected:
        raise BadSignature(provider, "no webhook secret is set")
    # All pairs are compared, so that the time taken tells nothing about which one matched.
    matches = [hmac.compare_digest(g.encode(), e.encode()) for g in given for e in expected]
    if not any(matches):
        raise BadSignature(provider, "the signature does not match")


def _easypost_key(secret: str) -> bytes:
    return unicodedata.normalize("NFKD", secret).encode()


def _hex(key: bytes, message: bytes) -> str:
    return hmac.new(key, message, hashlib.sha256).hexdigest()
