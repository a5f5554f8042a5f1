"""Shipments: rated, bought once, labelled, refunded."""

from typing import Any

from integrations.sandbox.easypost import labels, rates
from integrations.sandbox.easypost.addresses import Addresses
from integrations.sandbox.easypost.dials import EasyPostDials
from integrations.sandbox.easypost.hooks import page_of
from integrations.sandbox.easypost.parcels import accept_customs, accept_parcel
from integrations.sandbox.easypost.purchases import FILE_TYPES, Purchases, ends
from integrations.sandbox.easypost.trackers import Trackers
from integrations.sandbox.easypost.wire import MODE, NAME, body_of, invalid, iso, not_found, part, public, refused
from integrations.sandbox.provider import Answer, Call, Object, Operation, Sandbox

KIND = "easypost_shipment"
_FORMATS = {"png": "label_url", "pdf": "label_pdf_url", "zpl": "label_zpl_url"}
_URLS = ("label_url", "label_pdf_url", "label_zpl_url", "label_epl2_url")


class Shipments:
    """The shipment endpoints."""

    def __init__(self, sandbox: Sandbox, addresses: Addresses, trackers: Trackers, purchases: Purchases) -> None:
        self._sandbox, self._books = sandbox, sandbox.books
        self._addresses, self._trackers, self._purchases = addresses, trackers, purchases
        for field in ("reference", "_label_token"):
            self._books.index(KIND, field)

    @property
    def operations(self) -> list[Operation]:
        """What the vendor offers for shipments."""
        return [
            Operation("shipments.create", "POST", "/shipments", self._create),
            Operation("shipments.list", "GET", "/shipments", self._list),
            Operation("shipments.label", "GET", "/shipments/{id}/label", self._label),
            Operation("shipments.rerate", "POST", "/shipments/{id}/rerate", self._rerate),
            Operation("shipments.buy", "POST", "/shipments/{id}/buy", self._buy),
            Operation("shipments.refund", "POST", "/shipments/{id}/refund", self._refund),
            Operation("shipments.insure", "POST", "/shipments/{id}/insure", self._insure),
            Operation("shipments.retrieve", "GET", "/shipments/{id}", self._retrieve),
        ]

    def label_file(self, token: str, file_type: str) -> bytes | None:
        """The label with this token, or None where no shipment has it."""
        found = self._books.find(KIND, _label_token=token)
        if not found or file_type not in _FORMATS:
            return None
        shipment = found[0]
        origin, destination = ends(shipment)
        return labels.draw(labels.label_of(shipment, origin=origin, destination=destination), file_type)

    def _create(self, call: Call) -> Answer:
        given = part(body_of(call), "shipment")
        shipment = self._new(given, call.at)
        self._quote(shipment, given.get("carrier_accounts"), call.at)
        self._books.put(KIND, shipment["id"], shipment)
        if given.get("service"):
            rate = next((rate for rate in shipment["rates"] if rate["service"] == given["service"]), None)
            if rate is None:
                raise invalid("service", "no rate for this service")
            shipment = self._purchases.complete(shipment, rate, insurance=given.get("insurance"), call=call)
        return Answer(status=201, body=self._shown(shipment))

    def _list(self, call: Call) -> Answer:
        """As the vendor does, only purchased shipments unless ``purchased=false`` asks for the others."""
        purchased = call.query.get("purchased", "true").lower() != "false"
        wanted: dict[str, Any] = {"_purchased": purchased}
        if call.query.get("reference"):
            wanted["reference"] = call.query["reference"]
        shipments, more = page_of(self._sandbox, KIND, call, **wanted)
        return Answer(body={"shipments": [self._shown(shipment) for shipment in shipments], "has_more": more})

    def _retrieve(self, call: Call) -> Answer:
        return Answer(body=self._shown(self._need(call)))

    def _rerate(self, call: Call) -> Answer:
        shipment = self._need(call)
        self._purchases.require_unbought(shipment)
        self._quote(shipment, None, call.at)
        self._books.put(KIND, shipment["id"], shipment)
        return Answer(body={"rates": shipment["rates"]})

    def _buy(self, call: Call) -> Answer:
        body = body_of(call)
        wanted = part(body, "rate").get("id")
        shipment = self._need(call)
        self._purchases.require_unbought(shipment)
        rate = next((rate for rate in shipment["rates"] if rate["id"] == wanted), None)
        if rate is None:
            raise not_found()
        bought, answer = self._purchases.buy(shipment, rate, insurance=body.get("insurance"), call=call)
        return answer or Answer(body=self._shown(bought))

    def _label(self, call: Call) -> Answer:
        shipment = self._need(call)
        file_type = call.query.get("file_format", "PNG").lower()
        if file_type not in _FORMATS:
            raise invalid("file_format", f"must be one of {', '.join(_FORMATS).upper()}")
        if shipment["postage_label"] is None:
            raise refused(422, "SHIPMENT.LABEL.UNAVAILABLE", "This shipment has no postage label.")
        label = shipment["postage_label"]
        label[_FORMATS[file_type]] = f"{label['label_url'].rsplit('.', 1)[0]}.{file_type}"
        label["updated_at"] = iso(call.at)
        self._books.put(KIND, shipment["id"], shipment)
        return Answer(body=self._shown(shipment))

    def _refund(self, call: Call) -> Answer:
        return Answer(body=self._shown(self._purchases.refund(self._need(call))))

    def _insure(self, call: Call) -> Answer:
        wanted = body_of(call).get("amount")
        return Answer(body=self._shown(self._purchases.insure(self._need(call), wanted)))

    def _need(self, call: Call) -> Object:
        """By id, or by reference: then the newest."""
        name = call.path_params["id"]
        found = self._books.get(KIND, name) or next(iter(self._books.find(KIND, reference=name)), None)
        if found is None:
            raise not_found()
        return self._purchases.ripen(found, call.at)

    def _new(self, given: Object, at: float) -> Object:
        to_address = self._addresses.accept(part(given, "to_address"), at)
        from_address = self._addresses.accept(part(given, "from_address"), at)
        back = given.get("return_address")
        options = given.get("options") or {}
        if str(options.get("label_format") or "PNG").upper() not in FILE_TYPES:
            raise invalid("options.label_format", f"must be one of {', '.join(FILE_TYPES)}")
        shipment_id = self._books.new_id("shp", hexadecimal=True)
        return {
            "id": shipment_id,
            "object": "Shipment",
            "created_at": iso(at),
            "updated_at": iso(at),
            "is_return": bool(given.get("is_return")),
            "messages": [],
            "mode": MODE,
            "options": {"currency": "USD", "payment": {"type": "SENDER"}, "date_advance": 0, **options},
            "reference": given.get("reference"),
            "status": "unknown",
            "tracking_code": None,
            **dict.fromkeys(("batch_id", "batch_status", "batch_message", "insurance", "order_id")),
            "customs_info": accept_customs(self._books, given.get("customs_info"), at),
            "from_address": from_address,
            "to_address": to_address,
            "return_address": self._addresses.accept(back, at) if back else from_address,
            "buyer_address": to_address,
            "parcel": accept_parcel(self._books, part(given, "parcel"), at),
            **dict.fromkeys(("postage_label", "refund_status", "scan_form", "selected_rate", "tracker", "usps_zone")),
            "rates": [],
            "forms": [],
            "fees": [],
            "_purchased": False,
        }

    def _quote(self, shipment: Object, accounts: list[str] | None, at: float) -> None:
        dials = self._sandbox.dials.read(NAME, EasyPostDials)
        quoted = rates.quote(
            *ends(shipment),
            shipment["parcel"],
            accounts=accounts or (),
            down=dials.carriers_down,
        )
        shipment |= {
            "rates": [self._rate(rate, shipment["id"], at) for rate in quoted.rates],
            "messages": quoted.messages,
            "usps_zone": quoted.usps_zone,
            "updated_at": iso(at),
        }

    def _rate(self, rate: Object, shipment_id: str, at: float) -> Object:
        head = {"id": self._books.new_id("rate", hexadecimal=True), "object": "Rate", "mode": MODE}
        return {**head, "created_at": iso(at), "updated_at": iso(at), **rate, "shipment_id": shipment_id}

    def _shown(self, shipment: Object) -> Object:
        """As the vendor shows it: with its tracker as it stands now, and whole addresses of its files."""
        shown = public(shipment)
        if label := shown["postage_label"]:
            base = self._sandbox.settings.public_url
            shown["postage_label"] = {**label, **{url: base + label[url] for url in _URLS if label[url]}}
        if tracker_id := shipment.get("_tracker_id"):
            tracker = public(self._trackers.current(tracker_id))
            shown |= {"tracker": tracker, "status": tracker["status"]}
        return shown
