"""Why people's wishes about an order or a parcel of it are refused, as far as the order's workflow knows."""

from collections.abc import Mapping

from temporalio.exceptions import ApplicationError

from domain.exceptions import Action, Resolution
from domain.holds import Hold, ReleaseHold
from domain.orders import ENDED, CancelRequest, OrderStatus
from domain.portals import TakeOver
from domain.previews import Shown
from domain.rejections import Rejection
from workflows.orders.changes import ChangeRun
from workflows.orders.desk import Desk
from workflows.orders.fulfilment import FulfilmentRun
from workflows.orders.holds import Holds, listed
from workflows.orders.journal import Journal
from workflows.orders.payment import PaymentRun
from workflows.orders.portal import PortalRun

Refused = tuple[str, str]
"""the kind of error, and a sentence"""


def refuse(refused: Refused | None) -> None:
    """Answer a wish with why it is refused, if it is."""
    if refused is not None:
        raise ApplicationError(refused[1], type=refused[0])


def not_begun(desk: Desk) -> Refused | None:
    """Why no wish can be taken yet; None once the order's first record is written.

    A first workflow task that ends with nothing done, because its worker stood still, is one with the next for whoever
    meets a wish in that, and another for whoever replays it (SDK 1.35): the order would never come further.
    """
    return None if desk.begun else ("not_begun", "The order is only just beginning. Repeat it.")


def cancel_refused(request: CancelRequest, desk: Desk, changes: ChangeRun, status: OrderStatus) -> Refused | None:
    """Why the order cannot be cancelled so; None if it can. Wishing it twice is one wish, unless it was previewed."""
    if desk.changing:
        return "conflict", "The order is being changed at this very moment. Repeat it."
    if not desk.begun:
        return not_begun(desk)
    if not desk.cancel_wished and not desk.cancellable:
        now = "expired" if desk.expired else status.replace("_", " ")
        return "too_late", f"The order is {now}: it can no longer be cancelled."
    if desk.cancel_wished and (request.shown is not None or desk.cancels_otherwise(request)):
        return "order_moved", f"{desk.cancelled_by} has cancelled the order meanwhile."
    moved = "" if request.shown is None else changes.moved_since(request.shown)
    return ("order_moved", moved) if moved else None


def keep_refused(request: CancelRequest, payment: PaymentRun) -> Refused | None:
    """Why money cannot be kept as the record has it; None if it can."""
    if payment.can_keep(request.kept):
        return None
    return "order_moved", "The order is being paid at this moment. Preview it again."


def resolution_refused(resolution: Resolution, journal: Journal, desk: Desk, changes: ChangeRun) -> Refused | None:
    """Why an exception cannot be decided so; None if it can."""
    if not journal.asks(resolution.exception_id):
        return "too_early", "The order is taking note of this exception. Repeat the decision."
    refusal = journal.refusal(resolution)
    if refusal is not None:
        return "conflict", refusal
    if resolution.action is not Action.CANCEL:
        return None
    return cancel_refused(CancelRequest(by=resolution.by), desk, changes, journal.status)


def hold_refused(
    hold: Hold, runs: Mapping[str, FulfilmentRun], desk: Desk, changes: ChangeRun, holds: Holds, status: OrderStatus
) -> Refused | None:
    """Why a hold cannot be placed; None if it can."""
    held = [run for id, run in runs.items() if hold.concerns(id)]
    left = bool(held) and all(run.left for run in held)
    if desk.cancel_wished or desk.expired or left or status in ENDED:
        return "too_late", "Nothing is left to do that a hold could stop."
    if hold.fulfilment_id is not None and not held:
        return "too_early", "The order has no such fulfilment yet."
    return _moved(hold.shown, changes, holds)


def release_refused(release: ReleaseHold, changes: ChangeRun, holds: Holds) -> Refused | None:
    """Why nobody can agree to a release so; None if he can."""
    refusal = holds.refusal(release)
    return _moved(release.shown, changes, holds) if refusal is None else ("conflict", refusal)


def _moved(shown: Shown | None, changes: ChangeRun, holds: Holds) -> Refused | None:
    if shown is None:
        return None
    moved = changes.moved_since(shown)
    if not moved and shown.holds != holds.marks:
        moved = "Somebody else has placed a hold meanwhile, or agreed to the release of one."
    return ("order_moved", moved) if moved else None


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
