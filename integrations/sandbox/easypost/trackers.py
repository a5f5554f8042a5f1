"""Trackers: where a parcel is, as scans come in by the stored times and the dials, or by a tester's hand.

A tracker keeps how many of its nine events have happened (``_step``), when the last one did (``_since``), and which
delay the next one waits for (``_clock``). Whoever looks brings it up to date first, so what a GET shows is what the
webhooks have told, also after a restart.
"""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from integrations.sandbox.easypost import journey
from integrations.sandbox.easypost.dials import EasyPostDials, Outcome
from integrations.sandbox.easypost.hooks import Events, page_of
from integrations.sandbox.easypost.wire import MODE, NAME, body_of, iso, missing, not_found, part, public, refused
from integrations.sandbox.provider import Answer, Call, Object, Operation, Sandbox

KIND = "easypost_tracker"
_SAME_FOR = timedelta(days=90).total_seconds()
_AT_ONCE = 200

# Served by the index below; the kind stands in the text because the index covers this kind alone.
_DUE = """
SELECT obj FROM objects WHERE kind = 'easypost_tracker' AND json_extract(obj, '$._clock') = ?
AND json_extract(obj, '$._since') <= ? AND json_extract(obj, '$._step') < ? ORDER BY seq LIMIT ?
"""
_INDEX = """
CREATE INDEX IF NOT EXISTS easypost_tracker_due ON objects
(json_extract(obj, '$._clock'), json_extract(obj, '$._since')) WHERE kind = 'easypost_tracker'
"""


class NoMoreEvents(Exception):
    """The parcel has arrived, or its label was refunded: there is no next event."""


class Trackers:
    """The tracker endpoints, and the passage of time for parcels."""

    def __init__(self, sandbox: Sandbox, events: Events) -> None:
        self._sandbox, self._books, self._events = sandbox, sandbox.books, events
        self._books.execute(_INDEX)
        self._books.index(KIND, "tracking_code")

    @property
    def operations(self) -> list[Operation]:
        """What the vendor offers for trackers."""
        return [
            Operation("trackers.create", "POST", "/trackers", self._create),
            Operation("trackers.list", "GET", "/trackers", self._list),
            Operation("trackers.retrieve", "GET", "/trackers/{id}", self._retrieve),
            Operation("trackers.delete", "DELETE", "/trackers/{id}", self._delete),
        ]

    def begin(
        self, shipment: Object, *, origin: Object, destination: Object, abroad: bool, call: Call | None
    ) -> Object:
        """The tracker of a parcel whose label was just bought; its events follow by the clock."""
        rate, now = shipment["selected_rate"], self._sandbox.clock()
        tracker = self._new(shipment["tracking_code"], rate["carrier"], now)
        days = rate["delivery_days"] or 0
        tracker |= {
            "shipment_id": shipment["id"],
            "weight": shipment["parcel"]["weight"],
            "is_return": shipment["is_return"],
            "est_delivery_date": iso(now + timedelta(days=days).total_seconds()),
            "carrier_detail": _carrier_detail(rate["service"], journey.place_of(origin), journey.place_of(destination)),
            "_clock": "label",
            "_abroad": abroad,
            "_signer": str(destination["name"] or destination["company"] or "RESIDENT").upper(),
            "_spots": _spots(origin, destination, rate["carrier"]),
        }
        self._books.put(KIND, tracker["id"], tracker)
        self._events.send("tracker.created", public(tracker), request_id=call.request_id if call else None)
        return tracker

    def current(self, tracker_id: str) -> Object:
        """The tracker, brought up to date. Raises `Refused` (404)."""
        tracker = self._books.get(KIND, tracker_id)
        if tracker is None:
            raise not_found()
        return self._ripen(tracker, self._sandbox.clock())

    def find(self, name: str) -> Object | None:
        """A tracker by its id or its tracking code, brought up to date."""
        found = [self._books.get(KIND, name), *self._books.find(KIND, tracking_code=name)]
        tracker = next((candidate for candidate in found if candidate), None)
        return tracker and self._ripen(tracker, self._sandbox.clock())

    def tick(self, now: float) -> None:
        """Let every event happen that is due."""
        dials = self._dials()
        last = journey.LENGTH if dials.stall_after is None else dials.stall_after
        for clock in ("label", "scan", "move"):
            due = (clock, now - _delay(clock, dials), last, _AT_ONCE)
            for row in self._books.execute(_DUE, due):
                self._ripen(json.loads(row["obj"]), self._sandbox.clock())

    def advance(self, tracker: Object) -> Object:
        """Let the next event happen now, whatever the clock says. Raises `NoMoreEvents`."""
        if tracker["_clock"] is None:
            raise NoMoreEvents(f"{tracker['tracking_code']} is {tracker['status']}: nothing follows")
        return self._step(tracker, self._sandbox.clock())

    def note(self, tracker: Object, detail: Object, *, signed_by: str | None = None) -> Object:
        """Record an event of a tester's choice; the usual ones follow after it unless its status is final."""
        now, status = self._sandbox.clock(), detail["status"]
        moved = {"in_transit": 2, "out_for_delivery": 8}.get(status, 1)
        tracker["_step"] = max(tracker["_step"], moved)
        return self._record(tracker, detail, now, signed_by=signed_by, final=status in journey.FINAL)

    def stop(self, tracker: Object) -> None:
        """No further events by the clock: the label is void."""
        self._books.put(KIND, tracker["id"], {**tracker, "_clock": None})

    def _create(self, call: Call) -> Answer:
        given = part(body_of(call), "tracker")
        code, carrier = given.get("tracking_code"), given.get("carrier")
        if not code:
            raise missing("tracking_code")
        known = [
            tracker
            for tracker in self._books.find(KIND, tracking_code=str(code), _deleted=None)
            if carrier in (None, tracker["carrier"]) and call.at - tracker["_born"] < _SAME_FOR
        ]
        if known:
            return Answer(body=public(self._ripen(known[0], call.at)))
        if code not in journey.TEST_CODES:
            raise refused(422, "TRACKER.CREATE.ERROR", "Unable to create tracker.", ["No such tracking code."])
        tracker = self._example(str(code), str(carrier or "USPS"), call.at)
        self._books.put(KIND, tracker["id"], tracker)
        self._events.send("tracker.created", public(tracker), request_id=call.request_id)
        return Answer(body=public(tracker))

    def _list(self, call: Call) -> Answer:
        wanted = {name: value for name in ("tracking_code", "carrier") if (value := call.query.get(name))}
        trackers, more = page_of(self._sandbox, KIND, call, _deleted=None, **wanted)
        current = [public(self._ripen(tracker, call.at)) for tracker in trackers]
        return Answer(body={"trackers": current, "has_more": more})

    def _retrieve(self, call: Call) -> Answer:
        tracker = self.current(call.path_params["id"])
        if tracker.get("_deleted"):
            raise not_found()
        return Answer(body=public(tracker))

    def _delete(self, call: Call) -> Answer:
        """Nobody hears of it again; its shipment still needs to know whether the parcel was scanned."""
        tracker = self.current(call.path_params["id"])
        self._books.put(KIND, tracker["id"], {**tracker, "_clock": None, "_deleted": True})
        return Answer(body={})

    def _new(self, code: str, carrier: str, now: float) -> Object:
        tracker_id = self._books.new_id("trk", hexadecimal=True)
        return {
            "id": tracker_id,
            "object": "Tracker",
            "mode": MODE,
            "tracking_code": code,
            "status": "unknown",
            "status_detail": "unknown",
            "created_at": iso(now),
            "updated_at": iso(now),
            "signed_by": None,
            "weight": None,
            "est_delivery_date": None,
            "shipment_id": None,
            "carrier": carrier,
            "tracking_details": [],
            "fees": [],
            "carrier_detail": None,
            "finalized": False,
            "is_return": False,
            "public_url": f"{self._sandbox.settings.public_url}/easypost/track/{tracker_id}",
            "_step": 0,
            "_since": now,
            "_clock": None,
            "_born": now,
        }

    def _example(self, code: str, carrier: str, now: float) -> Object:
        """The parcel of a test code: it stands where its code says, and moves no more."""
        steps, status = journey.TEST_CODES[code]
        houston = journey.place("HOUSTON", "TX", "US", "77063")
        charleston = journey.place("CHARLESTON", "SC", "US", "29401")
        spots = {"origin": houston, "hub": journey.hub_of(carrier), "destination": charleston}
        outcome = Outcome(status) if status in set(Outcome) else Outcome.DELIVERED
        details = []
        for number in range(1, steps + 1):
            taken = journey.step(number, outcome=outcome, abroad=False)
            at = iso(now - timedelta(hours=10 * (steps - number)).total_seconds())
            details.append(journey.detail(taken, carrier, at, spots[taken.spot]))
        tracker = self._new(code, carrier, now)
        return tracker | {
            "status": status,
            "status_detail": details[-1]["status_detail"] if details else "unknown",
            "signed_by": "John Tester" if status == "delivered" else None,
            "est_delivery_date": iso(now),
            "tracking_details": details,
            "carrier_detail": _carrier_detail("First-Class Package Service", houston, charleston),
            "finalized": True,
        }

    def _ripen(self, tracker: Object, now: float) -> Object:
        dials = self._dials()
        last = journey.LENGTH if dials.stall_after is None else dials.stall_after
        while tracker["_clock"] is not None and tracker["_step"] < last:
            due = tracker["_since"] + _delay(tracker["_clock"], dials)
            if due > now:
                break
            tracker = self._step(tracker, due)
        return tracker

    def _step(self, tracker: Object, at: float) -> Object:
        number = tracker["_step"] + 1
        taken = journey.step(number, outcome=self._dials().outcome, abroad=tracker["_abroad"])
        location = tracker["_spots"][taken.spot]
        detail = journey.detail(taken, tracker["carrier"], iso(at), location)
        tracker["_step"] = number
        return self._record(tracker, detail, at, final=number == journey.LENGTH)

    def _record(
        self, tracker: Object, detail: Object, at: float, *, final: bool, signed_by: str | None = None
    ) -> Object:
        previous = {"status": tracker["status"]}
        delivered = detail["status"] == "delivered"
        tracker |= {
            "status": detail["status"],
            "status_detail": detail["status_detail"],
            "updated_at": iso(self._sandbox.clock()),
            "signed_by": (signed_by or tracker.get("_signer", "JOHN TESTER")) if delivered else None,
            "tracking_details": [*tracker["tracking_details"], detail],
            "finalized": final,
            "_since": at,
            "_clock": None if final or tracker["_clock"] is None else _next_clock(tracker["_step"]),
        }
        self._books.put(KIND, tracker["id"], tracker)
        self._events.send("tracker.updated", public(tracker), previous=previous)
        return tracker

    def _dials(self) -> EasyPostDials:
        return self._sandbox.dials.read(NAME, EasyPostDials)


def scanned(tracker: Object) -> bool:
    """Whether the carrier has had the parcel in its hands."""
    return any(detail["status"] not in ("unknown", "pre_transit") for detail in tracker["tracking_details"])


def _next_clock(step: int) -> str | None:
    if step >= journey.LENGTH:
        return None
    return "scan" if step == 1 else "move"


def _delay(clock: str, dials: EasyPostDials) -> float:
    delays = {"label": dials.label_created_seconds, "scan": dials.first_scan_seconds, "move": dials.step_seconds}
    return delays[clock] / dials.tracking_speed


def _spots(origin: Object, destination: Object, carrier: str) -> Object:
    return {
        journey.Spot.ORIGIN.value: journey.place_of(origin),
        journey.Spot.HUB.value: journey.hub_of(carrier),
        journey.Spot.DESTINATION.value: journey.place_of(destination),
    }


def _carrier_detail(service: str, origin: Object, destination: Object) -> Object:
    return {
        "object": "CarrierDetail",
        "service": service,
        "container_type": None,
        "est_delivery_date_local": None,
        "est_delivery_time_local": None,
        "origin_location": _town([origin["city"], origin["state"], origin["zip"]]),
        "origin_tracking_location": origin,
        "destination_location": _town([destination["city"], destination["state"], destination["zip"]]),
        "destination_tracking_location": None,
        "guaranteed_delivery_date": None,
        "alternate_identifier": None,
        "initial_delivery_attempt": None,
    }


def _town(parts: Sequence[Any]) -> str:
    return " ".join(str(piece) for piece in parts if piece)
