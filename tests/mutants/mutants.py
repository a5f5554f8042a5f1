"""Planted bugs: for each law of the house one that breaks it, and the tests that must notice."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = (
    "domain",
    "db",
    "integrations",
    "activities",
    "workflows",
    "api",
    "console",
    "runtime",
    "local",
    "templates",
    "tests",
)
_PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Mutant:
    """One bug: in the file ``path`` the text ``before``, which stands there once, becomes ``after``.

    Each of ``tests`` (node ids) must fail of it.
    """

    law: str
    path: str
    before: str
    after: str
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What pytest said: 0 all passed, 1 some failed, anything else that it could not even ask."""

    code: int
    text: str


def copy_house(to: Path) -> Path:
    """A copy of the sources that a bug can be planted in, with what is compiled of them: only the bugs are not."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, to / room)
    shutil.copy(ROOT / "pyproject.toml", to / "pyproject.toml")
    return to


def plant(house: Path, mutant: Mutant) -> None:
    """Put the bug in. Where its place is not found exactly once the code has changed, and the mutant must follow."""
    path = house / mutant.path
    text = path.read_text(encoding="utf-8")
    found = text.count(mutant.before)
    assert found == 1, f"{mutant.path} has {found} places for the mutant “{mutant.law}”"
    path.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")


def judge(house: Path, tests: tuple[str, ...]) -> Verdict:
    """Run these tests in a copy, against the run's own PostgreSQL."""
    # The copy is no xdist worker, and must find its own sources first.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "PYTHON"))}
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            "-rf",
            "-m",
            "fuzz or not fuzz",
            *tests,
        ],
        cwd=house,
        env={**inherited, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=_PATIENCE_SECONDS,
        check=False,
    )
    return Verdict(done.returncode, done.stdout + done.stderr)


PAYMENTS, SHIPMENTS = "activities/payments.py", "integrations/carriers/easypost/adapter.py"

# One for each law, with the quickest test that notices: they are planted in one copy, and each test fails of its own.
QUICK = (
    Mutant(
        "the same step has the same key, whichever attempt it is",
        PAYMENTS,
        "return step_key(self.order_id, named, self.n)",
        'return step_key(self.order_id, f"{named}-{id(object())}-{datetime.now().timestamp()}", self.n)',
        ("tests/activities/test_refunds.py::test_a_refund_whose_answer_was_lost_is_made_once",),
    ),
    Mutant(
        "a purchase that may have been made is looked up before another is made",
        "activities/shipments.py",
        "since = intended.forgotten_since if intended.first else step.since",
        "since = None",
        ("tests/activities/test_shipments.py::test_a_shipment_whose_answer_was_lost_is_found_and_used",),
    ),
    Mutant(
        "an event that was answered is stored",
        "api/webhooks.py",
        'new = await wired.arrivals.store({**_row(event), "body": body, "traceparent": wired.traceparent()})',
        "new = True",
        ("tests/api/test_webhooks.py::test_a_signed_event_is_stored_as_it_came",),
    ),
    Mutant(
        "levels are locked before they are read",
        "activities/stock.py",
        "levels = await stock_records.lock(connection, keys)",
        "levels = await stock_records.find_levels(connection, keys)",
        ("tests/activities/test_stock.py::test_of_fifty_orders_for_the_last_ten_units_exactly_ten_get_one",),
    ),
    Mutant(
        "an attempt to tell the customer is counted before it is made",
        "activities/notifications.py",
        "self._mailer.send(mail, about_to=attempt.begin)",
        "self._mailer.send(mail)",
        (
            "tests/activities/test_notifications.py"
            "::test_however_often_the_answer_is_lost_the_customer_gets_two_mails_at_most",
        ),
    ),
    Mutant(
        "an accepted cancel is not forgotten",
        "workflows/orders/desk.py",
        "            self._cancel = request\n",
        "",
        ("tests/workflows/test_cancel.py::test_a_parcel_of_an_order_being_cancelled_must_not_leave",),
    ),
)

THOROUGH = (
    Mutant(
        "an event is applied only once its order was told",
        "activities/inbox.py",
        "woken = await self._wake(payment.order_id, wake)",
        "woken = wake is not None",
        ("tests/activities/test_inbox.py::test_an_order_that_waits_for_its_customer_is_woken",),
    ),
    Mutant(
        "before a label is bought the carrier is asked whether it was",
        SHIPMENTS,
        "        if before is not None and before.label is not None:\n            return before\n",
        "",
        ("tests/integrations/test_easypost_adapter.py::test_what_is_bought_is_not_bought_again",),
    ),
    Mutant(
        "before a label is given back the carrier is asked whether it was",
        SHIPMENTS,
        "if before.label is None or before.refund_status in _REFUND_ASKED:",
        "if before.label is None:",
        ("tests/integrations/test_easypost_adapter.py::test_the_price_of_a_label_is_asked_back_once[submitted-False]",),
    ),
    Mutant(
        "after a spent key the provider's books are read before a new key is used",
        PAYMENTS,
        "made = await (self._forgotten(provider, step, begun) if step.n == 1 else self._live(provider, step))",
        "made = None",
        ("tests/activities/test_payments.py::test_a_second_decision_finds_what_the_first_one_did_before_it_charges",),
    ),
    Mutant(
        "a refund decided again finds the first one",
        PAYMENTS,
        "refund = await self._refunded(provider, reference) if look else None",
        "refund = None",
        ("tests/activities/test_refunds.py::test_a_second_decision_to_refund_finds_the_first_refund",),
    ),
    Mutant(
        "a reservation made before is found",
        "activities/stock.py",
        "        if not mine:\n            return None\n",
        "        if mine or not mine:\n            return None\n",
        ("tests/activities/test_stock.py::test_an_order_whose_reservation_is_made_twice_at_once_holds_its_units_once",),
    ),
    Mutant(
        "an accepted cancel is heeded",
        "workflows/orders/desk.py",
        "        if self._cancel is not None:\n            reason =",
        "        if False and self._cancel is not None:\n            reason =",
        ("tests/workflows/test_cancel.py::test_a_cancelled_order_gives_back_label_money_and_stock",),
    ),
    Mutant(
        "of a hold that can be captured in parts no part is taken twice",
        PAYMENTS,
        "state = await provider.retrieve(reference) if look else None",
        "state = None",
        (
            "tests/activities/test_shares.py"
            "::test_a_part_whose_answer_was_lost_is_taken_once_even_when_its_key_has_lapsed_since",
        ),
    ),
    Mutant(
        "nothing leaves before its money is taken",
        "workflows/orders/fulfilment.py",
        "self._refused = await self._payment.capture(self.planned)",
        "self._refused = None",
        ("tests/workflows/test_hand_over.py::test_a_hand_over_is_refused_while_the_capture_is_declined",),
    ),
    Mutant(
        "while a hand-over runs nobody can cancel",
        "workflows/orders/desk.py",
        "open_still and not self.handing_over and not self.changing",
        "open_still and not self.changing",
        ("tests/faults/test_people.py::test_a_cancel_that_comes_while_a_hand_over_runs_is_refused",),
    ),
    Mutant(
        "what has left before is not given back, whichever run of the workflow knows of it",
        "activities/stock.py",
        "(), (), tuple(left))",
        "(), ())",
        ("tests/faults/test_people.py::test_ended_workflows_are_taken_up_where_they_stood_and_nothing_is_done_twice",),
    ),
    Mutant(
        "a portal is searched before anything is ordered there",
        "integrations/portals/clerk.py",
        'and NotAsAsked, OrderedTwice."""\n        number = await self.look_up(portal, request.reference)\n',
        'and NotAsAsked, OrderedTwice."""\n        number = None\n',
        ("tests/portals/test_never_twice.py::test_an_order_that_is_listed_late_is_not_placed_again",),
    ),
    Mutant(
        "what a portal's summary shows is compared before the final button",
        "integrations/portals/clerk.py",
        "            if other:\n                raise NotAsAsked(self._provider, fields=other, number=None)",
        "            if False and other:\n                raise NotAsAsked(self._provider, fields=other, number=None)",
        ("tests/portals/test_activities.py::test_what_differs_is_a_persons_business_and_not_tried_again",),
    ),
    Mutant(
        "the final button of a portal is pressed by one worker",
        "db/portals.py",
        "            PortalOrderRecord.submissions == seen,\n",
        "",
        ("tests/portals/test_activities.py::test_whoever_comes_second_to_the_final_button_does_not_press_it",),
    ),
)
