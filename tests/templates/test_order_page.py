"""The page on which a customer follows an order."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.money import Money
from domain.orders import ENDED, Address, OrderStatus
from domain.shipments import TrackingEvent, TrackingStatus
from domain.waiting import Party, Waiting
from templates.pages import OrderPage, PageEntry, PageLinks, PageMoney, PageParcel, ParcelItem, StageState, stages
from templates.parts import PricedLine
from templates.render import Templates

START = datetime(2025, 11, 20, 8, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates()


def euros(minor: int) -> Money:
    return Money(minor, "EUR")


def parcel() -> PageParcel:
    return PageParcel(
        number=1,
        status=TrackingStatus.OUT_FOR_DELIVERY,
        items=(ParcelItem("Espresso cups", 2),),
        carrier="DHL",
        service="Paket",
        tracking_code="JD0002",
        tracking_url="https://track.example.com/JD0002",
        estimated_delivery=START + timedelta(days=3),
        events=tuple(
            TrackingEvent(TrackingStatus.IN_TRANSIT, f"Scan {n}", START + timedelta(hours=n), "Berlin")
            for n in range(5)
        ),
    )


def page(status: OrderStatus = OrderStatus.SHIPPED) -> OrderPage:
    return OrderPage(
        shop_name="Nordlicht Supply",
        locale="en-GB",
        csp_nonce="n0nce",
        number="WB-100042",
        status=status,
        waiting=Waiting(
            "the delivery of parcel 1", Party.CARRIER, START, START + timedelta(days=5), "our team asks the carrier"
        ),
        placed_at=START,
        as_of=START + timedelta(hours=6),
        customer_name="Ada Weiß",
        address=Address("Kastanienallee 12", "Berlin", "10435", "DE", name="Ada Weiß"),
        lines=(PricedLine("Espresso cups", "CUP-4", 2, euros(6400)),),
        money=PageMoney(
            shipping=euros(490), total=euros(6890), authorised=euros(6890), captured=euros(6000), refunded=euros(120)
        ),
        parcels=(parcel(),),
        entries=(PageEntry(START, "Order placed", "placed"), PageEntry(START, "Reserved in Leipzig.")),
    )


def text(html: str) -> str:
    """What a reader sees: no tags, no script, no style, white space evened out."""
    body = re.sub(r"<(script|style).*?</\1>", "", html[html.index("<body") :], flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
@pytest.mark.parametrize("status", OrderStatus)
def test_the_page_can_show_every_status_in_both_languages(
    templates: Templates, status: OrderStatus, locale: str
) -> None:
    html = templates.order_page(replace(page(status), locale=locale))
    assert f'<html lang="{"zh-Hans" if locale == "zh-CN" else "en"}">' in html
    assert "WB-100042" in html
    assert html.count("<h1") == 1


def test_the_waiting_sentence_says_what_on_whom_since_when_until_when_and_what_then(templates: Templates) -> None:
    seen = text(templates.order_page(page()))
    assert "Waiting for the delivery of parcel 1 With the carrier since 20 Nov 2025, 08:12 UTC" in seen
    assert "until 25 Nov 2025, 08:12 UTC ; then our team asks the carrier." in seen


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_when_the_shop_loses_patience_with_others_is_not_for_customers(templates: Templates, locale: str) -> None:
    html = templates.order_page(replace(page(), inside=False, locale=locale))
    assert "delivery of parcel 1" in html
    assert "our team asks" not in html
    assert "2025-11-25" not in html.partition('<p class="waiting">')[2].partition("</p>")[0]
    theirs = Waiting("the payment", Party.CUSTOMER, START, START + timedelta(days=1), "the order expires")
    assert "then the order expires" in templates.order_page(
        replace(page(), waiting=theirs, inside=False, locale=locale)
    )


def test_a_chinese_reader_is_told_on_whom_the_order_waits(templates: Templates) -> None:
    html = templates.order_page(replace(page(), locale="zh"))
    assert "正在等待承运商" in html
    assert "最迟：" in html
    assert "2025年11月25日 08:12 UTC" in html
    assert '<span class="details" lang="en">Waiting for the delivery of parcel 1; then our team asks' in html


@pytest.mark.parametrize("status", sorted(ENDED))
def test_an_ended_order_closes_with_a_sentence_and_asks_for_no_news(templates: Templates, status: OrderStatus) -> None:
    ended = replace(page(status), waiting=Waiting("Done", Party.NOBODY, START), parcels=())
    html = templates.order_page(ended)
    assert "data-refresh=" not in html
    assert 'http-equiv="refresh"' not in html
    assert "Nothing was sent." in html
    assert "Done , 20 Nov 2025, 08:12 UTC" in text(html)


def test_of_what_was_sent_back_it_is_not_said_that_it_be_enjoyed(templates: Templates) -> None:
    nobody = Waiting("Delivered", Party.NOBODY, START)
    back = (PageEntry(START, "The return was settled.", "return_settled"),)
    shown = templates.order_page(replace(page(OrderStatus.DELIVERED), waiting=nobody, entries=back))
    assert "what you sent back has reached us" in shown
    assert "Enjoy" not in shown


def test_an_order_under_way_keeps_its_page_fresh_with_and_without_scripts(templates: Templates) -> None:
    html = templates.order_page(replace(page(), refresh_every=timedelta(seconds=7)))
    assert 'data-refresh="7"' in html
    assert '<noscript><meta http-equiv="refresh" content="30"></noscript>' in html


def test_parcels_show_where_they_are_and_lead_to_the_carrier(templates: Templates) -> None:
    html = templates.order_page(page())
    assert 'href="https://track.example.com/JD0002"' in html
    seen = text(html)
    assert "Parcel 1 Out for delivery" in seen
    assert "23 November 2025" in seen
    assert seen.index("Scan 4") < seen.index("Scan 2") < seen.index("Earlier events (2)") < seen.index("Scan 0")


def test_a_parcel_without_a_label_is_being_packed(templates: Templates) -> None:
    seen = text(templates.order_page(replace(page(), parcels=(PageParcel(1, TrackingStatus.UNKNOWN),))))
    assert "Parcel 1 Being packed" in seen
    assert "Tracking number" not in seen


def test_the_money_is_told_apart(templates: Templates) -> None:
    seen = text(templates.order_page(page()))
    for words in ("Total €68.90", "Approved by your bank €68.90", "Charged €60.00", "Refunded €1.20", "Shipping €4.90"):
        assert words in seen
    assert "Nothing has been charged" not in seen


def test_who_has_to_pay_finds_the_way(templates: Templates) -> None:
    due = replace(page(OrderStatus.AWAITING_PAYMENT), links=PageLinks(pay="https://pay.example.com/?a=1&b=2"))
    assert 'href="https://pay.example.com/?a=1&amp;b=2"' in templates.order_page(due)
    assert "Complete your payment" not in templates.order_page(replace(due, status=OrderStatus.EXPIRED))


def test_history_is_told_newest_first(templates: Templates) -> None:
    seen = text(templates.order_page(page()))
    assert seen.index("Reserved in Leipzig.") < seen.index("Order placed")


def test_everything_obeys_a_policy_that_allows_only_the_nonce(templates: Templates) -> None:
    html = templates.order_page(page())
    assert re.findall(r"<(?:script|style)[^>]*>", html) == ['<style nonce="n0nce">', '<script nonce="n0nce">']
    markup = re.sub(r"<(script|style).*?</\1>", "", html, flags=re.DOTALL)
    assert not re.search(r"\s(style|on[a-z]+)=|javascript:|<link|<img|<iframe", markup)


def test_the_address_of_the_page_is_given_to_nobody(templates: Templates) -> None:
    html = templates.order_page(page())
    assert '<meta name="referrer" content="no-referrer">' in html
    assert '<meta name="robots" content="noindex, nofollow">' in html


@pytest.mark.parametrize("locale", ["en", "zh"])
def test_what_customers_and_carriers_write_is_text(templates: Templates, locale: str) -> None:
    nasty = "<img src=x onerror=alert(1)>"
    event = TrackingEvent(TrackingStatus.IN_TRANSIT, nasty, START, nasty)
    html = templates.order_page(
        replace(
            page(),
            locale=locale,
            shop_name=nasty,
            customer_name=nasty,
            address=Address(nasty, nasty, nasty, "DE"),
            lines=(PricedLine(nasty, nasty, 1, euros(1)),),
            parcels=(replace(parcel(), events=(event,), carrier=nasty, tracking_url="javascript:alert(1)"),),
            entries=(PageEntry(START, nasty),),
            waiting=Waiting(nasty, Party.CARRIER, START, None, nasty),
        )
    )
    assert "<img" not in html
    assert "javascript:" not in html
    assert "&lt;img src=x" in html


@pytest.mark.parametrize("status", OrderStatus)
def test_every_order_stands_at_one_stage_or_has_come_to_an_end(status: OrderStatus) -> None:
    states = [state for _, state in stages(status)]
    assert states[0] is StageState.DONE
    assert states.count(StageState.CURRENT) == (status not in ENDED)
    assert sorted(states, key=list(StageState).index) == states


def test_the_stages_follow_the_order() -> None:
    current = {
        status: next((str(s) for s, state in stages(status) if state == "current"), "") for status in OrderStatus
    }
    assert current[OrderStatus.AWAITING_PAYMENT] == "paid"
    assert current[OrderStatus.FULFILLING] == "packed"
    assert current[OrderStatus.PARTLY_SHIPPED] == "shipped"
    assert current[OrderStatus.DELIVERED] == ""
    assert [str(stage) for stage, _ in stages(OrderStatus.EXPIRED)] == ["placed", "expired"]
