"""Signed links: who has one can read that order's page, for a time, and no other."""

import time
from urllib.parse import parse_qs, urlsplit

import pytest
from itsdangerous import TimestampSigner

from runtime.links import VALID_FOR, OrderLinks

OLD, NEW = "o" * 32, "n" * 32


def token_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["token"][0]


def test_a_link_opens_the_page_of_its_order_and_no_other() -> None:
    links = OrderLinks("https://shop.example/", [NEW])
    url = links.url("o-1")
    assert url.startswith("https://shop.example/orders/o-1?token=")
    assert links.verify("o-1", token_of(url))
    assert not links.verify("o-2", token_of(url))


@pytest.mark.parametrize("token", ["", "x", "a.b", "ü", "a.b.c"])
def test_a_made_up_token_opens_nothing(token: str) -> None:
    assert not OrderLinks("https://shop.example", [NEW]).verify("o-1", token)


def test_links_that_were_mailed_before_a_new_secret_still_open() -> None:
    before = token_of(OrderLinks("https://shop.example", [OLD]).url("o-1"))
    rotated = OrderLinks("https://shop.example", [NEW, OLD])
    assert rotated.verify("o-1", before)
    after = token_of(rotated.url("o-1"))
    assert not OrderLinks("https://shop.example", [OLD]).verify("o-1", after)
    assert OrderLinks("https://shop.example", [NEW]).verify("o-1", after)


def test_a_secret_that_was_taken_away_opens_nothing_any_more() -> None:
    before = token_of(OrderLinks("https://shop.example", [OLD]).url("o-1"))
    assert not OrderLinks("https://shop.example", [NEW]).verify("o-1", before)


class LongAgo(TimestampSigner):
    """Signs as if its time of validity were over."""

    def get_timestamp(self) -> int:
        return int(time.time() - VALID_FOR.total_seconds()) - 60


def test_a_link_opens_for_ninety_days() -> None:
    stale = LongAgo([NEW], salt="order-page").sign("o-1").decode().removeprefix("o-1.")
    assert not OrderLinks("https://shop.example", [NEW]).verify("o-1", stale)
    fresh = TimestampSigner([NEW], salt="order-page").sign("o-1").decode().removeprefix("o-1.")
    assert OrderLinks("https://shop.example", [NEW]).verify("o-1", fresh)
