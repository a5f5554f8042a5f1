"""The dials that only the portal has: what happens to a web site between two visits."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from integrations.sandbox.dials import Dials

NAME = "portal"
"""As dials, calls and controls know it."""

Seconds = Annotated[float, Field(ge=0)]


class PopUp(StrEnum):
    """What comes over a page that nobody asked for."""

    NONE = "none"
    OVERLAY = "overlay"
    """a notice in the page, with a button Close"""
    ALERT = "alert"
    """a box of the browser that stops the page's script"""
    WINDOW = "window"
    """another tab"""
    STRANGE = "strange"
    """a notice that wants a decision and cannot just be closed"""


class Part(StrEnum):
    """What of an order can be changed behind the customer's back."""

    NONE = "none"
    ADDRESS = "address"
    SKU = "sku"
    QUANTITY = "quantity"


class PortalDials(Dials):
    """How the portal behaves beyond the common dials.

    maintenance: every page is a notice that the portal is down. session_lost: the operation (such as
    ``orders.submit``) before which the visitor is signed out, once. session_seconds: how long a session lasts.
    button_renamed: the page (such as ``summary``) whose button is called Proceed. field_moved: the postal code is asked
    for one page later. double_submit: the same form sent twice makes two orders. popup: what comes over the pages.
    out_of_stock: items that the form wrongly says are sold out. summary_differs, recorded_differently: what the
    summary, or the order once it is placed, has different from what was entered. list_lag_seconds: how much later an
    order is listed and found. totp_reuse: whether a code is taken twice. picking_seconds, dispatched_seconds,
    delivered_seconds: how long after the step before an order moves on.
    """

    maintenance: bool = False
    session_lost: str = ""
    session_seconds: Seconds = 3600
    button_renamed: str = ""
    field_moved: bool = False
    double_submit: bool = False
    popup: PopUp = PopUp.NONE
    out_of_stock: list[str] = Field(default_factory=list)
    summary_differs: Part = Part.NONE
    recorded_differently: Part = Part.NONE
    list_lag_seconds: Seconds = 0
    totp_reuse: bool = False
    picking_seconds: Seconds = 60
    dispatched_seconds: Seconds = 600
    delivered_seconds: Seconds = 3600
