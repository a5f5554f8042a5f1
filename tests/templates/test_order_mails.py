"""The e-mails that customers and operators get."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from domain.exceptions import Action, ExceptionKind
from domain.money import Money
from domain.notifications import ABOUT_CLAIMS, ABOUT_DIFFERENCES, ABOUT_EXCHANGES, ABOUT_RETURNS, NoticeKind
from domain.orders import Address
from templates.language import Language
from templates.mails import CaseNote, MoneyNote, OperatorMail, OrderMail, ParcelLink, ReturnedUnits, ReturnNote
from templates.parts import PricedLine
from templates.render import Templates

TRACKING = "https://track.example.com/?code=JD0002&lang=en"
LOCALES = ["en-GB", "zh-CN"]
RETURNED = ReturnNote(
    "RT-100007",
    (ReturnedUnits("Espresso cups", 1),),
    Address("Am Speicher 3", "Hamburg", "20457", "DE", name="Nordlicht Supply"),
    amount=Money(2610, "EUR"),
    fee=Money(320, "EUR"),
    label=Money(270, "EUR"),
    send_by=datetime(2025, 12, 8, 8, 0, tzinfo=UTC),
    refusal="Das Siegel ist gebrochen.",
)

CLAIMED = CaseNote(
    "CL-100003",
    amount=Money(1200, "EUR"),
    to_pay=Money(0, "EUR"),
    linked_number="WB-100043",
    linked_url="https://shop.example.com/orders/43?sig=abc",
    refusal="Die Unterschrift liegt vor.",
)


@pytest.fixture(scope="module")
def templates() -> Templates:
    return Templates()


def mail(kind: NoticeKind, locale: str = "en-GB") -> OrderMail:
    return OrderMail(
        shop_name="Nordlicht Supply",
        kind=kind,
        locale=locale,
        number="WB-100042",
        customer_name="Ada Weiß",
        order_url="https://shop.example.com/orders/42?sig=abc&t=1",
        lines=(
            PricedLine("Espresso cups", "CUP-4", 2, Money(6400, "EUR")),
            PricedLine("桂花乌龙茶", "TEA-1", 1, Money(123450, "EUR")),
        ),
        shipping=Money(490, "EUR"),
        total=Money(130340, "EUR"),
        address=Address("Kastanienallee 12", "Berlin", "10435", "DE", name="Ada Weiß"),
        placed_at=datetime(2025, 11, 20, 8, 12, tzinfo=UTC),
        parcels=(ParcelLink("DHL", "Paket", "JD0002", TRACKING, datetime(2025, 11, 24, tzinfo=UTC)),),
        money_note=MoneyNote.NOTHING_CHARGED if kind is NoticeKind.CANCELLED else None,
        refunded=Money(2990, "EUR") if kind is NoticeKind.REFUNDED else None,
        returned=RETURNED if kind in ABOUT_RETURNS else None,
        difference=Money(1200, "EUR") if kind in ABOUT_DIFFERENCES else None,
        pay_until=datetime(2025, 11, 23, 8, 0, tzinfo=UTC) if kind in ABOUT_DIFFERENCES else None,
        case=CLAIMED if kind in ABOUT_CLAIMS | ABOUT_EXCHANGES else None,
    )


def operator_mail() -> OperatorMail:
    return OperatorMail(
        shop_name="Nordlicht Supply",
        number="WB-100042",
        kind=ExceptionKind.CARRIER_SILENT,
        reason="DHL has told nothing about parcel 1 for 5 days.",
        actions=(Action.RETRY, Action.CANCEL),
        opened_at=datetime(2025, 11, 24, 9, 30, tzinfo=UTC),
        order_url="https://shop.example.com/console/orders/42",
        exception_url="https://shop.example.com/console/exceptions/7",
        temporal_url="https://temporal.example.com/namespaces/default/workflows/order-42",
    )


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_mail_tells_its_order_in_both_languages(templates: Templates, kind: NoticeKind, locale: str) -> None:
    made = templates.order_mail(mail(kind, locale))
    total = "€1,303.40"
    assert "WB-100042" in made.subject
    assert "\n" not in made.subject
    assert made.language is (Language.CHINESE if locale == "zh-CN" else Language.ENGLISH)
    for body in (made.text, made.html):
        assert "Ada Weiß" in body
        assert "桂花乌龙茶" in body
        assert total in body
        assert "CUP-4" in body
        assert len(re.findall("questions|疑问", body, re.IGNORECASE)) == 1
    assert "https://shop.example.com/orders/42?sig=abc&t=1" in made.text
    assert 'href="https://shop.example.com/orders/42?sig=abc&amp;t=1"' in made.html
    assert not re.search(r"\n{3,}", made.text)


def test_whoever_is_to_send_back_a_cancelled_order_is_told_why(templates: Templates) -> None:
    kind = NoticeKind.RETURN_APPROVED
    for locale, words in (("en-GB", "Your order was cancelled after it had left us."), ("zh-CN", "发货后已取消")):
        asked = mail(kind, locale)
        cancelled = replace(asked, returned=replace(RETURNED, cancelled=True))
        for text in ("text", "html"):
            assert words not in getattr(templates.order_mail(asked), text)
            assert words in getattr(templates.order_mail(cancelled), text)


@pytest.mark.parametrize("kind", NoticeKind)
def test_the_chinese_mails_are_chinese(templates: Templates, kind: NoticeKind) -> None:
    made = templates.order_mail(replace(mail(kind, "zh-CN"), lines=()))
    assert "您好！" in made.text
    assert '<html lang="zh-Hans"' in made.html
    assert not re.search(r"\b(your|order|the|we|Total|Shipping)\b", made.subject + made.text.replace("orders/42", ""))


@pytest.mark.parametrize("locale", LOCALES)
@pytest.mark.parametrize("kind", NoticeKind)
def test_a_mail_loads_nothing_and_works_in_the_dark(templates: Templates, kind: NoticeKind, locale: str) -> None:
    html = templates.order_mail(mail(kind, locale)).html
    assert html.startswith("<!DOCTYPE html>")
    assert 'name="color-scheme" content="light dark"' in html
    assert "prefers-color-scheme: dark" in html
    assert not re.search(r"<img|<link|<script|url\(|@import|src=", html)


@pytest.mark.parametrize("locale", LOCALES)
def test_a_shipped_order_says_how_to_follow_every_parcel(templates: Templates, locale: str) -> None:
    second = ParcelLink("DPD", "Classic", "0998-2", "https://dpd.example.com/0998-2")
    shipped = mail(NoticeKind.SHIPPED, locale)
    made = templates.order_mail(replace(shipped, parcels=(*shipped.parcels, second)))
    assert TRACKING in made.text
    assert 'href="https://track.example.com/?code=JD0002&amp;lang=en"' in made.html
    assert 'href="https://dpd.example.com/0998-2"' in made.html
    for body in (made.text, made.html):
        assert "JD0002" in body
        assert "0998-2" in body
        assert ("2025年11月24日" if locale == "zh-CN" else "24 November 2025") in body


def test_a_split_order_says_that_more_follows(templates: Templates) -> None:
    part = templates.order_mail(replace(mail(NoticeKind.SHIPPED), more_to_come=True))
    assert part.subject == "Part of your order WB-100042 is on its way"
    assert "The rest of your order follows" in part.text
    assert "The rest of your order follows" not in templates.order_mail(mail(NoticeKind.SHIPPED)).text
    assert "charged" not in part.text


@pytest.mark.parametrize(
    ("locale", "words"),
    [("en", "So far we have charged €40.00 of €1,303.40"), ("zh", "目前已扣款 €40.00（共 €1,303.40）")],
)
def test_where_each_part_is_charged_as_it_leaves_it_says_how_much_was(
    templates: Templates, locale: str, words: str
) -> None:
    half = replace(mail(NoticeKind.SHIPPED, locale), more_to_come=True, charged=Money(4000, "EUR"))
    made = templates.order_mail(half)
    assert words in made.text and words in made.html


def test_a_strange_tracking_address_is_no_link(templates: Templates) -> None:
    parcel = ParcelLink("DHL", "Paket", "JD0002", "javascript:alert(1)")
    made = templates.order_mail(replace(mail(NoticeKind.SHIPPED), parcels=(parcel,)))
    assert "JD0002" in made.html
    assert "javascript:" not in made.html + made.text


@pytest.mark.parametrize(
    ("locale", "note", "says"),
    [
        ("en", MoneyNote.NOTHING_CHARGED, "Nothing was charged, so there is nothing you need to do."),
        ("en", MoneyNote.HOLD_RELEASED, "The amount of €1,303.40 that your bank had set aside has been released"),
        ("en", MoneyNote.REFUNDED, "We have refunded what you paid"),
        ("zh", MoneyNote.NOTHING_CHARGED, "我们没有扣款，您无需进行任何操作。"),
        ("zh", MoneyNote.HOLD_RELEASED, "银行为您预留的 €1,303.40 已经解除"),
        ("zh", MoneyNote.REFUNDED, "您支付的款项已按原付款方式退回"),
        ("en", MoneyNote.PART_KEPT, "We keep €5.00 of what you paid."),
        ("en", MoneyNote.PART_KEPT, "We have refunded €29.90, the way you paid it."),
        ("en", MoneyNote.PART_CHARGED, "We have charged €5.00. What else your bank had set aside has been released"),
        ("zh", MoneyNote.PART_KEPT, "我们保留 €5.00。"),
        ("zh", MoneyNote.PART_CHARGED, "我们已扣款 €5.00。"),
    ],
)
def test_a_cancellation_says_what_happens_with_the_money(
    templates: Templates, locale: str, note: MoneyNote, says: str
) -> None:
    kept, back = Money(500, "EUR"), Money(2990, "EUR")
    made = templates.order_mail(
        replace(mail(NoticeKind.CANCELLED, locale), money_note=note, kept=kept, given_back=back)
    )
    assert says in made.text
    assert says in made.html


def test_a_cancellation_that_is_silent_about_the_money_is_refused() -> None:
    with pytest.raises(ValueError, match="money"):
        replace(mail(NoticeKind.CANCELLED), money_note=None)


def test_a_shipping_mail_without_a_parcel_is_refused() -> None:
    with pytest.raises(ValueError, match="parcel"):
        replace(mail(NoticeKind.SHIPPED), parcels=())


def test_an_expired_order_was_not_paid_in_time_and_nothing_was_charged(templates: Templates) -> None:
    made = templates.order_mail(mail(NoticeKind.EXPIRED))
    assert made.subject == "Your order WB-100042 was not paid in time"
    assert "Nothing was charged." in made.text
    assert "Kastanienallee" not in made.text + made.html


@pytest.mark.parametrize("kind", NoticeKind)
def test_names_are_text_and_not_html(templates: Templates, kind: NoticeKind) -> None:
    nasty = '<script>alert("x")</script>'
    line = PricedLine(nasty, nasty, 1, Money(1, "EUR"))
    letter = replace(mail(kind), customer_name=nasty, shop_name=nasty, lines=(line,), number=nasty)
    made = templates.order_mail(replace(letter, address=replace(letter.address, street1=nasty)))
    assert "<script" not in made.html
    assert "&lt;script&gt;" in made.html


@pytest.mark.parametrize("kind", NoticeKind)
def test_no_name_adds_lines_to_subject_or_text(templates: Templates, kind: NoticeKind) -> None:
    made = templates.order_mail(
        replace(mail(kind), number="WB-1\r\nBcc: all@example.com", customer_name="Ada\n\nPay here: evil.example")
    )
    assert made.subject.splitlines() == [made.subject]
    assert "Ada Pay here: evil.example" in made.text


def test_operators_learn_what_happened_and_what_they_can_decide(templates: Templates) -> None:
    made = templates.operator_mail(operator_mail())
    assert made.subject == "WB-100042 needs a decision: The carrier has gone silent"
    for body in (made.text, made.html):
        assert "DHL has told nothing about parcel 1 for 5 days." in body
        assert "24 Nov 2025, 09:30 UTC" in body
        assert "Try the step again." in body
        assert "Go on without this step." not in body
        for url in (operator_mail().order_url, operator_mail().exception_url, operator_mail().temporal_url):
            assert url is not None and url in body


def test_of_a_portal_operators_are_told_without_an_order(templates: Templates) -> None:
    told = replace(operator_mail(), kind=ExceptionKind.PORTAL_PAUSED, number="northgate", actions=(), fulfilment=None)
    made = templates.operator_mail(replace(told, order_url=None, temporal_url=None))
    assert made.subject == "northgate needs a look: A supplier's portal is paused"
    for body in (made.text, made.html):
        assert "Portal" in body and "Its orders go on by themselves" in body
        assert operator_mail().exception_url in body and "None" not in body


def test_where_nothing_can_be_decided_the_operators_are_asked_for_nothing(templates: Templates) -> None:
    made = templates.operator_mail(replace(operator_mail(), kind=ExceptionKind.ORDER_STUCK, actions=()))
    assert made.subject == "WB-100042 needs a look: The order comes no further"
    for body in (made.text, made.html):
        assert "There is nothing to decide." in body
        assert "What you can decide" not in body
        assert "until somebody decides" not in body
        assert str(operator_mail().temporal_url) in body


@pytest.mark.parametrize("kind", ExceptionKind)
def test_every_kind_of_exception_can_be_mailed(templates: Templates, kind: ExceptionKind) -> None:
    letter = replace(operator_mail(), kind=kind, actions=tuple(Action), fulfilment="WB-100042-1", reason="<b>x</b>\ny")
    made = templates.operator_mail(letter)
    assert kind.value in made.text
    assert "WB-100042-1" in made.html
    assert "&lt;b&gt;x&lt;/b&gt; y" in made.html


@pytest.mark.parametrize(("locale", "says"), [("en", "To pay: €0.00"), ("zh", "应付：€0.00")])
def test_an_order_that_is_settled_says_what_is_left_to_pay(templates: Templates, locale: str, says: str) -> None:
    made = templates.order_mail(replace(mail(NoticeKind.CONFIRMED, locale), credit=Money(130340, "EUR")))
    assert says in made.text
    assert "€0.00" in made.html
    assert not re.search("payment is confirmed|付款已确认", made.text + made.html)
    assert says not in templates.order_mail(mail(NoticeKind.CONFIRMED, locale)).text


def test_a_mail_about_a_claim_or_an_exchange_that_does_not_say_which_is_refused() -> None:
    with pytest.raises(ValueError, match="claim"):
        replace(mail(NoticeKind.CLAIM_REFUSED), case=None)


def test_an_exchange_says_what_is_paid_more_or_given_back(templates: Templates) -> None:
    more = replace(CLAIMED, amount=Money(0, "EUR"), to_pay=Money(700, "EUR"))
    made = templates.order_mail(replace(mail(NoticeKind.EXCHANGE_ORDERED), case=more))
    assert "You pay €7.00 for it" in made.text and "back, the way you paid" not in made.text
    less = templates.order_mail(mail(NoticeKind.EXCHANGE_ORDERED))
    assert "You get €12.00 back" in less.text and "You pay" not in less.text
    assert "https://shop.example.com/orders/43?sig=abc" in less.text
