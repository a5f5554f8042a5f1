"""The slips that pickers and packers work from."""

import io
from dataclasses import replace

import pytest
from pypdf import PdfReader

from domain.orders import Address
from templates.pdf_text import BOLD, REGULAR, Face, register_fonts, text_width, wrap
from templates.slips import PackingSlip, PickLine, packing_slip, packing_slips

LEIPZIG = Address("Torgauer Straße 40", "Leipzig", "04318", "DE")
OAKLAND = Address("1201 Harbor Blvd", "Oakland", "94607", "US", state="CA")


def slip(*, lines: int = 3, number: str = "WB-100042-1") -> PackingSlip:
    return PackingSlip(
        order_number="WB-100042",
        fulfilment_number=number,
        fulfilment_id="7f2b3b52-9f0e-5c0e-8f6e-0a5c3c1e2d11",
        warehouse_name="Leipzig Nord",
        warehouse_address=LEIPZIG,
        recipient=Address("中山路 88 号", "青岛市", "266001", "CN", name="王小明", state="山东省"),
        channel="web shop",
        service="express",
        lines=tuple(PickLine(f"SKU-{n:03}", f"桂花乌龙茶 No. {n}", n + 1) for n in range(lines)),
    )


def pages(document: bytes) -> list[str]:
    """The text of each page, its white space evened out: each font is written as a run of its own."""
    return ["".join(page.extract_text().split()) for page in PdfReader(io.BytesIO(document)).pages]


def test_a_slip_tells_what_goes_where() -> None:
    [page] = pages(packing_slip(replace(slip(), note="Gift: no prices. 请附上贺卡。")))
    for text in ("WB-100042", "WB-100042-1", "王小明", "山东省青岛市中山路88号", "LeipzigNord", "TorgauerStraße40"):
        assert text in page
    for text in (
        "Channel:webshop",
        "Service:express",
        "Pieces:6",
        "SKU-002",
        "桂花乌龙茶No.2",
        "Gift:noprices.请附上贺卡。",
    ):
        assert text in page
    assert "Page1of1" in page


def test_the_same_slip_gives_the_same_bytes() -> None:
    assert packing_slip(slip(lines=40)) == packing_slip(slip(lines=40))
    assert packing_slip(slip()) != packing_slip(slip(number="WB-100042-2"))


def test_a_long_order_flows_over_pages_and_repeats_its_head() -> None:
    found = pages(packing_slip(slip(lines=90)))
    assert len(found) > 2
    for number, page in enumerate(found, start=1):
        assert f"Page{number}of{len(found)}" in page
        assert "WB-100042-1" in page
        assert "Quantity" in page
    everything = "".join(found)
    assert all(everything.count(f"SKU-{n:03}") == 1 for n in range(90))
    assert ["Pickedby" in page for page in found] == [False] * (len(found) - 1) + [True]


def test_several_slips_are_numbered_each_by_itself() -> None:
    found = pages(packing_slips([slip(), slip(lines=40, number="WB-100042-2")]))
    assert "Page1of1" in found[0]
    assert "WB-100042-2" in found[1]
    assert f"Page1of{len(found) - 1}" in found[1]


@pytest.mark.parametrize(("address", "size"), [(LEIPZIG, (595, 842)), (OAKLAND, (612, 792))])
def test_american_warehouses_print_on_letter(address: Address, size: tuple[int, int]) -> None:
    page = PdfReader(io.BytesIO(packing_slip(replace(slip(), warehouse_address=address)))).pages[0]
    assert (round(page.mediabox.width), round(page.mediabox.height)) == size


def test_bins_are_shown_only_where_the_warehouse_has_them() -> None:
    with_bins = replace(slip(), lines=(PickLine("SKU-1", "Cups", 1, bin="A-07"),))
    assert "BinSKU" in pages(packing_slip(with_bins))[0]
    assert "A-07" in pages(packing_slip(with_bins))[0]
    assert "BinSKU" not in pages(packing_slip(slip()))[0]


@pytest.mark.parametrize(
    "name", ["Straße", "Škoda", "抹茶セット", "한국 도자기", "Чайник", "ΕΛΛΑΔΑ", "陶瓷杯 Cup · 4 ×", "Œuvre №"]
)
def test_names_in_many_scripts_can_be_read(name: str) -> None:
    [page] = pages(packing_slip(replace(slip(), lines=(PickLine("SKU-1", name, 1),))))
    assert "".join(name.split()) in page


def test_letters_without_a_glyph_become_their_base_and_the_rest_a_question_mark() -> None:
    [page] = pages(packing_slip(replace(slip(), lines=(PickLine("SKU-1", "Gźegżółka 🎁", 1),))))
    assert "Gzegzółka?" in page


@pytest.mark.parametrize("quantity", [1, 99_999])
def test_a_name_like_a_paragraph_does_not_push_others_off_the_page(quantity: int) -> None:
    lines = (PickLine("SKU-1", "very long " * 300, quantity), PickLine("SKU-2", "Cups", 1))
    [page] = pages(packing_slip(replace(slip(), lines=lines)))
    assert "…" in page
    assert "SKU-2" in page


def test_a_slip_that_cannot_be_printed_or_scanned_is_refused() -> None:
    with pytest.raises(ValueError, match="no lines"):
        replace(slip(), lines=())
    with pytest.raises(ValueError, match="Code 128"):
        replace(slip(), fulfilment_number="订单-1")
    with pytest.raises(ValueError, match="note"):
        replace(slip(), note="x" * 501)
    with pytest.raises(ValueError, match="no slip"):
        packing_slips([])


@pytest.mark.parametrize("face", [REGULAR, BOLD])
@pytest.mark.parametrize("text", ["one two three " * 9, "山东省青岛市市南区中山路八十八号" * 4, "X" * 90, "A-1/" * 40])
def test_wrapped_lines_fit_and_lose_nothing(text: str, face: Face) -> None:
    register_fonts()
    lines = wrap(text, face, 10, 120)
    assert len(lines) > 1
    assert all(text_width(line, face, 10) <= 120 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
