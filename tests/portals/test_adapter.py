"""The portal's adapter on a real browser: what a person could do, and every way in which the site can be different."""

import asyncio
import os
import signal
import stat
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain.portals import EvidenceKind, PortalOrder, PortalStatus
from integrations.errors import (
    OutcomeUnknown,
    PageChanged,
    ProviderDown,
    ProviderError,
    Rejected,
    Throttled,
)
from integrations.portals.browser import Chromium, find_chromium
from integrations.portals.office import Office
from integrations.portals.portal import Document, Portal
from integrations.portals.sessions import Sessions
from tests.portals.errands import command_of, family
from tests.portals.trade import QUICK
from tests.portals.visits import Album, Pressed, place
from tests.supplier import HOME, Supplier, needs_chromium, request

pytestmark = needs_chromium


async def read(office: Office, number: str) -> PortalOrder:
    return await office.visit("northgate", lambda portal: portal.read(number))


async def test_what_is_ordered_is_on_the_suppliers_books_once_and_as_asked(office: Office, supplier: Supplier) -> None:
    wanted = request("WB-1-1-1", ("MUG-01", 2), ("TEE-L", 1), service="express", instructions="Ring twice")
    placed = await place(office, wanted)
    (order,) = await supplier.orders()
    assert (placed.found, placed.order.number, placed.order.status) == (False, order["id"], PortalStatus.RECEIVED)
    assert placed.order.shown == wanted
    assert order["lines"] == [{"sku": "MUG-01", "quantity": 2}, {"sku": "TEE-L", "quantity": 1}]
    assert (order["reference"], order["shipping"], order["instructions"]) == ("WB-1-1-1", "express", "Ring twice")
    assert order["address"]["street1"] == HOME.street1 and order["address"]["country"] == "US"


async def test_an_order_of_more_lines_than_the_form_has_rows_gets_more_rows(office: Office, supplier: Supplier) -> None:
    wanted = request("WB-2-1-1", *((f"SKU-{n}", n) for n in range(1, 10)))
    assert (await place(office, wanted)).order.shown == wanted
    (order,) = await supplier.orders()
    assert len(order["lines"]) == 9


async def test_what_was_ordered_before_is_found_and_not_ordered_again(office: Office, supplier: Supplier) -> None:
    first = await place(office, request("WB-3-1-1"))
    second = await place(office, request("WB-3-1-1"))
    assert (second.found, second.order.number) == (True, first.order.number)
    assert len(await supplier.orders()) == 1


async def test_what_was_ordered_under_a_clock_ahead_is_found_once_it_is_set_right(
    office: Office, supplier: Supplier
) -> None:
    await place(office, request("WB-3-1-2"))  # and with it the log-in, whose code no wrong clock takes
    for ahead in (600, 0):
        (await supplier.http.put("/control/clock", json={"ahead_seconds": ahead})).raise_for_status()
        await place(office, request("WB-3-1-3"))
    assert len(await supplier.orders("WB-3-1-3")) == 1


async def test_a_reference_that_is_part_of_another_is_another_order(office: Office, supplier: Supplier) -> None:
    await place(office, request("WB-4-1-11"))
    assert not (await place(office, request("WB-4-1-1"))).found
    assert len(await supplier.orders()) == 2


async def test_an_order_is_followed_from_its_receipt_to_the_door(office: Office, supplier: Supplier) -> None:
    number = (await place(office, request("WB-5-1-1"))).order.number
    seen = []
    for _ in range(3):
        await supplier.advance(number)
        seen.append(await read(office, number))
    assert [order.status.value for order in seen] == ["picking", "dispatched", "delivered"]
    assert seen[0].tracking_code is None
    (book,) = await supplier.orders()
    assert (seen[1].carrier, seen[1].tracking_code) == (book["carrier"], book["tracking"])


async def test_the_delivery_note_comes_as_a_pdf_once_the_order_is_picked(office: Office, supplier: Supplier) -> None:
    number = (await place(office, request("WB-6-1-1"))).order.number
    album = Album()

    async def download(portal: Portal) -> Document:
        return await portal.download(number)

    with pytest.raises(Rejected, match="no delivery note yet"):
        await office.visit("northgate", download)
    await supplier.advance(number)
    document = await office.visit("northgate", download, keep=album.keep)
    assert (document.media_type, document.content[:5]) == ("application/pdf", b"%PDF-")
    (kept,) = [exhibit for exhibit in album.exhibits if exhibit.kind is EvidenceKind.DOCUMENT]
    assert kept.content == document.content


async def test_an_order_can_be_cancelled_until_it_is_picked(office: Office, supplier: Supplier) -> None:
    first, second = [(await place(office, request(f"WB-7-{n}-1"))).order.number for n in (1, 2)]
    for _ in range(2):  # cancelling twice is one cancellation
        assert (await office.visit("northgate", lambda p: p.cancel(first))).status is PortalStatus.CANCELLED
    await supplier.advance(second)
    with pytest.raises(Rejected, match="cannot be cancelled any more") as caught:
        await office.visit("northgate", lambda p: p.cancel(second))
    assert caught.value.code == "too_late"
    assert {order["id"]: order["status"] for order in await supplier.orders()} == {
        first: "cancelled",
        second: "picking",
    }


# --- the site is slow, away, or forgets us -------------------------------------------------------------------------


async def test_a_slow_portal_is_waited_for(office: Office, supplier: Supplier) -> None:
    await supplier.turn(latency_ms=700)
    await place(office, request("WB-10-1-1"))
    assert len(await supplier.orders()) == 1


async def test_one_log_in_serves_many_jobs(office: Office, supplier: Supplier) -> None:
    for n in range(3):
        await place(office, request(f"WB-11-{n}-1"))
    assert await supplier.calls("verify.send") == 1


@pytest.mark.parametrize("operation", ["orders.list", "items.send", "summary.show", "orders.show"])
async def test_whoever_is_signed_out_on_the_way_logs_in_and_begins_by_looking_up(
    office: Office, supplier: Supplier, operation: str
) -> None:
    await place(office, request("WB-12-0-1"))
    await supplier.turn(session_lost=operation)
    await place(office, request("WB-12-1-1"))
    assert len(await supplier.orders("WB-12-1-1")) == 1
    assert await supplier.calls("verify.send") == 2


async def test_who_is_signed_out_at_the_final_button_waits_until_it_is_certain_that_nothing_was_ordered(
    office: Office, supplier: Supplier
) -> None:
    pressed = Pressed()
    await supplier.turn(session_lost="orders.submit")
    with pytest.raises(Throttled, match="cannot be told yet"):
        await place(office, request("WB-13-1-1"), pressed)
    assert await supplier.orders() == []
    pressed.at = datetime.now(UTC) - timedelta(minutes=2)
    assert not (await place(office, request("WB-13-1-1"), pressed)).found
    assert len(await supplier.orders()) == 1


async def test_two_who_log_in_at_once_do_not_use_one_code_twice(
    office: Office, chromium: Chromium, supplier: Supplier
) -> None:
    await supplier.turn(totp_reuse=False)
    other = Office(chromium, [supplier.account], Sessions(), pace=QUICK)
    await asyncio.gather(place(office, request("WB-19-1-1")), place(other, request("WB-19-2-1")))
    assert sorted(order["reference"] for order in await supplier.orders()) == ["WB-19-1-1", "WB-19-2-1"]


async def test_an_old_log_in_is_renewed(office: Office, supplier: Supplier) -> None:
    await place(office, request("WB-14-1-1"))
    await supplier.turn(session_seconds=0.001)
    with pytest.raises(ProviderError):
        await read(office, "NG-100001")
    await supplier.turn(session_seconds=3600)
    assert (await read(office, "NG-100001")).status is PortalStatus.RECEIVED


async def test_a_portal_under_maintenance_says_so_and_gets_no_order(office: Office, supplier: Supplier) -> None:
    await supplier.turn(maintenance=True)
    with pytest.raises(ProviderDown):
        await place(office, request("WB-15-1-1"))
    await supplier.turn(maintenance=False)
    await place(office, request("WB-15-1-1"))
    assert len(await supplier.orders()) == 1


# --- the site has changed --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "missing"),
    [
        ("login", 'log in: the page has no button "Sign in"'),
        ("verify", 'second factor: the page has no button "Verify"'),
        ("orders", 'search: the page has no button "Search"'),
        ("items", 'items: the page has no button "Continue"'),
        ("delivery", 'delivery address: the page has no button "Continue"'),
        ("options", 'delivery options: the page has no button "Continue"'),
        ("summary", 'summary: the page has no button "Place order"'),
    ],
)
async def test_a_renamed_button_ends_the_visit_at_once_with_its_name_and_a_picture(
    office: Office, supplier: Supplier, page: str, missing: str
) -> None:
    await supplier.turn(button_renamed=page)
    album, pressed = Album(), Pressed()
    with pytest.raises(PageChanged) as caught:
        await place(office, request("WB-20-1-1"), pressed, album)
    assert missing in str(caught.value)
    assert album.steps()[-1] == f"without {caught.value.missing}"
    assert (await supplier.orders(), pressed.times) == ([], 0)


async def test_a_field_that_has_moved_to_another_page_is_named(office: Office, supplier: Supplier) -> None:
    await supplier.turn(field_moved=True)
    with pytest.raises(PageChanged, match='delivery address: the page has no field "Postal code"'):
        await place(office, request("WB-21-1-1"))
    assert await supplier.orders() == []


@pytest.mark.parametrize("kind", ["overlay", "alert", "window"])
async def test_what_pops_up_is_closed(office: Office, supplier: Supplier, kind: str) -> None:
    await supplier.turn(popup=kind)
    await place(office, request("WB-22-1-1"))
    assert len(await supplier.orders()) == 1


async def test_a_notice_that_wants_a_decision_is_left_to_a_person(office: Office, supplier: Supplier) -> None:
    await supplier.turn(popup="strange")
    album = Album()
    with pytest.raises(PageChanged, match="a notice covers it"):
        await place(office, request("WB-23-1-1"), album=album)
    assert album.steps()


async def test_a_stock_message_that_is_wrong_is_a_refusal_and_no_order(office: Office, supplier: Supplier) -> None:
    await supplier.turn(out_of_stock=["MUG-01"])
    with pytest.raises(Rejected, match="Item MUG-01 is out of stock") as caught:
        await place(office, request("WB-24-1-1"))
    assert caught.value.code == "out_of_stock"
    assert await supplier.orders() == []


# --- secrets and evidence --------------------------------------------------------------------------------------------


async def test_every_step_leaves_a_picture_and_the_last_pages_their_html(office: Office, supplier: Supplier) -> None:
    album = Album()
    await place(office, request("WB-40-1-1"), album=album)
    pictures = [exhibit for exhibit in album.exhibits if exhibit.kind is EvidenceKind.PICTURE]
    assert all(exhibit.content.startswith(b"\x89PNG") for exhibit in pictures)
    assert list(dict.fromkeys(exhibit.step for exhibit in pictures)) == [
        "log in",
        "second factor",
        "search",
        "items",
        "delivery address",
        "delivery options",
        "summary",
        "confirmation",
        "order",
    ]
    assert album.steps(EvidenceKind.PAGE) == ["confirmation", "order"]


async def test_no_page_that_is_kept_holds_a_secret(office: Office, supplier: Supplier) -> None:
    album = Album()
    await place(office, request("WB-41-1-1"), album=album)
    sessions = (await supplier.http.get("/control/books/portal_session")).json()["data"]
    account = supplier.account
    for exhibit in album.exhibits:
        if exhibit.kind is EvidenceKind.PAGE:
            text = exhibit.content.decode()
            assert "Margaret Ellery" in text or "WB-41-1-1" in text
            for secret in (account.password, account.totp, account.username, *(s["csrf"] for s in sessions)):
                assert secret not in text


async def test_a_log_in_on_disk_is_its_owners_alone_and_serves_the_next_process(
    chromium: Chromium, supplier: Supplier, folder: Path
) -> None:
    for n in range(2):
        office = Office(chromium, [supplier.account], Sessions(folder), pace=QUICK)
        await place(office, request(f"WB-42-{n}-1"))
    (file,) = folder.iterdir()  # noqa: ASYNC240
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert await supplier.calls("verify.send") == 1


async def test_a_wrong_password_is_tried_once(chromium: Chromium, supplier: Supplier) -> None:
    office = Office(chromium, [replace(supplier.account, password="wrong")], Sessions(), pace=QUICK)
    with pytest.raises(Rejected, match="does not take our name and password") as caught:
        await place(office, request("WB-43-1-1"))
    assert (caught.value.status, await supplier.calls("login.send")) == (401, 1)
    assert "wrong" not in str(caught.value)


async def test_the_survey_finds_every_part_of_every_page_and_orders_nothing(office: Office, supplier: Supplier) -> None:
    await place(office, request("WB-44-1-1"))
    sightings, ended = await office.survey("northgate", sku="MUG-01")
    assert ended is None
    assert {sighting.step for sighting in sightings} >= {"log in", "search", "order", "items", "summary"}
    assert all(sighting.there for sighting in sightings)
    assert len(await supplier.orders()) == 1


async def test_the_survey_names_all_that_is_missing_on_a_page(office: Office, supplier: Supplier) -> None:
    await supplier.turn(field_moved=True, button_renamed="delivery")
    sightings, ended = await office.survey("northgate", sku="MUG-01")
    assert [s.mark for s in sightings if not s.there] == ['field "Postal code"', 'button "Continue"']
    assert "delivery address" in str(ended)


# --- the browser -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [b"chromium", b"node"])
async def test_a_browser_or_its_driver_that_dies_is_started_again_by_the_next_job(
    supplier: Supplier, part: bytes
) -> None:
    async with Chromium(find_chromium(), sandbox=False) as chromium:
        office = Office(chromium, [supplier.account], Sessions(), pace=QUICK)
        first = await place(office, request("WB-50-1-1"))
        kill_child(part)
        with suppress(OutcomeUnknown):  # the first to notice
            await place(office, request("WB-50-1-2"))
        assert (await place(office, request("WB-50-1-1"))).order == first.order


async def test_a_browser_that_dies_while_nobody_visits_is_started_again() -> None:
    async with Chromium(find_chromium(), sandbox=False) as chromium:
        keeping = asyncio.create_task(chromium.keep_alive())
        before = await chromium.browser()
        kill_child(b"chromium")
        async with asyncio.timeout(20):
            while not (chromium.alive and await chromium.browser() is not before):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.1)
        keeping.cancel()


async def test_a_page_that_hangs_for_ever_ends_the_visit(chromium: Chromium, supplier: Supplier) -> None:
    office = Office(chromium, [supplier.account], Sessions(), pace=replace(QUICK, visit=6, load=60))
    await supplier.next_answer("orders.list", "timeout")
    with pytest.raises(OutcomeUnknown, match="the visit took more than 6 s"):
        await office.visit("northgate", lambda portal: portal.find("WB-51-1-1"))


def kill_child(part: bytes) -> None:
    """Kill the newest process of ours whose program's name has ``part`` in it: the youngest browser is the test's."""
    for pid in sorted(family(os.getpid()), reverse=True):
        command = command_of(pid)
        # A browser's own children may have all their words in the first.
        if part in command[0].partition(b" ")[0].rpartition(b"/")[2] and b"--type=" not in b" ".join(command):
            os.kill(pid, signal.SIGKILL)
            return
    raise LookupError(part)
