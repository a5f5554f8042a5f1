"""How calls to the outside world are watched: one hook, told of every call once it has ended.

The hook is called with (provider, operation, outcome, seconds). The outcome is a short stable word, fit for a metric's
label: ``ok``, one of `OUTCOMES`, or ``error`` for a defect of ours. A declined card is ``ok``: the provider answered.
No value is personal, and none is unbounded.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from integrations.errors import (
    BadPayload,
    BadSignature,
    NotAsAsked,
    OrderedTwice,
    OutcomeUnknown,
    PageChanged,
    ProviderDown,
    ProviderError,
    Rejected,
    SignedOut,
    Throttled,
    Unreachable,
)

Observe = Callable[[str, str, str, float], None]

OUTCOMES: dict[type[BaseException], str] = {
    Unreachable: "unreachable",
    OutcomeUnknown: "unknown",
    Throttled: "throttled",
    ProviderDown: "down",
    Rejected: "rejected",
    BadSignature: "bad_signature",
    BadPayload: "bad_payload",
    PageChanged: "page_changed",
    SignedOut: "signed_out",
    NotAsAsked: "not_as_asked",
    OrderedTwice: "ordered_twice",
    asyncio.CancelledError: "cancelled",
}


def unobserved(provider: str, operation: str, outcome: str, seconds: float) -> None:
    """Watch nothing."""


@contextmanager
def observed(observe: Observe, provider: str, operation: str) -> Iterator[None]:
    """Tell ``observe`` how the block ended and how long it took."""
    started = time.monotonic()
    outcome = "error"
    try:
        yield
        outcome = "ok"
    except (ProviderError, asyncio.CancelledError) as error:
        outcome = OUTCOMES[type(error)]
        raise
    finally:
        observe(provider, operation, outcome, time.monotonic() - started)
