"""What goes into a shipment: the parcel, its customs papers, its tracking code. Checked as the vendor does."""

import secrets
import string
from typing import Any

from integrations.sandbox.books import Books
from integrations.sandbox.easypost.wire import MODE, amount, invalid, iso, money, not_found
from integrations.sandbox.provider import Object

KIND = "easypost_parcel"
_SIDES = ("length", "width", "height")


def accept_parcel(books: Books, given: Object, at: float) -> Object:
    """The parcel, put on the books, or an existing one by ``id``: weight in ounces, sides in inches.

    Raises `Refused` (422) for a weight or side that is no positive number, or for some sides without the others.
    """
    if set(given) == {"id"}:
        known = books.get(KIND, str(given["id"]))
        if known is None:
            raise not_found()
        return known
    sides = {side: _number(given[side], side) for side in _SIDES if given.get(side) is not None}
    if sides and len(sides) < len(_SIDES):
        raise invalid("parcel", "needs length, width and height together")
    parcel: Object = {
        "id": books.new_id("prcl", hexadecimal=True),
        "object": "Parcel",
        "created_at": iso(at),
        "updated_at": iso(at),
        **{side: sides.get(side) for side in _SIDES},
        "predefined_package": given.get("predefined_package"),
        "weight": _number(given.get("weight"), "weight"),
        "mode": MODE,
    }
    books.put(KIND, parcel["id"], parcel)
    return parcel


def accept_customs(books: Books, given: Object | None, at: float) -> Object | None:
    """Customs papers with their items. Raises `Refused` (422) for papers without items, or items without value."""
    if not given:
        return None
    items = given.get("customs_items")
    if not isinstance(items, list) or not items:
        raise invalid("customs_items", "cannot be blank")
    fields = ("contents_explanation", "contents_type", "customs_certify", "customs_signer", "eel_pfc")
    more = ("non_delivery_option", "restriction_comments", "restriction_type", "declaration")
    return {
        "id": books.new_id("cstinfo", hexadecimal=True),
        "object": "CustomsInfo",
        "created_at": iso(at),
        "updated_at": iso(at),
        **{field: given.get(field) for field in (*fields, *more)},
        "mode": MODE,
        "customs_items": [_customs_item(books, item, at) for item in items],
    }


def tracking_code(carrier: str) -> str:
    """A new tracking code of the carrier's shape."""
    match carrier:
        case "USPS":
            digits = "94" + _digits(19)
            return digits + _check_digit(digits)
        case "UPS":
            return "1Z" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(8)) + _digits(8)
        case "FedEx":
            return _digits(12)
        case _:
            return _digits(10)


def _customs_item(books: Books, given: Any, at: float) -> Object:
    if not isinstance(given, dict) or not given.get("description"):
        raise invalid("customs_items", "each needs a description")
    return {
        "id": books.new_id("cstitem", hexadecimal=True),
        "object": "CustomsItem",
        "created_at": iso(at),
        "updated_at": iso(at),
        "description": given["description"],
        "hs_tariff_number": given.get("hs_tariff_number"),
        "origin_country": given.get("origin_country"),
        "quantity": _number(given.get("quantity"), "quantity"),
        "value": money(amount(given.get("value"), "value")),
        "weight": _number(given.get("weight"), "weight"),
        "code": given.get("code"),
        "mode": MODE,
        "manufacturer": given.get("manufacturer"),
        "currency": given.get("currency"),
        "eccn": given.get("eccn"),
        "printed_commodity_identifier": given.get("printed_commodity_identifier"),
    }


def _number(value: object, field: str) -> float:
    return float(amount(value, field))


def _digits(count: int) -> str:
    return str(secrets.randbelow(9) + 1) + "".join(secrets.choice(string.digits) for _ in range(count - 1))


def _check_digit(digits: str) -> str:
    weighed = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-weighed % 10)
