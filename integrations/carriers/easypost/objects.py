"""EasyPost's objects in our words, and ours in EasyPost's (docs.easypost.com: shipments, trackers).

EasyPost speaks ounces, inches and decimal strings of money; we speak grams, millimetres and minor units. What is
missing or of an unexpected kind makes the whole answer unreadable (`OutcomeUnknown`).
"""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal, InvalidOperation
from typing import Any, TypeVar

from domain.errors import UnknownCurrency
from domain.money import MINOR_DIGITS, Money, check_currency
from domain.orders import Address
from domain.shipments import (
    Label,
    LabelFormat,
    ParcelSize,
    Rate,
    Shipment,
    ShipmentRequest,
    Tracking,
    TrackingEvent,
    TrackingStatus,
)
from integrations.http import unreadable

NAME = "easypost"

Json = dict[str, Any]
T = TypeVar("T")

GRAMS_PER_OUNCE = Decimal("28.349523125")
MM_PER_INCH = Decimal("25.4")
_TENTH = Decimal("0.1")

LABEL_URLS = {
    LabelFormat.PNG: "label_url",
    LabelFormat.PDF: "label_pdf_url",
    LabelFormat.ZPL: "label_zpl_url",
}
"""Where a postage label names its file. ``label_url`` is the file as bought, whose type ``label_file_type`` tells."""

_STATUS = {
    "unknown": TrackingStatus.UNKNOWN,
    "pre_transit": TrackingStatus.LABEL_CREATED,
    "in_transit": TrackingStatus.IN_TRANSIT,
    "out_for_delivery": TrackingStatus.OUT_FOR_DELIVERY,
    "available_for_pickup": TrackingStatus.READY_FOR_PICKUP,
    "delivered": TrackingStatus.DELIVERED,
    "return_to_sender": TrackingStatus.RETURNING,
    "failure": TrackingStatus.EXCEPTION,
    "error": TrackingStatus.EXCEPTION,
    "cancelled": TrackingStatus.CANCELLED,
}


def shipment_body(request: ShipmentRequest) -> Json:
    """The body of ``POST /shipments``; labels are bought as PNG, and converted when another format is wanted."""
    return {
        "shipment": {
            "to_address": _address(request.recipient),
            "from_address": _address(request.sender),
            "parcel": _parcel(request.parcel),
            "reference": request.reference,
            "is_return": request.is_return,  # both addresses stay as they were: EasyPost swaps them on the label
            "options": {"label_format": "PNG", "invoice_number": request.invoice_number},
        }
    }


def address_body(address: Address) -> Json:
    """The ``address`` of ``POST /addresses``."""
    return _address(address)


def verification(obj: Json) -> str | None:
    """What the delivery check of an Address found wrong; None if it passed."""
    checks = obj.get("verifications")
    delivery = checks.get("delivery") if isinstance(checks, dict) else None
    if not isinstance(delivery, dict):
        return "EasyPost has not verified it"
    if delivery.get("success") is True:
        return None
    found = [_text(error.get("message")) for error in _dicts(delivery.get("errors"))]
    return "; ".join(message for message in found if message) or "EasyPost gives no reason"


def ounces(grams: int) -> float:
    """Grams as ounces, rounded up to a tenth: a parcel declared too light is billed again by the carrier."""
    return _up(Decimal(grams) / GRAMS_PER_OUNCE)


def inches(millimetres: int) -> float:
    """Millimetres as inches, rounded up to a tenth."""
    return _up(Decimal(millimetres) / MM_PER_INCH)


def shipment(obj: Json) -> Shipment:
    """A Shipment, bought or not."""
    return Shipment(
        reference=field(obj, "id", str),
        our_reference=_text(obj.get("reference")),
        rates=tuple(_rate(rate) for rate in _dicts(obj.get("rates"))),
        messages=tuple(_message(message) for message in _dicts(obj.get("messages"))),
        label=_label(obj) if isinstance(obj.get("postage_label"), dict) else None,
        refund_status=_text(obj.get("refund_status")),
    )


def label_url(obj: Json, format: LabelFormat) -> str | None:
    """Where the label of a Shipment is in this format, or None where it has not been made yet."""
    label = field(obj, "postage_label", dict)
    if format is LabelFormat.PNG and label.get("label_file_type") not in (None, "image/png"):
        return None
    return _text(label.get(LABEL_URLS[format]))


def tracking(obj: Json) -> Tracking:
    """A Tracker. Its events come oldest first; one without a time cannot be placed among them and is left out."""
    events = [_event(detail) for detail in _dicts(obj.get("tracking_details")) if detail.get("datetime")]
    return Tracking(
        tracker=field(obj, "id", str),
        tracking_code=field(obj, "tracking_code", str),
        status=_status(obj.get("status")),
        carrier=field(obj, "carrier", str),
        shipment=_text(obj.get("shipment_id")),
        estimated_delivery=_moment(obj["est_delivery_date"]) if obj.get("est_delivery_date") else None,
        signed_by=_text(obj.get("signed_by")),
        url=_text(obj.get("public_url")),
        events=tuple(sorted(events, key=lambda event: event.at)),
    )


def field(obj: Json, name: str, kind: type[T]) -> T:
    """A field that must be there. Raises OutcomeUnknown."""
    value = obj.get(name)
    if not isinstance(value, kind):
        raise unreadable(NAME, f"no {name}")
    return value


def _address(address: Address) -> Json:
    fields = {
        "name": address.name,
        "company": address.company,
        "street1": address.street1,
        "street2": address.street2,
        "city": address.city,
        "state": address.state,
        "zip": address.postal_code,
        "country": address.country,
        "phone": address.phone,
    }
    return {name: value for name, value in fields.items() if value}


def _parcel(parcel: ParcelSize) -> Json:
    return {
        "length": inches(parcel.length_mm),
        "width": inches(parcel.width_mm),
        "height": inches(parcel.height_mm),
        "weight": ounces(parcel.weight_grams),
    }


def _up(amount: Decimal) -> float:
    return float(amount.quantize(_TENTH, rounding=ROUND_CEILING))


def _rate(obj: Json) -> Rate:
    days = obj.get("delivery_days")
    if not isinstance(days, int):
        days = obj.get("est_delivery_days")
    return Rate(
        reference=field(obj, "id", str),
        carrier=field(obj, "carrier", str),
        service=field(obj, "service", str),
        price=_price(obj),
        days=days if isinstance(days, int) else None,
    )


def _label(obj: Json) -> Label:
    rate = _rate(field(obj, "selected_rate", dict))
    tracker = obj.get("tracker") if isinstance(obj.get("tracker"), dict) else None
    return Label(
        tracking_code=field(obj, "tracking_code", str),
        carrier=rate.carrier,
        service=rate.service,
        price=rate.price,
        url=field(field(obj, "postage_label", dict), "label_url", str),
        tracker=field(tracker, "id", str) if tracker else None,
        tracking_url=_text(tracker.get("public_url")) if tracker else None,
    )


def _price(rate: Json) -> Money:
    """The decimal string as minor units, exactly: half a cent is not ours to round."""
    try:
        currency = check_currency(field(rate, "currency", str))
        minor = Decimal(field(rate, "rate", str)).scaleb(MINOR_DIGITS[currency])
        if not minor.is_finite() or minor != minor.to_integral_value():
            raise unreadable(NAME, "a rate with parts of the smallest unit")
    except (UnknownCurrency, InvalidOperation) as error:
        raise unreadable(NAME, "a rate's price") from error
    return Money(int(minor), currency)


def _message(obj: Json) -> str:
    carrier, text = _text(obj.get("carrier")), obj.get("message")
    return f"{carrier}: {text}" if carrier else str(text)


def _event(detail: Json) -> TrackingEvent:
    return TrackingEvent(
        status=_status(detail.get("status")),
        message=_text(detail.get("message")) or _text(detail.get("description")) or "",
        at=_moment(detail["datetime"]),
        place=_place(detail.get("tracking_location")),
    )


def _status(value: object) -> TrackingStatus:
    # A word that EasyPost adds one day says nothing that we could act on: unknown is the honest reading.
    return _STATUS.get(str(value), TrackingStatus.UNKNOWN)


def _moment(value: object) -> datetime:
    try:
        at = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise unreadable(NAME, "a tracker's time") from error
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def _place(location: object) -> str | None:
    if not isinstance(location, dict):
        return None
    parts = [_text(location.get(name)) for name in ("city", "state", "country")]
    return ", ".join(part for part in parts if part) or None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _dicts(value: object) -> list[Json]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
