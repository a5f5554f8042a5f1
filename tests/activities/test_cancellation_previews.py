"""What a preview of a cancellation shows is what its steps do, by the books of provider, carrier, shelves and mail."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.cancellations import Cancellation, CancelWish, ParcelEnd, PaymentEnd
from domain.changes.parcel import ShortShip, Split
from domain.changes.wish import Edits, LineEdit, NewLine
from domain.errors import Conflict
from domain.picking import Units
from domain.rejections import RejectedLine, RejectionReason, Rest
from integrations.mail.smtp import Smtp, Tls
from tests.activities.days.cancelling import VISA, Cancelling, Levels, Scene
from tests.activities.days.shop import Shop
from tests.activities.test_notifications import office
from tests.sandbox.servers import RunningSandbox

FEWER = st.builds(lambda line, units: Edits((LineEdit(line, units),)), st.integers(1, 2), st.integers(0, 2))
MORE = st.builds(lambda sku, n: Edits(add=(NewLine(sku, n, 1000),)), st.sampled_from(["BAG", "MUG"]), st.integers(1, 2))
BACKORDERED = ShortShip("", RejectionReason.NOT_FOUND, (RejectedLine(1, 1),), Rest.BACKORDER)
SCENES = st.builds(
    Scene,
    method=st.sampled_from([VISA, VISA, VISA, "pm_card_chargeDeclined"]),
    captured=st.sampled_from(["none", "part", "all"]),
    credit=st.sampled_from([0, 0, 0, 2500]),
    first=st.none() | FEWER | MORE,
    parcel=st.sampled_from([None, Split("", (Units(1, 1),)), BACKORDERED]),
    second=st.none() | MORE,
    becomes=st.sampled_from(["asked", "held", "made"]),
    refunds=st.lists(st.tuples(st.sampled_from([300, 1200]), st.booleans()), max_size=2).map(tuple),
    labels=st.lists(st.sampled_from(["none", "bought", "scanned"]), min_size=2, max_size=2).map(tuple),
    spare=st.sampled_from([None, 0, -1, -2]),
)
WISHES = st.builds(
    CancelWish,
    tell_customer=st.booleans(),
    restock=st.booleans(),
    refund=st.sampled_from([None, None, 0, 700, 3000, 6500, 8000, 20000]),
)
DAILY, LONG = 12, 300


@pytest.fixture
def shop(shop_url: str, sandbox: RunningSandbox) -> Iterator[Shop]:
    shop = Shop(shop_url, sandbox)
    yield shop
    shop.close()


@pytest.fixture
def mails(shop: Shop, mail_process: tuple[int, str]) -> Iterator[tuple[Smtp, httpx2.Client]]:
    port, url = mail_process
    smtp = Smtp(host="127.0.0.1", port=port, username=None, password=None, tls=Tls.NONE, sender="Shop <s@shop.example>")
    with httpx2.Client(base_url=url, trust_env=False) as mailbox:
        yield smtp, mailbox
    shop.do(smtp.aclose())


@pytest.mark.parametrize("examples", [DAILY, pytest.param(LONG, marks=pytest.mark.fuzz)])
def test_what_the_preview_of_a_cancellation_shows_is_what_is_done(
    shop: Shop, mails: tuple[Smtp, httpx2.Client], examples: int
) -> None:
    @settings(max_examples=examples, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
    @given(scene=SCENES, wish=WISHES)
    def every(scene: Scene, wish: CancelWish) -> None:
        shop.days = 0  # every order finds empty books
        mails[1].delete("/api/messages")
        order = Cancelling(shop, office(shop.database, mails[0]), mails[1])
        order.prepare(scene)
        cancelled_as_shown(order, wish)

    every()


def cancelled_as_shown(order: Cancelling, wish: CancelWish) -> None:
    """Cancel it, if it can be, and compare."""
    awaited = None if order.awaits is None else order.awaits[0].change.id
    try:
        shown, kept = order.shown(wish)
    except Conflict:
        refused = wish.refund
        wish = replace(wish, refund=None)
        shown, kept = order.shown(wish)
        paid = sum(end.released + end.refunded for end in own(shown, awaited))
        assert refused is not None
        assert refused > paid or paid - refused > max(0, order.cost())
    before, levels = order.books(), order.levels()
    assert shown.withdrawn_change == awaited
    order.cancel(wish, kept)
    after, paying = order.books(), order.paying()
    took = after.captured - before.captured
    assert after.held == 0
    assert shown.released == before.held - took
    assert shown.refunded == after.refunded - before.refunded
    assert shown.kept == after.captured - after.refunded - paying
    assert not (took and shown.refunded)  # nothing is taken anew while something that was taken is given back
    assert wish.refund is None or sum(end.released + end.refunded for end in own(shown, awaited)) == wish.refund
    assert sum(end.kept for end in shown.payments) == shown.kept
    check_shelves(order, shown, wish, levels)
    check_labels(order, shown)
    assert ["cancelled" in subject for subject in order.letters()] == [True] * wish.tell_customer
    assert shown.mail == ("cancelled" if wish.tell_customer else None)
    now = order.do(order.money())
    assert (now.fault, now.held, now.due, now.owed) == (None, 0, shown.kept, -paying)
    assert order.the_comparison_is_made() == 0


def own(shown: Cancellation, awaited: str | None) -> list[PaymentEnd]:
    """The payments of the order, without one that a change waits for."""
    return [end for end in shown.payments if end.change_id is None or end.change_id != awaited]


def check_shelves(order: Cancelling, shown: Cancellation, wish: CancelWish, before: Levels) -> None:
    now, back, off = order.levels(), Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for one in shown.stock:
        back[one.sku, one.warehouse] += one.quantity
        off[one.sku, one.warehouse] += one.written_off
    assert before.reserved - now.reserved == +back
    assert before.on_hand - now.on_hand == +off
    assert not (wish.restock and +off)


def check_labels(order: Cancelling, shown: Cancellation) -> None:
    said = order.labels()
    given_back = {parcel for parcel, status in said.items() if status == "submitted"}
    assert given_back == order.parcels_of(shown, ParcelEnd.LABEL_GIVEN_BACK)
    assert set(said) - given_back == order.parcels_of(shown, ParcelEnd.RECALLED)
