"""Orders of all shapes, the same for a seed, and right in themselves."""

from collections import Counter

from drill.shapes import SHAPES, draw_orders


def test_every_shape_comes_first_and_the_rest_by_weight() -> None:
    drawn = list(draw_orders(4, 300, supplied=True))
    assert {shape.name for shape, _ in drawn[: len(SHAPES)]} == set(SHAPES)
    counted = Counter(shape.name for shape, _ in drawn)
    assert counted["single"] > counted["split"] > counted["never_in_stock"]


def test_the_same_seed_draws_the_same_orders() -> None:
    assert list(draw_orders(4, 40)) == list(draw_orders(4, 40))
    assert list(draw_orders(4, 40)) != list(draw_orders(5, 40))


def test_totals_are_sums_and_every_customer_has_a_mailbox_of_his_own() -> None:
    bodies = [body for _, body in draw_orders(6, 60)]
    for body in bodies:
        lines = sum(line["quantity"] * line["unit_price"] + line["tax"] for line in body["lines"])
        assert body["total"] == lines + body["shipping_charge"]
    assert len({body["customer"]["email"] for body in bodies}) == len(bodies)
    assert len({body["external_reference"] for body in bodies}) == len(bodies)


def test_suppliers_ship_something_only_where_there_are_any() -> None:
    assert not any(shape.supplied for shape, _ in draw_orders(4, 300))


def test_shapes_can_be_named() -> None:
    assert {shape.name for shape, _ in draw_orders(1, 10, only=("scarce",))} == {"scarce"}
