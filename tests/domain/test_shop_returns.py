"""What comes back of an order that is cancelled after it has left, and what is taken out of it."""

from datetime import UTC, datetime

import pytest

from domain.bundles import Part
from domain.cancellations import CancelWish, Shipped
from domain.changes.effects import Facts
from domain.changes.wish import Basis, Content, LineEdit, Share, Stage
from domain.claims import Settled
from domain.errors import Conflict
from domain.orders import Address, Line, OrderStatus
from domain.return_requests import Delivered, WantedLine
from domain.shop_returns import check_wish, to_take_back, without_unsent
from domain.stock import Allocation

AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
MUGS, TEES = Line(1, "MUG", 3, 1500), Line(2, "TEE", 2, 1500)
GIFTS = Line(1, "GIFT", 2, 3000, parts=(Part("MUG", 2), Part("TEE", 1)))


def facts(lines: tuple[Line, ...], *left: Allocation, here: tuple[Allocation, ...] = ()) -> Facts:
    content = Content(lines, Address("1 Main St", "Reno", "89502", "US"), "standard", 500, "USD")
    shares = (Share("a", 1, Stage.LEFT, left), Share("b", 2, Stage.LABELLED, here))
    return Facts(OrderStatus.PARTLY_SHIPPED, content, Basis(1, (), 0, 0, 0, AT), shares)


def gone(line: int, sku: str, units: int) -> Allocation:
    return Allocation(line, sku, "EDI", units)


def test_what_is_out_and_not_spoken_for_comes_back() -> None:
    sent = [Delivered(1, 2, AT, "EDI"), Delivered(1, 1, AT, "RNO"), Delivered(2, 2, AT, "EDI")]
    settled = {1: Settled(3, 1, 1), 2: Settled(2, 2, 0)}
    assert to_take_back([MUGS, TEES], sent, settled) == (WantedLine(1, 1),)


def test_what_came_back_under_its_own_label_is_not_asked_for_again() -> None:
    settled = {1: Settled(3, 0, 0)}  # two were delivered, one was returned to its sender
    assert to_take_back([MUGS], [Delivered(1, 2, AT, "EDI")], settled) == (WantedLine(1, 2),)
    assert to_take_back([MUGS], [], settled) == ()


def test_an_order_is_then_what_has_left_of_it() -> None:
    edits = without_unsent(facts((MUGS, TEES), gone(1, "MUG", 2), here=(gone(1, "MUG", 1), gone(2, "TEE", 2))))
    assert edits is not None
    assert edits.lines == (LineEdit(1, 2), LineEdit(2, 0))
    assert without_unsent(facts((MUGS,), gone(1, "MUG", 3))) is None


def test_whole_bundles_that_have_left_stay_and_half_of_one_is_no_end() -> None:
    edits = without_unsent(facts((GIFTS,), gone(1, "MUG", 2), gone(1, "TEE", 1)))
    assert edits is not None
    assert edits.lines == (LineEdit(1, 1),)
    with pytest.raises(Conflict, match="left in part"):
        without_unsent(facts((GIFTS,), gone(1, "MUG", 2)))


@pytest.mark.parametrize(("field", "wish"), [("restock", {"restock": False}), ("refund", {"refund": 100})])
def test_what_an_inspection_decides_cannot_be_wished(field: str, wish: dict[str, int]) -> None:
    with pytest.raises(Conflict) as refused:
        check_wish(CancelWish(shipped=Shipped.RETURN, **wish))  # type: ignore[arg-type]
    assert refused.value.field == field
    check_wish(CancelWish(shipped=Shipped.RETURN, tell_customer=False))
