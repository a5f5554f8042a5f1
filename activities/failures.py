"""How a failure outside becomes one that Temporal understands."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from integrations.errors import (
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

REJECTED = "Rejected"
KEY_SPENT = "KeySpent"
CLOSED, PAUSED, BUSY = "PortalClosed", "PortalPaused", "PortalBusy"
PORTAL_WAITS = frozenset({CLOSED, PAUSED, BUSY})
"""Types of failure by which a job waits for a portal: out of hours, paused until a person resumes it, or full.

The detail of `CLOSED` is the instant at which it opens, in ISO 8601.
"""
_FOR_PEOPLE = (NotAsAsked, OrderedTwice)
_PASSING = (Unreachable, OutcomeUnknown, Throttled, ProviderDown, PageChanged, SignedOut)
TOLD = frozenset({REJECTED, KEY_SPENT, *PORTAL_WAITS, *(kind.__name__ for kind in (*_PASSING, *_FOR_PEOPLE))})
"""The types of failure whose text was written for people; any other is a failure of our own."""


@contextmanager
def provider_failures() -> Iterator[None]:
    """Turn the provider's errors into ApplicationErrors.

    All are retried, but for `Rejected`, `NotAsAsked` and `OrderedTwice`, where repeating cannot help and a person
    decides; and `KeySpent`, a failure stored under our idempotency key, after which the deed has been looked for and
    not found, so that a new key is safe.
    """
    try:
        yield
    except Throttled as error:
        raise ApplicationError(
            str(error), type="Throttled", next_retry_delay=timedelta(seconds=error.retry_after)
        ) from error
    except Rejected as error:
        raise ApplicationError(str(error), error.status, type=REJECTED, non_retryable=True) from error
    except ProviderError as error:
        spent = isinstance(error, ProviderDown) and error.replayed
        raise ApplicationError(
            str(error),
            type=KEY_SPENT if spent else type(error).__name__,
            non_retryable=spent or isinstance(error, _FOR_PEOPLE),
        ) from error
