"""Packing slips: what a picker takes from the shelves and a packer puts into the box, as PDF.

The same slip gives the same bytes, so a slip that is made again can be compared with the first.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from reportlab.graphics import renderPDF
from reportlab.graphics.barcode.code128 import Code128
from reportlab.graphics.barcode.qr import QrCodeWidget
from reportlab.graphics.shapes import Drawing
from reportlab.lib.colors import Color, HexColor
from reportlab.lib.pagesizes import A4, LETTER
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from domain.orders import Address
from templates.language import Format
from templates.pdf_text import BOLD, REGULAR, Face, draw, draw_right, register_fonts, text_width, wrap

_LETTER_COUNTRIES = frozenset({"US", "CA", "MX", "PH", "CL", "CO", "VE", "PR"})
_MARGIN = 15 * mm
_FOOT = 26 * mm
_BOX = 4.6 * mm
_LINE = 4.9 * mm
_PAD = 2.3 * mm
_TABLE_HEAD = 6.5 * mm
_LATER_HEAD = 18 * mm
_QR = 27 * mm
_TEXT, _SMALL = 10.5, 8.5
_MOST_ROWS = 6
_LONGEST_NOTE = 500
_INK, _SOFT, _RULE = HexColor("#16201f"), HexColor("#5b676b"), HexColor("#b9c0bf")


class Paper(StrEnum):
    """The paper a warehouse prints on."""

    A4 = "a4"
    LETTER = "letter"

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        width, height = A4 if self is Paper.A4 else LETTER
        return float(width), float(height)


@dataclass(frozen=True)
class PickLine:
    """Units of a SKU to be packed; ``bin`` is where they lie, if the warehouse keeps bins."""

    sku: str
    name: str
    quantity: int
    bin: str | None = None


@dataclass(frozen=True)
class PackingSlip:
    """One fulfilment's slip. ``fulfilment_number`` (`WB-100042-1`) becomes the barcode, ``fulfilment_id`` the QR code.

    ``note`` is for the packer. Lines are printed in the order given.
    """

    order_number: str
    fulfilment_number: str
    fulfilment_id: str
    warehouse_name: str
    warehouse_address: Address
    recipient: Address
    channel: str
    service: str
    lines: tuple[PickLine, ...]
    note: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for a slip that could not be printed or scanned."""
        if not self.lines:
            raise ValueError(f"fulfilment {self.fulfilment_number} has no lines to pack")
        if not (self.fulfilment_number.isascii() and self.fulfilment_number.isprintable()):
            raise ValueError(f"Code 128 cannot say {self.fulfilment_number!r}: only printable ASCII")

        if len(self.note) > _LONGEST_NOTE:
            raise ValueError(f"a note of {len(self.note)} characters: a slip has room for {_LONGEST_NOTE}")

    @property
    def paper(self) -> Paper:
        """Letter where the warehouse's country prints on it, else A4."""
        return Paper.LETTER if self.warehouse_address.country in _LETTER_COUNTRIES else Paper.A4

    @property
    def units(self) -> int:
        """How many pieces go into the box."""
        return sum(line.quantity for line in self.lines)


def packing_slip(slip: PackingSlip) -> bytes:
    """The slip as PDF; a long one flows over numbered pages, each with the order's head and the columns' names."""
    return packing_slips([slip])


def packing_slips(slips: Sequence[PackingSlip]) -> bytes:
    """Several slips in one PDF, each beginning on a page of its own and numbered by itself."""
    if not slips:
        raise ValueError("there is no slip to print")
    register_fonts()
    buffer = io.BytesIO()
    canvas = Canvas(buffer, pagesize=slips[0].paper.size, invariant=1, pageCompression=1)
    canvas.setTitle("Packing slip " + ", ".join(slip.fulfilment_number for slip in slips))
    for slip in slips:
        _SlipPrinter(canvas, slip).print()
    canvas.save()
    return buffer.getvalue()


@dataclass(frozen=True)
class _Column:
    title: str
    x: float
    width: float


class _SlipPrinter:
    """Draws one slip. All measures in points, y upwards from the foot of the page."""

    def __init__(self, canvas: Canvas, slip: PackingSlip) -> None:
        self._canvas = canvas
        self._slip = slip
        width, self._height = slip.paper.size
        self._right = width - _MARGIN
        self._columns = self._lay_out_columns()
        self._blocks = self._lay_out_blocks()
        self._note = wrap(slip.note, BOLD, _TEXT, self._right - _MARGIN - 8 * mm) if slip.note.strip() else []

    def print(self) -> None:
        """Draw all pages of the slip."""
        first, later = self._height - _MARGIN - self._first_head_height(), self._height - _MARGIN - _LATER_HEAD
        pages = self._paginate(first - _FOOT, later - _FOOT)
        for number, lines in enumerate(pages, start=1):
            self._canvas.setPageSize(self._slip.paper.size)
            if number == 1:
                self._first_head()
            else:
                self._later_head()
            self._table(first if number == 1 else later, lines)
            self._foot(number, len(pages))
            self._canvas.showPage()

    def _lay_out_columns(self) -> dict[str, _Column]:
        x = _MARGIN + _BOX + 4 * mm
        widths = {"sku": ("SKU", 40 * mm)}
        if any(line.bin for line in self._slip.lines):
            widths = {"bin": ("Bin", 22 * mm), **widths}
        columns = {}
        for name, (title, width) in widths.items():
            columns[name] = _Column(title, x, width - 3 * mm)
            x += width
        columns["name"] = _Column("Product", x, self._right - x - 20 * mm)
        return columns

    def _lay_out_blocks(self) -> list[tuple[float, str, list[str]]]:
        slip, form = self._slip, Format.for_reader("en")
        third = (self._right - _MARGIN) / 3
        sender = [slip.warehouse_name, *form.address(slip.warehouse_address)]
        facts = [f"Channel: {slip.channel}", f"Service: {slip.service}", f"Pieces: {slip.units}"]
        blocks = [("Ship to", form.address(slip.recipient)), ("From", sender), ("Order", facts)]
        return [
            (
                _MARGIN + index * third,
                title,
                [part for line in lines for part in wrap(line, REGULAR, _TEXT, third - 5 * mm)],
            )
            for index, (title, lines) in enumerate(blocks)
        ]

    def _cells(self, line: PickLine) -> dict[str, list[str]]:
        texts = {"bin": line.bin or "", "sku": line.sku, "name": line.name}
        cells = {
            name: wrap(texts[name], self._face(name), _TEXT, column.width) for name, column in self._columns.items()
        }
        # The SKU says which product it is; a name like a paragraph need not push the others off the page.
        return {
            name: cell if len(cell) <= _MOST_ROWS else [*cell[: _MOST_ROWS - 1], "…"] for name, cell in cells.items()
        }

    def _face(self, column: str) -> Face:
        return BOLD if column == "bin" else REGULAR

    def _paginate(self, first_room: float, later_room: float) -> list[list[PickLine]]:
        """Which lines stand on which page, given the points that are free on the first and on later pages."""
        pages: list[list[PickLine]] = [[]]
        room = first_room - _TABLE_HEAD
        for line in self._slip.lines:
            height = self._row_height(line)
            if height > room:
                pages.append([])
                room = later_room - _TABLE_HEAD
            pages[-1].append(line)
            room -= height
        return pages

    def _row_height(self, line: PickLine) -> float:
        rows = max(len(cell) for cell in self._cells(line).values())
        return float(rows * _LINE + 2 * _PAD)

    def _first_head_height(self) -> float:
        blocks = max(len(lines) for _, _, lines in self._blocks) * _LINE + 16 * mm
        note = len(self._note) * _LINE + 10 * mm if self._note else 0
        return float(_QR + blocks + note)

    def _first_head(self) -> None:
        top = self._height - _MARGIN
        self._text(_MARGIN, top - 6.5 * mm, "Packing slip", BOLD, 22)
        self._text(_MARGIN, top - 13 * mm, f"Order {self._slip.order_number}", REGULAR, 12)
        self._barcode(_MARGIN, top - _QR, height=10 * mm)
        self._qr(self._right - _QR, top - _QR)
        for x, title, lines in self._blocks:
            y = top - _QR - 11 * mm
            self._text(x, y, title, BOLD, _SMALL, soft=True)
            for line in lines:
                y -= _LINE
                self._text(x, y, line, REGULAR, _TEXT)
        if self._note:
            self._note_box(top - self._first_head_height())

    def _note_box(self, below: float) -> None:
        height = len(self._note) * _LINE + 4 * mm
        bottom = below + 5 * mm
        self._canvas.setStrokeColor(_INK)
        self._canvas.setLineWidth(1)
        self._canvas.roundRect(_MARGIN, bottom, self._right - _MARGIN, height, 2 * mm)
        for index, line in enumerate(self._note):
            self._text(_MARGIN + 4 * mm, bottom + height - 5.5 * mm - index * _LINE, line, BOLD, _TEXT)

    def _later_head(self) -> None:
        top = self._height - _MARGIN
        self._text(_MARGIN, top - 4.5 * mm, "Packing slip, continued", BOLD, 14)
        self._text(_MARGIN, top - 10 * mm, f"Order {self._slip.order_number}", REGULAR, _TEXT)
        self._barcode(self._right - 62 * mm, top - 11 * mm, height=8 * mm)

    def _table(self, top: float, lines: Sequence[PickLine]) -> None:
        y = top - 4 * mm
        for column in self._columns.values():
            self._text(column.x, y, column.title, BOLD, _SMALL, soft=True)
        self._canvas.setFillColor(_SOFT)
        draw_right(self._canvas, self._right, y, "Quantity", BOLD, _SMALL)
        y = top - _TABLE_HEAD
        self._rule(y, _INK)
        for line in lines:
            y = self._row(y, line)

    def _row(self, top: float, line: PickLine) -> float:
        baseline = top - _PAD - 3.6 * mm
        self._canvas.setLineWidth(0.9)
        self._canvas.setStrokeColor(_INK)
        self._canvas.rect(_MARGIN, baseline - 0.9 * mm, _BOX, _BOX)
        for name, cell in self._cells(line).items():
            for index, text in enumerate(cell):
                self._text(self._columns[name].x, baseline - index * _LINE, text, self._face(name), _TEXT)
        self._canvas.setFillColor(_INK)
        draw_right(self._canvas, self._right, baseline, str(line.quantity), BOLD, 13)
        bottom = top - self._row_height(line)
        self._rule(bottom, _RULE)
        return bottom

    def _foot(self, number: int, pages: int) -> None:
        if number == pages:
            for index, label in enumerate(("Picked by", "Packed by", "Date")):
                x = _MARGIN + index * 62 * mm
                self._text(x, _MARGIN + 5 * mm, label, REGULAR, _SMALL, soft=True)
                start = x + text_width(label, REGULAR, _SMALL) + 2 * mm
                self._canvas.setStrokeColor(_RULE)
                self._canvas.line(start, _MARGIN + 4.4 * mm, x + 56 * mm, _MARGIN + 4.4 * mm)
        y = _MARGIN - 5 * mm
        self._text(
            _MARGIN, y, f"{self._slip.fulfilment_number} · {self._slip.warehouse_name}", REGULAR, _SMALL, soft=True
        )
        draw_right(self._canvas, self._right, y, f"Page {number} of {pages}", REGULAR, _SMALL)

    def _text(self, x: float, y: float, text: str, face: Face, size: float, *, soft: bool = False) -> None:
        self._canvas.setFillColor(_SOFT if soft else _INK)
        draw(self._canvas, x, y, text, face, size)

    def _rule(self, y: float, colour: Color) -> None:
        self._canvas.setStrokeColor(colour)
        self._canvas.setLineWidth(0.6)
        self._canvas.line(_MARGIN, y, self._right, y)

    def _barcode(self, x: float, y: float, *, height: float) -> None:
        """The fulfilment's number as Code 128 with the number below, for a scanner at the packing table."""
        code = Code128(self._slip.fulfilment_number, barHeight=height, barWidth=0.33 * mm, quiet=False)
        code.drawOn(self._canvas, x, y)
        self._text(x, y - 3.6 * mm, self._slip.fulfilment_number, BOLD, _SMALL)

    def _qr(self, x: float, y: float) -> None:
        widget = QrCodeWidget(self._slip.fulfilment_id, barLevel="M", barBorder=0, barWidth=_QR, barHeight=_QR)
        drawing = Drawing(_QR, _QR)
        drawing.add(widget)
        renderPDF.draw(drawing, self._canvas, x, y)
