"""Labels as files, 4 by 6 inches: PNG at 300 dots an inch, PDF, and ZPL at 203.

All three are drawn anew from the shipment each time, with the same bytes, and their Code 128 bar code is the
tracking code. PNG and ZPL print Latin letters; the PDF also sets Chinese.
"""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from reportlab.graphics.barcode.code128 import Code128
from reportlab.lib.units import inch
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

Object = dict[str, Any]

RESOLUTION = 300
CONTENT_TYPES = {"png": "image/png", "pdf": "application/pdf", "zpl": "application/zpl"}
_WIDTH, _HEIGHT = 4 * RESOLUTION, 6 * RESOLUTION
_POINTS_PER_DOT = 72 / RESOLUTION
_MARGIN = 60
_BAR_TOP, _BAR_HEIGHT = 1180, 330
_CHINESE = "STSong-Light"


@dataclass(frozen=True)
class Line:
    """A line of text: left edge and top in dots of 1/300 inch from the upper left corner, height in dots."""

    x: int
    y: int
    height: int
    text: str


@dataclass(frozen=True)
class Label:
    """What stands on a label."""

    carrier: str
    service: str
    tracking_code: str
    sender: tuple[str, ...]
    recipient: tuple[str, ...]
    facts: tuple[str, ...]

    @property
    def lines(self) -> list[Line]:
        """The text and where it stands."""
        placed = [
            Line(_MARGIN, 60, 84, f"{self.carrier} {self.service}"),
            Line(_MARGIN, 1570, 54, _grouped(self.tracking_code)),
            Line(_MARGIN, 1720, 34, "SANDBOX - no postage was paid, do not mail"),
        ]
        placed += [Line(_MARGIN, 210 + 46 * row, 36, text) for row, text in enumerate(self.sender)]
        placed += [Line(_MARGIN, 590 + 70 * row, 56, text) for row, text in enumerate(("SHIP TO:", *self.recipient))]
        placed += [Line(860, 210 + 46 * row, 34, text) for row, text in enumerate(self.facts)]
        return placed


def label_of(shipment: Object, *, origin: Object, destination: Object) -> Label:
    """The label of a bought shipment between these addresses (swapped for a return)."""
    rate, parcel = shipment["selected_rate"], shipment["parcel"]
    facts = [shipment["postage_label"]["label_date"][:10], f"{parcel['weight']:g} oz"]
    if shipment["reference"]:
        facts.append(f"Ref {shipment['reference']}")
    return Label(
        carrier=rate["carrier"],
        service=rate["service"],
        tracking_code=shipment["tracking_code"],
        sender=_address_lines(origin),
        recipient=_address_lines(destination),
        facts=tuple(facts),
    )


def draw(label: Label, file_type: str) -> bytes:
    """The label as ``png``, ``pdf`` or ``zpl``. Raises `KeyError` for any other type."""
    return {"png": _png, "pdf": _pdf, "zpl": _zpl}[file_type](label)


def _png(label: Label) -> bytes:
    image = Image.new("1", (_WIDTH, _HEIGHT), 1)
    pen = ImageDraw.Draw(image)
    for top in (190, 560, 1130, 1660):
        pen.line((_MARGIN, top, _WIDTH - _MARGIN, top), fill=0, width=4)
    for line in label.lines:
        pen.text((line.x, line.y), line.text, font=ImageFont.load_default(line.height), fill=0)
    bars, width = _bars(label.tracking_code)
    module = (_WIDTH - 2 * _MARGIN) // width
    left = (_WIDTH - width * module) // 2
    for start, modules in bars:
        x = left + start * module
        pen.rectangle((x, _BAR_TOP, x + modules * module - 1, _BAR_TOP + _BAR_HEIGHT), fill=0)
    file = io.BytesIO()
    image.save(file, "PNG", dpi=(RESOLUTION, RESOLUTION))
    return file.getvalue()


def _pdf(label: Label) -> bytes:
    file = io.BytesIO()
    sheet = Canvas(file, pagesize=(4 * inch, 6 * inch), invariant=1)
    sheet.setTitle(f"{label.carrier} {label.tracking_code}")
    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))
    for top in (190, 560, 1130, 1660):
        y = (_HEIGHT - top) * _POINTS_PER_DOT
        sheet.line(_MARGIN * _POINTS_PER_DOT, y, (_WIDTH - _MARGIN) * _POINTS_PER_DOT, y)
    for line in label.lines:
        latin = line.text.isascii() or all(ord(letter) < 256 for letter in line.text)
        sheet.setFont("Helvetica" if latin else _CHINESE, line.height * _POINTS_PER_DOT * 0.85)
        sheet.drawString(line.x * _POINTS_PER_DOT, (_HEIGHT - line.y - line.height) * _POINTS_PER_DOT, line.text)
    modules = _bars(label.tracking_code)[1]
    room = (_WIDTH - 2 * _MARGIN) * _POINTS_PER_DOT
    code = Code128(label.tracking_code, barHeight=_BAR_HEIGHT * _POINTS_PER_DOT, barWidth=room / modules, quiet=0)
    code.drawOn(sheet, _MARGIN * _POINTS_PER_DOT, (_HEIGHT - _BAR_TOP - _BAR_HEIGHT) * _POINTS_PER_DOT)
    sheet.showPage()
    sheet.save()
    return file.getvalue()


def _zpl(label: Label) -> bytes:
    rows = ["^XA", "^CI28^PW812^LL1218"]
    for line in label.lines:
        x, y, height = (round(dots * 203 / RESOLUTION) for dots in (line.x, line.y, line.height))
        rows.append(f"^FO{x},{y}^A0N,{height},{height}^FH^FD{_escaped(line.text)}^FS")
    rows.append(f"^FO40,800^BY2^BCN,220,N,N,N,A^FH^FD{_escaped(label.tracking_code)}^FS")
    return "\n".join([*rows, "^XZ", ""]).encode()


def _bars(text: str) -> tuple[list[tuple[int, int]], int]:
    """The bars as (start, width) in modules, and the whole width."""
    code = Code128(text)
    code.validate()
    code.encode()
    bars: list[tuple[int, int]] = []
    at = 0
    for mark in code.decompose():
        # reportlab writes a bar of n modules as the n-th capital, a space as the n-th small letter.
        width = ord(mark.lower()) - ord("a") + 1
        if mark.isupper():
            bars.append((at, width))
        at += width
    return bars, at


def _address_lines(address: Object) -> tuple[str, ...]:
    town = " ".join(str(piece) for piece in (address["city"], address["state"], address["zip"]) if piece)
    lines = (address["name"], address["company"], address["street1"], address["street2"], town, address["country"])
    return tuple(str(line) for line in lines if line)


def _grouped(code: str) -> str:
    return " ".join(code[start : start + 4] for start in range(0, len(code), 4))


def _escaped(text: str) -> str:
    for sign in "_^~":
        text = text.replace(sign, f"_{ord(sign):02X}")
    return text
