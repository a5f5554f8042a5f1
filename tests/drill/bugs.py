"""Bugs to be planted in a copy of the sources: for each law one that breaks it, and what it takes to see it."""

from dataclasses import dataclass, field
from typing import Any

from drill.faults import Fault, Kind
from tests.mutants.mutants import Mutant

ACCEPTED = "accepted orders are all there"
KNOWN = "each has ended, or waits for somebody who knows"
ANSWERED = "each ended as was answered"
ONCE = "customers are charged once"
FITS = "the money fits the end"
ONE_LABEL = "a parcel has one label"
LEVELS = "levels are what was moved and promised"
RECEIVED = "shipped and on hand is received"
TOLD = "each thing is told once"
KEPT = "events that were answered are kept"
ONE_ORDER = "a supplier has one order"
FAILING = "no workflow task fails repeatedly"


@dataclass(frozen=True)
class Bug:
    """A mutant, the ``law`` that the drill must find broken, the orders and the faults that bring it to light.

    The orders are placed within ``seconds``. ``supplied``: some of them with a supplier, for whom there is a browser.
    """

    mutant: Mutant
    law: str
    shapes: tuple[str, ...] = ("single",)
    orders: int = 5
    faults: tuple[Fault, ...] = field(default_factory=tuple)
    seconds: float = 10.0
    supplied: bool = False


def plant(law: str, path: str, before: str, after: str) -> Mutant:
    """A mutant that no test of its own need notice: the drill does."""
    return Mutant(law, path, before, after, ())


def dial(vendor: str, *, seconds: float = 8, **dials: Any) -> Fault:
    """A provider that misbehaves from the beginning."""
    return Fault(number=1, at=0, kind=Kind.PROVIDERS, seconds=seconds, vendor=vendor, dials=dials)


def down(name: str, *, seconds: float) -> Fault:
    """A process that is killed at the beginning, and away for a while."""
    return Fault(number=1, at=0, kind=Kind.KILL, seconds=seconds, targets=(name,))


ENDING = "workflows/orders/ending.py"
_BROKEN_OFF = {"operation": "payment_intents.create", "status": 500, "deed": True, "times": 3}
_UNHEARD = {"operation": "orders.submit", "status": "lost_answer", "times": 1}

BUGS = (
    Bug(
        plant(
            "a step that moves money has an idempotency key",
            "integrations/payments/stripe/adapter.py",
            '"Idempotency-Key": key}',
            '"Idempotency-Key": f"{key}-{id(object())}-{id(self)}-{__import__(\'time\').time()}"}',
        ),
        ONCE,
        faults=(dial("stripe", lost_answer_rate=0.7),),
    ),
    Bug(
        plant(
            "after a failure that the provider keeps, its books are looked at",
            "activities/payments.py",
            "        found = await provider.find(step.order_id, since=since - _CLOCK_SKEW)\n",
            "        found = ()\n",
        ),
        ONCE,
        faults=(dial("stripe", fail_next=[_BROKEN_OFF]),),
    ),
    Bug(
        plant(
            "an event is answered once it is stored",
            "api/webhooks.py",
            'new = await wired.arrivals.store({**_row(event), "body": body, "traceparent": wired.traceparent()})',
            "new = bool(body)",
        ),
        KEPT,
    ),
    Bug(
        plant(
            "levels are locked before they are read",
            "activities/stock.py",
            "levels = await stock_records.lock(connection, keys)",
            "levels = await stock_records.find_levels(connection, keys)",
        ),
        LEVELS,
        shapes=("scarce",),
        orders=24,
        seconds=1.0,
    ),
    Bug(
        plant(
            "a mail is sent once",
            "activities/notifications.py",
            "        with provider_failures():\n            while not await self._hand_in(notice, mail, attempt):\n",
            "        with provider_failures():\n            await self._mailer.send(mail)\n"
            "            while not await self._hand_in(notice, mail, attempt):\n",
        ),
        TOLD,
    ),
    Bug(
        plant(
            "an order that could not be started is started later",
            "runtime/relay.py",
            "        for row in rows:\n            try:\n                await self._start_order(row)",
            "        for row in rows[:0]:\n            try:\n                await self._start_order(row)",
        ),
        ACCEPTED,
        faults=(down("temporal", seconds=12),),
    ),
    Bug(
        plant(
            "an accepted cancel is heeded",
            "workflows/orders/desk.py",
            "        if self._cancel is not None:\n            reason =",
            "        if False and self._cancel is not None:\n            reason =",
        ),
        ANSWERED,
        shapes=("cancelled_labelled",),
    ),
    Bug(
        plant(
            "nothing leaves before its money is taken",
            "workflows/orders/fulfilment.py",
            "self._refused = await self._payment.capture(self.planned)",
            "self._refused = None",
        ),
        FITS,
    ),
    Bug(
        plant(
            "a label that was bought is used",
            "activities/shipments.py",
            "        shipment, made_at = await self._created(carrier, step, contents)\n"
            "        settled = shipment if shipment.label is not None "
            "else await self._settled(carrier, step, shipment)\n",
            "        await self._intend(step, contents.size)\n"
            "        asked = ShipmentRequest(\n"
            "            step.parcel_id, contents.sender, step.recipient, contents.size, step.order_number\n"
            "        )\n"
            "        shipment = settled = await carrier.create(asked)\n        made_at = monotonic()\n",
        ),
        ONE_LABEL,
        faults=(dial("easypost", lost_answer_rate=0.5),),
        orders=8,
    ),
    Bug(
        plant(
            "a portal is searched before anything is ordered there",
            "integrations/portals/clerk.py",
            'and NotAsAsked, OrderedTwice."""\n        number = await self.look_up(portal, request.reference)\n',
            'and NotAsAsked, OrderedTwice."""\n        number = None\n',
        ),
        ONE_ORDER,
        shapes=("supplied",),
        orders=2,
        # It is listed later than the answer is given up, and sooner than it would have to be ordered again. A browser
        # is slow to come to the button.
        faults=(dial("portal", seconds=60, list_lag_seconds=6, fail_next=[_UNHEARD]),),
        supplied=True,
    ),
    Bug(
        plant(
            "what leaves is taken out of stock",
            "db/stock.py",
            "UPDATE stock_levels l SET on_hand = l.on_hand + s.on_hand,",
            "UPDATE stock_levels l SET on_hand = l.on_hand + GREATEST(0, s.on_hand),",
        ),
        RECEIVED,
    ),
    Bug(
        plant(
            "a workflow's code does not fail",
            ENDING,
            "            self._journal.delivered_at = workflow.now()\n",
            '            raise RuntimeError("a bug")\n',
        ),
        FAILING,
    ),
    Bug(
        plant(
            "who waits for a person is told to that person",
            "runtime/relay.py",
            'Chore("tell_operators", 2.0, notifications.tell_operators)',
            'Chore("tell_operators", 3600.0, notifications.tell_operators)',
        ),
        KNOWN,
        shapes=("never_in_stock",),
        orders=2,
    ),
)
