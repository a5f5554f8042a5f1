"""Each law can fail: one thing in a healthy case is made wrong, and just that law says so."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from drill.evidence import Story
from drill.faults import Fault, Kind
from drill.injector import Injected
from drill.laws import Case, judge
from drill.laws.notifications import repeated
from drill.people import SentBack
from tests.drill.healthy import at, healthy, life, mail, order, with_books, with_objects, with_table


def changed(case: Case, table: str, place: int, **values: object) -> Case:
    """The case with other values in one row of ours."""
    rows = [dict(row) for row in case.books.tables[table]]
    rows[place] |= values
    return with_table(case, table, rows)


def object_changed(case: Case, kind: str, place: int, **values: object) -> Case:
    rows = [dict(row) for row in case.books.objects[kind]]
    rows[place] |= values
    return with_objects(case, kind, rows)


def an_order_is_lost(case: Case) -> Case:
    return with_table(case, "orders", [dict(row) for row in case.books.tables["orders"][1:]])


def a_workflow_was_never_started(case: Case) -> Case:
    return with_books(case, stories={**case.books.stories, "order-1": Story("order-1")})


def a_line_is_lost(case: Case) -> Case:
    return with_table(case, "order_lines", [dict(row) for row in case.books.tables["order_lines"][1:]])


def it_is_stuck(case: Case) -> Case:
    rows = [dict(row) for row in case.books.tables["orders"]]
    rows[2] = order(3, "fulfilling", closed=False, on="waybill")
    return with_table(case, "orders", rows)


def nobody_was_told(case: Case) -> Case:
    return with_books(case, mails=case.books.mails[:-1])


def a_cancel_was_forgotten(case: Case) -> Case:
    return replace(case, lives={**case.lives, "order-1": life(1, "single", ("cancel", 200))})


def a_cancelled_order_left(case: Case) -> Case:
    both = life(2, "cancelled_and_handed_over", ("cancel", 200), ("hand_over", 200))
    return replace(case, lives={**case.lives, "order-2": both})


def a_change_was_forgotten(case: Case) -> Case:
    less = life(1, "changed", ("change", 200))
    less.taken_out = 1  # a gift, so that only the line tells
    return replace(case, lives={**case.lives, "order-1": less})


def a_total_is_not_what_is_wanted(case: Case) -> Case:
    return replace(case, lives={**case.lives, "order-1": life(1, "single", total=1100)})


def nobody_answered(case: Case) -> Case:
    unheard = life(1, "single")
    unheard.trouble = "GaveUp: POST /v1/orders"
    return replace(case, lives={**case.lives, "order-1": unheard})


def two_holds_were_placed(case: Case) -> Case:
    twice = [*case.books.objects["payment_intent"], {**case.books.objects["payment_intent"][0], "id": "pi_9"}]
    return with_objects(case, "payment_intent", [dict(each) for each in twice])


def a_capture_is_not_on_record(case: Case) -> Case:
    return changed(case, "payments", 0, captured=0)


def the_ledger_forgot_a_capture(case: Case) -> Case:
    return changed(case, "payment_events", 1, at=None)


def a_delivered_order_was_never_charged(case: Case) -> Case:
    free = object_changed(case, "charge", 0, amount_captured=0)
    return changed(changed(free, "payments", 0, captured=0), "payment_events", 1, at=None)


def money_is_held_for_nothing(case: Case) -> Case:
    return object_changed(case, "payment_intent", 1, amount_capturable=1000)


def two_labels_were_bought(case: Case) -> Case:
    extra = {**case.books.tables["parcels"][0], "id": "box-9", "shipment": "shp_9"}
    label = {**case.books.objects["easypost_shipment"][0], "id": "shp_9", "reference": "box-9"}
    more = with_table(case, "parcels", [*(dict(row) for row in case.books.tables["parcels"]), extra])
    return with_objects(
        more, "easypost_shipment", [*(dict(row) for row in case.books.objects["easypost_shipment"]), label]
    )


def a_label_given_back_was_scanned(case: Case) -> Case:
    """The carrier took it back, and then gives nothing for it, since the parcel travels."""
    case = two_labels_were_bought(case)
    last = len(case.books.tables["parcels"]) - 1
    case = changed(case, "parcels", last, void_status="submitted")
    return object_changed(case, "easypost_shipment", last, refund_status="rejected")


def a_label_is_nobodys(case: Case) -> Case:
    stray = {"id": "shp_9", "reference": "box-9", "_purchased": True, "refund_status": None}
    return with_objects(
        case, "easypost_shipment", [*(dict(row) for row in case.books.objects["easypost_shipment"]), stray]
    )


def a_label_was_not_given_back(case: Case) -> Case:
    return object_changed(case, "easypost_shipment", 1, refund_status=None)


def a_unit_has_vanished(case: Case) -> Case:
    return replace(case, received={("MUG", "EDI"): 11})


def a_level_is_no_sum(case: Case) -> Case:
    return changed(case, "levels", 0, reserved=1)


def two_movements_crossed(case: Case) -> Case:
    return changed(case, "movements", 2, reserved_after=1)


def more_is_promised_than_there_is(case: Case) -> Case:
    return changed(case, "levels", 0, damaged=10)


def an_ended_order_holds_units(case: Case) -> Case:
    held = changed(changed(case, "reservations", 1, status="committed"), "levels", 0, reserved=1)
    return with_table(held, "movements", [dict(row) for row in held.books.tables["movements"][:-1]])


def a_mail_is_missing(case: Case) -> Case:
    return with_books(case, mails=case.books.mails[1:])


def a_mail_was_doubled(case: Case) -> Case:
    calm = replace(case, injected=())
    return with_books(calm, mails=[*case.books.mails, case.books.mails[0]])


def a_mail_was_doubled_under_another_name(case: Case) -> Case:
    return with_books(case, mails=[*case.books.mails, mail(1, "confirmed", name="<other@shop.example>")])


def a_mail_came_three_times(case: Case) -> Case:
    return with_books(case, mails=[*case.books.mails, *(2 * [case.books.mails[0]])])


def a_delivery_stands_on_the_timeline_twice(case: Case) -> Case:
    rows = [dict(row) for row in case.books.tables["timeline"]]
    return with_table(case, "timeline", [*rows, rows[-1]])


def an_event_was_answered_and_lost(case: Case) -> Case:
    return with_table(case, "inbox", [])


def an_event_was_never_looked_at(case: Case) -> Case:
    return changed(case, "inbox", 0, status="stored")


def a_workflow_fails_again_and_again(case: Case) -> Case:
    failing = replace(case.books.stories["order-3"], failing=7)
    return with_books(case, stories={**case.books.stories, "order-3": failing})


def histories_have_failed_tasks(case: Case) -> Case:
    failed = replace(case.books.stories["order-1"], failures={"NON_DETERMINISTIC_ERROR": 2})
    return with_books(case, stories={**case.books.stories, "order-1": failed})


def nothing_moved_for_long(case: Case) -> Case:
    late = replace(case.books.stories["order-1"], moved=(at(4), at(120)))
    return with_books(case, stories={**case.books.stories, "order-1": late})


def at_supplier(number: int, reference: str, *, status: str = "delivered", units: int = 1) -> dict[str, object]:
    lines = [{"sku": "MUG", "quantity": units}]
    return {"id": f"NG-{number}", "reference": reference, "status": status, "lines": lines}


def supplied(case: Case, *orders: dict[str, object]) -> Case:
    """The first order's parcel comes from a supplier, who has these orders on his books."""
    return with_objects(changed(case, "fulfilments", 0, portal="northgate"), "portal_order", list(orders))


def a_supplier_has_it_twice(case: Case) -> Case:
    return supplied(case, at_supplier(1, "WB-1-1-1"), at_supplier(2, "WB-1-1-2"))


def what_a_supplier_ships_was_never_ordered(case: Case) -> Case:
    return supplied(case)


def a_supplier_was_ordered_more(case: Case) -> Case:
    return supplied(case, at_supplier(1, "WB-1-1-1", units=2))


def a_supplier_has_what_nobody_placed(case: Case) -> Case:
    return supplied(case, at_supplier(1, "WB-1-1-1"), at_supplier(2, "WB-9-1-1"))


def what_was_called_off_stands_at_the_supplier(case: Case) -> Case:
    called_off = changed(supplied(case, at_supplier(1, "WB-1-1-1")), "fulfilments", 1, portal="northgate")
    stands = [dict(each) for each in called_off.books.objects["portal_order"]]
    return with_objects(called_off, "portal_order", [*stands, at_supplier(2, "WB-2-1-1", status="picking")])


def our_record_of_it_is_wrong(case: Case) -> Case:
    row = {"order_id": "order-1", "reference": "WB-1-1-1", "stage": "placed", "number": "NG-7"}
    return with_table(supplied(case, at_supplier(1, "WB-1-1-1")), "portal_orders", [row])


def sent_back(case: Case, *, shelved: int = 1, refunds: int = 1, labels: int = 1, closed: bool = True) -> Case:
    """The first order's mug has come back: so many went on the shelf, so often it was refunded, so many labels."""
    gone = life(1, "single", ("return", 201), ("receive", 200), ("inspect", 200))
    gone.sent_back = SentBack("return-1", "MUG", "EDI", 1, 400)
    row = {"id": "return-1", "order_id": "order-1", "refund_id": "refund-1", "closed_at": at(50) if closed else None}
    sold = [
        {"id": f"lab-{n}", "order_id": "order-1", "shipment": f"ret_{n}", "bought_at": at(30)} for n in range(labels)
    ]
    paper = [
        {"id": f"ret_{n}", "reference": f"lab-{n}", "_purchased": True, "refund_status": None} for n in range(labels)
    ]
    paid = {"id": "re_1", "payment_intent": "pi_1", "amount": 400, "_given_back": True}
    given = {"order_id": "order-1", "kind": "refunded", "amount": 400 * refunds, "at": at(48)}
    moved = {**case.books.tables["movements"][0], "kind": "returned", "cause": "return:return-1"}
    moved |= {"on_hand_change": shelved, "on_hand_after": 9 + shelved}
    case = with_table(case, "returns", [{**row, "status": "closed" if closed else "inspected"}])
    case = with_table(case, "return_labels", sold)
    case = with_table(case, "movements", [*map(dict, case.books.tables["movements"]), moved])
    case = with_table(case, "payment_events", [*map(dict, case.books.tables["payment_events"]), given])
    case = changed(changed(case, "levels", 0, on_hand=9 + shelved), "payments", 0, refunded=400 * refunds)
    case = with_objects(case, "easypost_shipment", [*map(dict, case.books.objects["easypost_shipment"]), *paper])
    case = with_objects(case, "refund", [{**paid, "metadata": {"refund_id": "refund-1"}}] * refunds)
    letters = [mail(1, subject) for subject in ("how to send it", "it has come", "what it comes to", "refunded")]
    case = with_books(case, mails=[*case.books.mails, *letters])
    return replace(case, lives={**case.lives, "order-1": gone}, received={("MUG", "EDI"): 10 + 1})


def what_came_back_is_on_the_shelf_twice(case: Case) -> Case:
    return sent_back(case, shelved=2)


def what_came_back_was_refunded_twice(case: Case) -> Case:
    return sent_back(case, refunds=2)


def two_labels_were_bought_for_a_return(case: Case) -> Case:
    return sent_back(case, labels=2)


def a_return_never_ends(case: Case) -> Case:
    return sent_back(case, closed=False)


def a_return_is_lost(case: Case) -> Case:
    return with_table(sent_back(case), "returns", [])


WRONGS: list[tuple[Callable[[Case], Case], str]] = [
    (an_order_is_lost, "accepted orders are all there"),
    (a_workflow_was_never_started, "accepted orders are all there"),
    (a_line_is_lost, "accepted orders are all there"),
    (a_change_was_forgotten, "accepted orders are all there"),
    (a_total_is_not_what_is_wanted, "the money fits the end"),
    (it_is_stuck, "each has ended, or waits for somebody who knows"),
    (nobody_was_told, "each has ended, or waits for somebody who knows"),
    (a_cancel_was_forgotten, "each ended as was answered"),
    (a_cancelled_order_left, "each ended as was answered"),
    (nobody_answered, "whoever asked was answered"),
    (two_holds_were_placed, "customers are charged once"),
    (a_capture_is_not_on_record, "our money is the provider's"),
    (the_ledger_forgot_a_capture, "our money is the provider's"),
    (a_delivered_order_was_never_charged, "the money fits the end"),
    (money_is_held_for_nothing, "the money fits the end"),
    (two_labels_were_bought, "a parcel has one label"),
    (a_label_given_back_was_scanned, "a parcel has one label"),
    (a_label_is_nobodys, "labels bought are parcels"),
    (a_label_was_not_given_back, "labels bought are parcels"),
    (a_supplier_has_it_twice, "a supplier has one order"),
    (what_a_supplier_ships_was_never_ordered, "suppliers were ordered what they ship"),
    (a_supplier_was_ordered_more, "suppliers were ordered what they ship"),
    (a_supplier_has_what_nobody_placed, "suppliers were ordered what they ship"),
    (what_was_called_off_stands_at_the_supplier, "suppliers were ordered what they ship"),
    (our_record_of_it_is_wrong, "suppliers were ordered what they ship"),
    (what_came_back_is_on_the_shelf_twice, "what comes back is shelved and refunded once"),
    (what_came_back_is_on_the_shelf_twice, "shipped and on hand is received"),
    (what_came_back_was_refunded_twice, "what comes back is shelved and refunded once"),
    (what_came_back_was_refunded_twice, "the money fits the end"),
    (two_labels_were_bought_for_a_return, "what comes back is shelved and refunded once"),
    (a_return_never_ends, "what comes back is shelved and refunded once"),
    (a_return_is_lost, "what comes back is shelved and refunded once"),
    (a_unit_has_vanished, "shipped and on hand is received"),
    (a_level_is_no_sum, "levels are what was moved and promised"),
    (two_movements_crossed, "levels are what was moved and promised"),
    (more_is_promised_than_there_is, "levels are what was moved and promised"),
    (an_ended_order_holds_units, "orders hold what they need"),
    (a_mail_is_missing, "each thing is told once"),
    (a_mail_was_doubled, "each thing is told once"),
    (a_mail_was_doubled_under_another_name, "each thing is told once"),
    (a_mail_came_three_times, "nothing is told three times"),
    (a_delivery_stands_on_the_timeline_twice, "a timeline tells it once"),
    (an_event_was_answered_and_lost, "events that were answered are kept"),
    (an_event_was_never_looked_at, "events that were answered are kept"),
    (a_workflow_fails_again_and_again, "no workflow task fails repeatedly"),
    (histories_have_failed_tasks, "no workflow task fails repeatedly"),
    (nothing_moved_for_long, "orders move soon after a fault"),
]


def test_in_a_healthy_case_every_law_holds() -> None:
    assert {name: found for name, found in judge(healthy()).items() if found} == {}


def test_what_came_back_once_is_no_breach() -> None:
    assert {name: found for name, found in judge(sent_back(healthy())).items() if found} == {}


def test_a_scan_under_a_label_that_was_given_back_is_no_breach_where_a_person_was_told() -> None:
    case = a_label_given_back_was_scanned(healthy())
    order_id = case.books.tables["fulfilments"][0]["order_id"]
    told = {"order_id": order_id, "kind": "shipped_after_cancel", "status": "resolved", "told_at": at(40)}
    case = with_table(case, "exceptions", [*(dict(row) for row in case.books.tables["exceptions"]), told])
    assert {name: found for name, found in judge(case).items() if found} == {}


def test_what_a_supplier_was_ordered_once_and_anew_after_a_cancel_is_no_breach() -> None:
    case = supplied(
        healthy(),
        at_supplier(1, "WB-1-1-1", status="cancelled"),
        at_supplier(2, "WB-1-1-2"),
        at_supplier(3, "WB-2-1-1", status="cancelled"),
    )
    assert {name: found for name, found in judge(case).items() if found} == {}


@pytest.mark.parametrize(("wrong", "law"), WRONGS, ids=lambda value: getattr(value, "__name__", ""))
def test_one_wrong_thing_breaks_its_law(wrong: Callable[[Case], Case], law: str) -> None:
    assert judge(wrong(healthy()))[law]


def test_every_law_has_something_that_breaks_it() -> None:
    assert {law for _, law in WRONGS} == set(judge(healthy()))


def test_a_mail_that_came_twice_after_the_mail_server_died_is_named_and_no_breach() -> None:
    case = healthy()
    fault = Fault(number=2, at=4, kind=Kind.KILL, seconds=1, targets=("mail",))
    doubled = with_books(case, mails=[*case.books.mails, case.books.mails[0]])
    excused = replace(doubled, injected=(Injected(fault, at(4), at(6)),))
    assert judge(excused)["each thing is told once"] == []
    assert [(each.order_id, each.fault) for each in repeated(excused)] == [("order-1", "kill mail, 1 s")]


def test_a_third_copy_that_a_person_decided_to_send_is_no_breach() -> None:
    case = healthy()
    fault = Fault(number=2, at=4, kind=Kind.KILL, seconds=1, targets=("mail",))
    told = case.books.mails[0]
    tripled = replace(
        with_books(case, mails=[*case.books.mails, told, told]), injected=(Injected(fault, at(4), at(6)),)
    )
    noted = with_table(tripled, "notifications", [{"order_id": "order-1", "message_id": told["message_id"]}])
    assert judge(noted)["nothing is told three times"]
    asked = {"order_id": "order-1", "kind": "notice_unconfirmed", "status": "resolved", "resolution": "retry"}
    decided = judge(with_table(noted, "exceptions", [{**asked, "id": "exc-1"}]))
    assert decided["nothing is told three times"] == decided["each thing is told once"] == []


def test_a_slow_recovery_while_something_else_was_broken_is_no_breach() -> None:
    case = nothing_moved_for_long(healthy())
    other = Fault(number=2, at=10, kind=Kind.FREEZE, seconds=30, targets=("postgres",))
    assert (
        judge(replace(case, injected=(*case.injected, Injected(other, at(12), at(100)))))[
            "orders move soon after a fault"
        ]
        == []
    )
