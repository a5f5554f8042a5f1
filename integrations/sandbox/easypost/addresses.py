"""Addresses: put on the books, and verified well enough to catch nonsense."""

import zlib
from typing import Any

from integrations.sandbox.easypost import places
from integrations.sandbox.easypost.wire import MODE, body_of, error, invalid, iso, not_found, part
from integrations.sandbox.provider import Answer, Call, Object, Operation, Refused, Sandbox

KIND = "easypost_address"
_TEXTS = ("name", "company", "street1", "street2", "city", "state", "zip", "phone", "email")
_IDENTITIES = ("federal_tax_id", "state_tax_id")


class Addresses:
    """The address endpoints; shipments take addresses through `accept`."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._books = sandbox.books

    @property
    def operations(self) -> list[Operation]:
        """What the vendor offers for addresses."""
        return [
            Operation("addresses.create_and_verify", "POST", "/addresses/create_and_verify", self._create_verified),
            Operation("addresses.create", "POST", "/addresses", self._create),
            Operation("addresses.verify", "GET", "/addresses/{id}/verify", self._verify),
            Operation("addresses.retrieve", "GET", "/addresses/{id}", self._retrieve),
        ]

    def accept(self, given: Object, at: float) -> Object:
        """The address on the books: an existing one by ``id``, or a new one. Raises `Refused`."""
        if set(given) == {"id"}:
            return self._need(str(given["id"]))
        address = self._new(given, at)
        self._books.put(KIND, address["id"], address)
        return address

    def _new(self, given: Object, at: float) -> Object:
        for field in (*_TEXTS, "country"):
            if given.get(field) is not None and not isinstance(given[field], str):
                raise invalid(field, "must be text")
        country = (given.get("country") or "US").strip().upper()
        return {
            "id": self._books.new_id("adr", hexadecimal=True),
            "object": "Address",
            "created_at": iso(at),
            "updated_at": iso(at),
            **{field: given.get(field) for field in _TEXTS},
            "country": country,
            "mode": MODE,
            "carrier_facility": None,
            "residential": given.get("residential"),
            **{field: given.get(field) for field in _IDENTITIES},
            "verifications": {},
        }

    def _create(self, call: Call) -> Answer:
        body = body_of(call)
        given = part(body, "address")
        strict = body.get("verify_strict") or given.get("verify_strict")
        address = self.accept(given, call.at)
        if strict or body.get("verify") or given.get("verify"):
            address = self._verified(address, strict=bool(strict))
        return Answer(status=201, body=address)

    def _create_verified(self, call: Call) -> Answer:
        address = self.accept(part(body_of(call), "address"), call.at)
        return Answer(status=201, body={"address": self._verified(address, strict=True)})

    def _verify(self, call: Call) -> Answer:
        address = self._need(call.path_params["id"])
        return Answer(body={"address": self._verified(address, strict=True)})

    def _retrieve(self, call: Call) -> Answer:
        return Answer(body=self._need(call.path_params["id"]))

    def _need(self, address_id: str) -> Object:
        address = self._books.get(KIND, address_id)
        if address is None:
            raise not_found()
        return address

    def _verified(self, address: Object, *, strict: bool) -> Object:
        reason = places.why_undeliverable(address)
        if reason is not None and strict:
            raise _unverifiable(reason)
        checked = {**address, "verifications": _failed(reason)} if reason else _tidied(address)
        self._books.put(KIND, checked["id"], checked)
        return checked


def _tidied(address: Object) -> Object:
    upper = {field: value.upper() for field in _TEXTS if (value := address[field]) is not None}
    if address["country"] == "US" and len(upper["zip"]) == 5:
        # The four digits of the delivery route follow from the street, so they are the same every time.
        upper["zip"] += f"-{1000 + zlib.crc32(upper['street1'].encode()) % 9000}"
    latitude, longitude = places.where(address)
    details = {"latitude": latitude, "longitude": longitude, "time_zone": None}
    passed: Object = {"success": True, "errors": [], "details": None}
    checks = {"zip4": passed, "delivery": {**passed, "details": details}}
    return {**address, **upper, "residential": address["company"] is None, "verifications": checks}


def _failed(reason: str) -> Object:
    failed: Object = {"success": False, "errors": [_address_error(reason)], "details": None}
    return {"zip4": failed, "delivery": failed}


def _unverifiable(reason: str) -> Refused:
    return Refused(error(422, "ADDRESS.VERIFY.FAILURE", "Unable to verify address.", [_address_error(reason)]))


def _address_error(reason: str) -> dict[str, Any]:
    return {"code": "E.ADDRESS.NOT_FOUND", "field": "address", "message": reason, "suggestion": None}
