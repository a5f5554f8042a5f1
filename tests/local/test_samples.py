"""The sample shop is one that a real shop could be."""

from domain.orders import Line, check_total
from domain.shipments import SERVICE_DAYS
from local.catalogue import SKUS, WAREHOUSES
from local.sample_orders import sample_orders


def test_the_catalogue_has_three_warehouses_and_more_than_fifty_skus() -> None:
    assert len({house.code for house in WAREHOUSES}) == 3
    assert len({sku.sku for sku in SKUS}) == len(SKUS) > 50


def test_every_sku_is_stocked_somewhere_and_every_warehouse_stocks_some() -> None:
    places = [place for sku in SKUS for place in sku.places]
    assert all(sku.places for sku in SKUS)
    assert set(places) == {house.code for house in WAREHOUSES}


def test_weights_sizes_and_prices_are_those_of_things_that_can_be_posted() -> None:
    assert all(10 <= sku.grams <= 20_000 and sku.price > 0 for sku in SKUS)
    assert all(5 <= side <= 700 for sku in SKUS for side in sku.size)


def test_every_sample_order_adds_up() -> None:
    for order in sample_orders(200, batch="x"):
        lines = [Line(number=number, **line) for number, line in enumerate(order["lines"], start=1)]
        check_total(lines, currency=order["currency"], shipping_charge=order["shipping_charge"], total=order["total"])
        assert order["shipping_service"] in SERVICE_DAYS


def test_the_same_orders_come_every_time_but_for_their_references() -> None:
    one, other = (list(sample_orders(30, batch=batch)) for batch in ("one", "other"))
    assert not {o["external_reference"] for o in one} & {o["external_reference"] for o in other}
    assert [o["lines"] for o in one] == [o["lines"] for o in other]


def test_customers_have_addresses_that_no_mail_can_reach_and_several_languages() -> None:
    orders = list(sample_orders(30, batch="x"))
    assert all(order["customer"]["email"].endswith("@example.com") for order in orders)
    assert {order["customer"]["locale"] for order in orders} == {"en-US", "zh-CN"}


def test_one_order_never_names_a_sku_twice() -> None:
    for order in sample_orders(200, batch="x"):
        skus = [line["sku"] for line in order["lines"]]
        assert len(skus) == len(set(skus))
