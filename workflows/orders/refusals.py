"""Why a parcel may not be handed over, rejected or ordered elsewhere, as far as the order's workflow knows."""

from domain.portals import TakeOver
from domain.rejections import Rejection
from workflows.orders.desk import Desk
from workflows.orders.fulfilment import FulfilmentRun
from workflows.orders.holds import Holds, listed
from workflows.orders.payment import PaymentRun
from workflows.orders.portal import PortalRun

Refused = tuple[str, str]
"""the kind of error, and a sentence"""


def not_begun(desk: Desk) -> Refused | None:
    """Why no wish can be taken yet; None once the order's first record is written.

    A first workflow task that ends with nothing done, because its worker stood still, is one with the next for whoever
    meets a wish in that, and another for whoever replays it (SDK 1.35): the order would never come further.
    """
    return None if desk.begun else ("not_begun", "The order is only just beginning. Repeat it.")


def cancel_refused(desk: Desk) -> Refused | None:
    """Why it cannot be cancelled at this very moment; None if it can, as far as the moment is concerned."""
    if desk.changing:
        return "conflict", "The order is being changed at this very moment. Repeat it."
    return not_begun(desk)


def hand_over_refused(run: FulfilmentRun | None, desk: Desk, holds: Holds, payment: PaymentRun) -> Refused | None:
    """Why a fulfilment must not leave now; None if it may."""
    if run is None:
        return "too_early", "The order has no such fulfilment ready."
    if desk.cancel_wished:
        return "too_late", "The order is being cancelled: the parcel must not leave."
    if over := holds.over(run.planned.id):
        return "on_hold", f"The {listed(over)} stands: the parcel must not leave."
    if run.rejection.wished:
        return "conflict", "The parcel is being rejected, or changed: it must not leave."
    if payment.disputed:
        why = "The customer's bank disputes the payment: the parcel must not leave before a person has decided."
        return "disputed", why
    return None if run.ready else ("too_early", run.unready)


def rejection_refused(rejection: Rejection, run: FulfilmentRun | None, desk: Desk, before: bool) -> Refused | None:
    """Why a fulfilment cannot be rejected now; None if it can. ``before``: it was rejected before."""
    if before:
        return "too_late", "The fulfilment has been rejected already."
    if run is None:
        return "too_early", "The order has no such fulfilment ready."
    if desk.cancel_wished:
        return "too_late", "The order is being cancelled: nothing of it will be shipped."
    return run.rejection.refusal(rejection, gone=run.left or bool(run.leaving))


def take_over_refused(wish: TakeOver, run: FulfilmentRun | None, desk: Desk) -> Refused | None:
    """Why a person's order with a supplier cannot be entered now; None if it can."""
    if not isinstance(run, PortalRun):
        return "too_early", "The order has no such fulfilment at a supplier's portal."
    if desk.cancel_wished:
        return "too_late", "The order is being cancelled: it must not be ordered."
    refusal = run.refusal(wish)
    return None if refusal is None else ("conflict", refusal)
