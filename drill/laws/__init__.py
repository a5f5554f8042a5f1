"""The laws. Each is derived anew from independent books; none asks Waybill what it thinks of itself."""

from collections.abc import Callable, Iterator

from drill.laws.case import Breach, Case
from drill.laws.inbox import answered_events_are_kept
from drill.laws.notifications import each_thing_is_told_once, nothing_is_told_three_times
from drill.laws.orders import (
    accepted_orders_are_there,
    orders_end_as_decided,
    orders_end_or_wait_for_somebody,
    people_get_answers,
    timelines_tell_it_once,
)
from drill.laws.payments import customers_are_charged_once, money_agrees, money_fits_the_end
from drill.laws.portals import a_supplier_has_one_order, suppliers_have_what_they_ship
from drill.laws.returns import returns_are_settled_once
from drill.laws.shipments import a_parcel_has_one_label, labels_are_parcels
from drill.laws.stock import levels_are_sums, orders_hold_what_they_need, units_add_up
from drill.laws.workflows import orders_move_soon_again, workflow_tasks_do_not_fail

Law = Callable[[Case], Iterator[Breach]]

LAWS: dict[str, Law] = {
    "accepted orders are all there": accepted_orders_are_there,
    "each has ended, or waits for somebody who knows": orders_end_or_wait_for_somebody,
    "each ended as was answered": orders_end_as_decided,
    "whoever asked was answered": people_get_answers,
    "customers are charged once": customers_are_charged_once,
    "our money is the provider's": money_agrees,
    "the money fits the end": money_fits_the_end,
    "a parcel has one label": a_parcel_has_one_label,
    "labels bought are parcels": labels_are_parcels,
    "a supplier has one order": a_supplier_has_one_order,
    "suppliers were ordered what they ship": suppliers_have_what_they_ship,
    "what comes back is shelved and refunded once": returns_are_settled_once,
    "shipped and on hand is received": units_add_up,
    "levels are what was moved and promised": levels_are_sums,
    "orders hold what they need": orders_hold_what_they_need,
    "each thing is told once": each_thing_is_told_once,
    "nothing is told three times": nothing_is_told_three_times,
    "a timeline tells it once": timelines_tell_it_once,
    "events that were answered are kept": answered_events_are_kept,
    "no workflow task fails repeatedly": workflow_tasks_do_not_fail,
    "orders move soon after a fault": orders_move_soon_again,
}
"""every law by the words of the verdict"""

AT_EVERY_MOMENT = (
    "customers are charged once",
    "a parcel has one label",
    "a supplier has one order",
    "levels are what was moved and promised",
    "nothing is told three times",
)
"""those that hold while orders are under way, too"""


def judge(case: Case) -> dict[str, list[Breach]]:
    """What was broken, by law; a law without a breach has an empty list."""
    return {name: list(law(case)) for name, law in LAWS.items()}


__all__ = ["AT_EVERY_MOMENT", "LAWS", "Breach", "Case", "Law", "judge"]
