"""The EasyPost sandbox prints labels that a scanner can read."""

import io
from collections.abc import Iterator

import pytest
from easypost.errors.api.invalid_request_error import InvalidRequestError
from PIL import Image
from pypdf import PdfReader
from reportlab.graphics.barcode import code128

from tests.sandbox.easypost_process import CUSTOMER, Sandbox


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("books"))
    sandbox.start()
    yield sandbox
    sandbox.kill()


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.reset()
    return running


def test_labels_are_files_whose_bar_code_is_the_tracking_code(sandbox: Sandbox) -> None:
    shipment = sandbox.bought(reference="o-7", to_address={**CUSTOMER, "name": "Ann ^~_ Böll"})
    png = Image.open(io.BytesIO(sandbox.http.get(shipment.postage_label.label_url).content))
    assert (png.size, png.format) == ((1200, 1800), "PNG")
    assert _read_code128(png, row=1300) == shipment.tracking_code
    pdf = sandbox.client.shipment.label(shipment.id, file_format="PDF").postage_label.label_pdf_url
    page = PdfReader(io.BytesIO(sandbox.http.get(pdf).content)).pages[0]
    assert (float(page.mediabox.width), float(page.mediabox.height)) == (288, 432)
    assert "179 N Harbor Dr" in page.extract_text()
    both = sandbox.client.shipment.label(shipment.id, file_format="ZPL").postage_label
    zpl = sandbox.http.get(both.label_zpl_url).text
    assert both.label_pdf_url == pdf
    assert zpl.startswith("^XA\n^CI28^PW812^LL1218\n")
    assert f"^BCN,220,N,N,N,A^FH^FD{shipment.tracking_code}^FS" in zpl
    assert "^FDAnn _5E_7E_5F Böll^FS" in zpl


def test_a_label_may_be_asked_for_as_pdf_from_the_start(sandbox: Sandbox) -> None:
    label = sandbox.bought(options={"label_format": "PDF"}).postage_label
    assert label.label_file_type == "application/pdf"
    assert sandbox.http.get(label.label_url).content.startswith(b"%PDF")
    with pytest.raises(InvalidRequestError):
        sandbox.shipment(options={"label_format": "EPL2"})


def test_a_shipment_without_postage_has_no_label(sandbox: Sandbox) -> None:
    with pytest.raises(InvalidRequestError):
        sandbox.client.shipment.label(sandbox.shipment().id, file_format="PDF")
    assert sandbox.http.get("/easypost/files/postage_label/20250101/none.png").status_code == 404


def _read_code128(image: Image.Image, *, row: int) -> str:
    """Read the bar code as a scanner does: widths of bars and spaces, symbol by symbol."""
    pixels = [1 if image.getpixel((x, row)) == 0 else 0 for x in range(image.width)]
    first, last = pixels.index(1), len(pixels) - pixels[::-1].index(1)
    runs: list[int] = []
    for here, before in zip(pixels[first:last], [None, *pixels[first:last]], strict=False):
        if here == before:
            runs[-1] += 1
        else:
            runs.append(1)
    module = min(runs)
    widths = [run // module for run in runs]
    patterns = {tuple(_width(mark) for mark in p): value for value, p in code128._patterns.items()}
    values: list[int] = []
    for start in range(0, len(widths) - 7, 6):
        values.append(patterns[tuple(widths[start : start + 6])])
    assert values[-1] == (values[0] + sum(at * v for at, v in enumerate(values[1:-1], 1))) % 103
    return _text_of(values[:-1])


def _width(mark: str) -> int:
    return ord(mark.lower()) - ord("a") + 1


def _text_of(values: list[int]) -> str:
    """Code sets B and C, with the changes between them."""
    text, in_c = "", values[0] == 105
    for value in values[1:]:
        if in_c and value < 100:
            text += f"{value:02d}"
        elif in_c:
            in_c = False
        elif value == 99:
            in_c = True
        else:
            text += chr(value + 32)
    return text
