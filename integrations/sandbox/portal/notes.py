"""The delivery note as a PDF."""

import io

from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from integrations.sandbox.provider import Object

_LEFT, _TOP, _STEP = 56, 780, 16
_BOTTOM = 60


def delivery_note(order: Object, country: str) -> bytes:
    """What lies in the box: whom it is for, and what is in it."""
    address = order["address"]
    place = f"{address.get('postal_code', '')} {address.get('city', '')} {address.get('state', '')}".strip()
    recipient = [address.get(field, "") for field in ("name", "company", "street1", "street2")]
    lines = [
        f"Delivery note for order {order['id']}",
        f"Your reference: {order['reference']}",
        "",
        *(text for text in [*recipient, place, country] if text),
        "",
        *(f"{line['quantity']} x {line['sku']}" for line in order["lines"]),
    ]
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4, invariant=1)
    height = _TOP
    for line in lines:
        if height < _BOTTOM:
            canvas.showPage()
            height = _TOP
        canvas.drawString(_LEFT, height, line)
        height -= _STEP
    canvas.save()
    return file.getvalue()
