"""What a tester can turn at the carrier, beyond the dials of every vendor."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from integrations.sandbox.dials import Dials, Seconds


class Outcome(StrEnum):
    """How a parcel's journey ends."""

    DELIVERED = "delivered"
    RETURN_TO_SENDER = "return_to_sender"
    FAILURE = "failure"


class EasyPostDials(Dials):
    """Times are seconds and hold for parcels already under way, too: what is due is reckoned anew at each look.

    A bought label is announced after ``label_created_seconds``, scanned ``first_scan_seconds`` after that, and
    moves every ``step_seconds`` from then on; all three are divided by ``tracking_speed``. ``stall_after`` = n
    keeps the carrier silent once a parcel has n of its nine events; lifting it lets parcels catch up.
    A refund that was submitted is paid after ``refund_seconds``. With ``purchase_seconds`` a purchase outlives
    its call: the caller hears SHIPMENT.POSTAGE.TIMED_OUT, and the label appears that much later.
    ``carriers_down`` names carriers that neither rate nor sell.
    """

    label_created_seconds: Seconds = 1
    first_scan_seconds: Seconds = 3600
    step_seconds: Seconds = 3600
    tracking_speed: Annotated[float, Field(gt=0)] = 1
    stall_after: Annotated[int, Field(ge=0, le=9)] | None = None
    outcome: Outcome = Outcome.DELIVERED
    refund_seconds: Seconds = 60
    purchase_seconds: Seconds = 0
    carriers_down: list[str] = Field(default_factory=list)
