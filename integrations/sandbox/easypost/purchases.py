"""Buying and refunding: the steps that cost money, each done once."""

import secrets
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from integrations.sandbox.easypost import places
from integrations.sandbox.easypost.dials import EasyPostDials
from integrations.sandbox.easypost.hooks import Events
from integrations.sandbox.easypost.parcels import tracking_code
from integrations.sandbox.easypost.trackers import Trackers, scanned
from integrations.sandbox.easypost.wire import NAME, amount, error, iso, missing, money, public, refused
from integrations.sandbox.provider import Answer, Call, Object, Refused, Sandbox

KIND = "easypost_shipment"
_REFUND = "easypost_refund"
FILES = "/easypost/files/postage_label"
FILE_TYPES = {"PNG": "image/png", "PDF": "application/pdf", "ZPL": "application/zpl"}
_INSURANCE_RATE = Decimal("0.005")
IN_PROGRESS = error(422, "SHIPMENT.PURCHASE.IN_PROGRESS", "A purchase of this shipment is already in progress.")
_LATE = "SELECT id FROM objects WHERE kind = 'easypost_shipment' AND json_extract(obj, '$._buying_until') <= ?"
_REFUNDING = "SELECT id FROM objects WHERE kind = 'easypost_shipment' AND json_extract(obj, '$._refund_since') <= ?"


class Purchases:
    """Postage: bought at once, or later than the call that asked for it; refunded unless already used."""

    def __init__(self, sandbox: Sandbox, events: Events, trackers: Trackers) -> None:
        self._sandbox, self._books = sandbox, sandbox.books
        self._events, self._trackers = events, trackers
        for field in ("_buying_until", "_refund_since"):
            self._books.index(KIND, field)

    def require_unbought(self, shipment: Object) -> None:
        """Raises `Refused` where postage exists or is being bought."""
        if shipment["postage_label"] is not None:
            message = "Postage already exists for this shipment."
            raise refused(422, "SHIPMENT.POSTAGE.EXISTS", message)
        if shipment.get("_buying_until") is not None:
            raise Refused(IN_PROGRESS)

    def buy(self, shipment: Object, rate: Object, *, insurance: Any, call: Call) -> tuple[Object, Answer | None]:
        """Buy now; or, as dialled, begin a purchase that ends later, with the error that the caller hears."""
        late = self._dials().purchase_seconds
        if not late:
            return self.complete(shipment, rate, insurance=insurance, call=call), None
        self._require_sellable(shipment, rate)
        insured = str(amount(insurance, "insurance")) if insurance else None
        shipment |= {"_buying_until": call.at + late, "_buying": {"rate": rate["id"], "insurance": insured}}
        self._books.put(KIND, shipment["id"], shipment)
        message = "The carrier took too long to answer. The purchase may still succeed."
        return shipment, error(422, "SHIPMENT.POSTAGE.TIMED_OUT", message)

    def complete(self, shipment: Object, rate: Object, *, insurance: Any, call: Call) -> Object:
        """The postage is bought: label, tracking code, tracker and fees. Raises `Refused` where it cannot be."""
        self._require_sellable(shipment, rate)
        return self._finish(shipment, rate, insurance=insurance, call=call)

    def insure(self, shipment: Object, wanted: Any) -> Object:
        """Insure a bought shipment for an amount. Raises `Refused`."""
        if not wanted:
            raise missing("amount")
        if shipment["postage_label"] is None:
            raise refused(422, "SHIPMENT.INSURE.UNAVAILABLE", "Only a purchased shipment can be insured.")
        if shipment["insurance"] is not None:
            raise refused(422, "SHIPMENT.INSURE.EXISTS", "This shipment is already insured.")
        _insure(shipment, amount(wanted, "amount"))
        self._books.put(KIND, shipment["id"], shipment)
        return shipment

    def refund(self, shipment: Object) -> Object:
        """Ask the postage back: ``submitted``, or ``rejected`` where the carrier has scanned the parcel.

        Asking again changes nothing while a refund runs or is done; a rejected one may be tried again.
        """
        if shipment["postage_label"] is None:
            raise refused(422, "SHIPMENT.REFUND.UNAVAILABLE", "This shipment has no postage to refund.")
        if shipment["refund_status"] in ("submitted", "refunded"):
            return shipment
        tracker = self._trackers.current(shipment["_tracker_id"])
        accepted = not scanned(tracker)
        shipment["refund_status"] = "submitted" if accepted else "rejected"
        shipment["_refund_since"] = self._sandbox.clock() if accepted else None
        self._books.put(KIND, shipment["id"], shipment)
        return shipment

    def ripen(self, shipment: Object, now: float) -> Object:
        """Bring a shipment up to date: purchases and refunds that have come to their end."""
        until, since = shipment.get("_buying_until"), shipment.get("_refund_since")
        if until is not None and until <= now:
            wanted = shipment["_buying"]
            rate = next(rate for rate in shipment["rates"] if rate["id"] == wanted["rate"])
            shipment = self._finish(shipment, rate, insurance=wanted["insurance"], call=None)
        if since is not None and since + self._dials().refund_seconds <= now:
            shipment = self._settle_refund(shipment)
        return shipment

    def tick(self, now: float) -> None:
        """Let every purchase and refund come to its end that is due."""
        rows = self._books.execute(_LATE, (now,))
        rows += self._books.execute(_REFUNDING, (now - self._dials().refund_seconds,))
        for row in rows:
            shipment = self._books.get(KIND, row["id"])
            if shipment is not None:
                self.ripen(shipment, now)

    def _finish(self, shipment: Object, rate: Object, *, insurance: Any, call: Call | None) -> Object:
        now, token = self._sandbox.clock(), secrets.token_hex(17)
        shipment |= {
            "selected_rate": rate,
            "tracking_code": tracking_code(rate["carrier"]),
            "postage_label": self._label(shipment, token, now),
            "fees": [_fee("PostageFee", Decimal(rate["rate"]))],
            "updated_at": iso(now),
            "_purchased": True,
            "_label_token": token,
            "_buying_until": None,
            "_buying": None,
        }
        if insurance:
            _insure(shipment, amount(insurance, "insurance"))
        start, end = ends(shipment)
        abroad = places.needs_customs(start, end)
        tracker = self._trackers.begin(shipment, origin=start, destination=end, abroad=abroad, call=call)
        shipment["_tracker_id"] = tracker["id"]
        self._books.put(KIND, shipment["id"], shipment)
        return shipment

    def _settle_refund(self, shipment: Object) -> Object:
        tracker = self._trackers.current(shipment["_tracker_id"])
        used = scanned(tracker)
        shipment |= {"refund_status": "rejected" if used else "refunded", "_refund_since": None}
        if not used:
            self._trackers.stop(tracker)
            shipment["fees"] = [{**fee, "refunded": True} for fee in shipment["fees"]]
            self._announce_refund(shipment)
        self._books.put(KIND, shipment["id"], shipment)
        return shipment

    def _announce_refund(self, shipment: Object) -> None:
        now = iso(self._sandbox.clock())
        refund = {
            "id": self._books.new_id("rfnd", hexadecimal=True),
            "object": "Refund",
            "created_at": now,
            "updated_at": now,
            "tracking_code": shipment["tracking_code"],
            "confirmation_number": None,
            "status": "refunded",
            "carrier": shipment["selected_rate"]["carrier"],
            "shipment_id": shipment["id"],
        }
        self._books.put(_REFUND, refund["id"], refund)
        self._events.send("refund.successful", public(refund))

    def _require_sellable(self, shipment: Object, rate: Object) -> None:
        if rate["carrier"] in self._dials().carriers_down:
            raise _failure(f"{rate['carrier']} could not create the label.")
        abroad = places.needs_customs(*ends(shipment))
        if abroad and shipment["customs_info"] is None:
            raise _failure("customs_info is required for this destination.")

    def _label(self, shipment: Object, token: str, now: float) -> Object:
        label_format = str(shipment["options"].get("label_format") or "PNG").upper()
        path = f"{FILES}/{datetime.fromtimestamp(now, UTC):%Y%m%d}/{token}.{label_format.lower()}"
        return {
            "object": "PostageLabel",
            "id": self._books.new_id("pl", hexadecimal=True),
            "created_at": iso(now),
            "updated_at": iso(now),
            "date_advance": 0,
            "integrated_form": "none",
            "label_date": iso(now),
            "label_resolution": 300,
            "label_size": "4x6",
            "label_type": "default",
            "label_file_type": FILE_TYPES[label_format],
            "label_url": path,
            "label_pdf_url": path if label_format == "PDF" else None,
            "label_zpl_url": path if label_format == "ZPL" else None,
            "label_epl2_url": None,
            "label_file": None,
        }

    def _dials(self) -> EasyPostDials:
        return self._sandbox.dials.read(NAME, EasyPostDials)


def ends(shipment: Object) -> tuple[Object, Object]:
    """Where the parcel starts and where it goes: a return travels from the recipient back."""
    start, end = shipment["from_address"], shipment["to_address"]
    return (end, start) if shipment["is_return"] else (start, end)


def _failure(message: str) -> Exception:
    return refused(422, "SHIPMENT.POSTAGE.FAILURE", message)


def _insure(shipment: Object, value: Decimal) -> None:
    shipment["insurance"] = money(value)
    shipment["fees"] = [*shipment["fees"], _fee("InsuranceFee", value * _INSURANCE_RATE)]


def _fee(kind: str, value: Decimal) -> Object:
    charged = {"amount": money(value, "0.00001"), "charged": True, "refunded": False}
    return {"object": "Fee", "type": kind, **charged}
