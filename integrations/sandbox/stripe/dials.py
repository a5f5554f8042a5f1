"""The dials that only the payment vendor has."""

from typing import Annotated

from pydantic import Field

from integrations.sandbox.dials import Dials

Seconds = Annotated[float, Field(ge=0)]


class StripeDials(Dials):
    """How the payment vendor behaves beyond the common dials.

    hold_seconds: how long an authorisation lasts. idempotency_window_seconds: after it a key executes anew.
    capture_short_by: minor units by which a capture falls short of what was asked.
    refund_settle_seconds: after it a pending refund succeeds, and one that fails later fails.
    search_lag_seconds: how much later than written an object is found by search (the vendor says: under a minute).
    multicapture: whether cards of this account can be captured several times where asked for.
    """

    hold_seconds: Seconds = 7 * 24 * 3600
    idempotency_window_seconds: Seconds = 24 * 3600
    capture_short_by: Annotated[int, Field(ge=0)] = 0
    refund_settle_seconds: Seconds = 2
    search_lag_seconds: Seconds = 2
    multicapture: bool = True
