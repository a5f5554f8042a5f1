"""The order's page, by signed link and by key."""

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import TimestampSigner

from db import orders
from runtime.links import OrderLinks
from tests.api.conftest import Api
from tests.api.records import close, fulfilment, payment

SECRETS = ["new-secret-0123456789-0123456789-0123", "old-secret-0123456789-0123456789-0123"]


async def open_link(api: Api, url: str) -> tuple[int, str, str]:
    """Status, text and policy of a page that is opened without a key."""
    request = api.http.build_request("GET", url)
    del request.headers["authorization"]
    response = await api.http.send(request)
    return response.status_code, response.text, response.headers["content-security-policy"]


async def test_a_signed_link_opens_the_page(api: Api) -> None:
    accepted = await api.place()
    await payment(api.database, accepted["id"])
    await fulfilment(api.database, accepted["id"], status="handed_over")
    status, page, policy = await open_link(api, accepted["links"]["page"])
    assert status == 200
    for shown in (
        accepted["number"],
        "Margaret Ellery",
        "Kettle",
        "$140.20",
        "9400",
        "Arrived at the facility",
        "Test Shop",
    ):
        assert shown in page
    nonce = policy.split("'nonce-")[1].split("'")[0]
    assert f'<style nonce="{nonce}">' in page
    assert "unsafe" not in policy


async def test_why_it_ships_from_where_it_ships_is_for_the_shops_people_alone(api: Api) -> None:
    accepted = await api.place()
    why = {"key": "r", "at": datetime.now(UTC), "kind": "reserved", "text": "EDI: 1st by priority.", "actor": "waybill"}
    async with api.database.transaction() as connection:
        await orders.add_entries(connection, accepted["id"], [why])
    assert "1st by priority" in (await api.http.get(f"/orders/{accepted['id']}")).text
    assert "1st by priority" not in (await open_link(api, accepted["links"]["page"]))[1]


async def test_two_visits_have_two_nonces(api: Api) -> None:
    accepted = await api.place()
    first = await open_link(api, accepted["links"]["page"])
    second = await open_link(api, accepted["links"]["page"])
    assert first[2] != second[2]


async def test_a_page_shows_what_the_customer_typed_as_text(api: Api) -> None:
    accepted = await api.place(customer={"name": "<script>alert(1)</script>", "email": "a@example.com"})
    _, page, _ = await open_link(api, accepted["links"]["page"])
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


@pytest.mark.parametrize("status", ["delivered", "cancelled", "expired", "returned"])
async def test_a_closed_order_has_its_page(api: Api, status: str) -> None:
    accepted = await api.place()
    await close(api.database, accepted["id"], status)
    assert (await open_link(api, accepted["links"]["page"]))[0] == 200


@pytest.mark.parametrize("token", ["", "nonsense", "a.b", "ä", "x" * 150])
async def test_a_wrong_token_opens_nothing(api: Api, token: str) -> None:
    accepted = await api.place()
    status, page, _ = await open_link(api, f"/orders/{accepted['id']}?token={token}")
    assert (status, "Margaret" in page) == (404, False)
    assert "no longer valid" in page


async def test_a_token_of_another_order_opens_nothing(api: Api) -> None:
    mine, other = await api.place("1"), await api.place("2")
    token = mine["links"]["page"].partition("token=")[2]
    assert (await open_link(api, f"/orders/{other['id']}?token={token}"))[0] == 404


async def test_without_link_a_key_is_needed(api: Api) -> None:
    accepted = await api.place()
    assert (await open_link(api, f"/orders/{accepted['id']}"))[0] == 401
    response = await api.http.get(f"/orders/{accepted['number']}")
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert (await api.http.get("/orders/nothing")).status_code == 404


def token_of(links: OrderLinks, order: str) -> str:
    return links.url(order).partition("?token=")[2]


def test_a_link_signed_with_the_old_secret_still_opens() -> None:
    token = token_of(OrderLinks("http://shop", SECRETS[1:]), "order")
    assert OrderLinks("http://shop", SECRETS).verify("order", token)
    assert not OrderLinks("http://shop", SECRETS[:1]).verify("order", token)


def test_new_links_are_signed_with_the_first_secret() -> None:
    token = token_of(OrderLinks("http://shop/", SECRETS), "order")
    assert OrderLinks("http://shop", SECRETS[:1]).verify("order", token)


@pytest.mark.parametrize(("days", "opens"), [(89, True), (91, False)])
def test_a_link_opens_for_90_days(days: int, opens: bool) -> None:
    class Earlier(TimestampSigner):
        def get_timestamp(self) -> int:
            return int((datetime.now(UTC) - timedelta(days=days)).timestamp())

    signed = Earlier([SECRETS[0]], salt="order-page").sign("order").decode()
    assert OrderLinks("http://shop", SECRETS).verify("order", signed.removeprefix("order.")) is opens
