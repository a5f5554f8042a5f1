"""What the demonstration shows, counts and refuses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local.board import Seen, final_table, live_view, summary
from local.catalogue import SKUS
from local.demo import Result, clear, wanted_orders
from local.demo_stories import WANTED_INSTEAD, Story, demo_orders, told
from local.processes import LocalError
from local.shop import Placed
from local.stack import hold
from local.staff import goods_for
from local.supplier import SUPPLIED

UNEVENTFUL: dict[str, Any] = {
    "currency": "USD",
    "version": 1,
    "holds": [],
    "timeline": [],
    "linked_orders": [],
    "origin": None,
    "money": {"refunded": 0},
}
PLACED = datetime(2024, 2, 29, 12, tzinfo=UTC)


def order(number: int, status: str, *, took: float | None = None, attention: bool = False) -> Seen:
    return Seen(
        id=f"id-{number}",
        number=f"WB-{number}",
        customer="王小雨",
        status=status,
        waiting=f"Waiting for the carrier of {number}",
        attention=attention,
        total="USD 12.30",
        placed=PLACED,
        delivered=PLACED + timedelta(seconds=took) if took is not None else None,
        ended=status in {"delivered", "cancelled"},
    )


def drawn(picture: object, *, height: int = 24) -> str:
    console = Console(width=100, height=height, record=True, file=None, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        console.print(picture)
    return capture.get()


def test_orders_is_a_number_of_orders() -> None:
    assert wanted_orders({}) == wanted_orders({"ORDERS": ""}) == 20
    assert wanted_orders({"ORDERS": "3"}) == 3
    for text in ("0", "-1", "many", "5001", "1.5"):
        with pytest.raises(LocalError, match="ORDERS must be a number from 1 to 5000"):
            wanted_orders({"ORDERS": text})


def test_the_totals_count_orders_by_stage_in_the_order_of_the_stages() -> None:
    orders = [order(1, "delivered"), order(2, "awaiting_payment"), order(3, "delivered"), order(4, "cancelled")]
    assert summary(orders, seconds=3.25).strip() == "3.2 s   1 awaiting payment, 2 delivered, 1 cancelled"


def test_the_live_view_shows_what_each_order_waits_for() -> None:
    picture = drawn(live_view([order(1, "shipped"), order(2, "delivered", took=9)], seconds=1, height=24))
    assert "Waiting for the carrier of 1" in picture
    assert picture.count("王小雨") == 2


def test_where_there_is_no_room_for_all_those_under_way_are_shown() -> None:
    orders = [*(order(number, "delivered", took=1) for number in range(1, 50)), order(50, "fulfilling")]
    picture = drawn(live_view(orders, seconds=1, height=20), height=20)
    assert "WB-50" in picture
    assert "and 38 more" in picture
    assert len(picture.splitlines()) < 20


def test_the_final_table_tells_how_long_each_took_and_who_needs_a_person() -> None:
    picture = drawn(final_table([order(1, "delivered", took=9.44), order(2, "fulfilling", attention=True)]))
    assert "9.4 s" in picture
    assert "needs a person" in picture


def test_the_final_table_tells_what_befell_an_order_on_the_way() -> None:
    fate = {"id-1": "EDI rejected: RNO"}
    picture = drawn(final_table([order(1, "delivered", took=9), order(2, "delivered", took=8)], fate))
    assert picture.count("EDI rejected: RNO") == 1


def test_in_every_twenty_orders_each_story_happens_once() -> None:
    orders = list(demo_orders(40, batch="b", supplied=True))
    for story in Story:
        first, second = [n for n, o in enumerate(orders, 1) if o.story is story]
        assert second - first == 20, story
    for made in orders:
        lines = made.body["lines"]
        goods = sum(line["quantity"] * line["unit_price"] + line["tax"] for line in lines)
        assert made.body["total"] == goods + made.body["shipping_charge"]


@pytest.mark.parametrize("story", [Story.SPLIT, Story.EDITED])
def test_an_order_of_two_parcels_is_one_that_no_warehouse_could_ship(story: Story) -> None:
    (made,) = [order for order in demo_orders(20, batch="b") if order.story is story]
    places = [{s.sku: set(s.places) for s in SKUS}[line["sku"]] for line in made.body["lines"]]
    assert set.intersection(*places) == set()


def test_only_orders_that_are_to_be_held_are_billed_abroad() -> None:
    abroad = {order.story for order in demo_orders(20, batch="b") if "billing_country" in order.body}
    assert abroad == {Story.EDITED, Story.HELD}


def test_the_story_of_an_order_is_told_by_its_fulfilments() -> None:
    def parts(*of: tuple[str, str], kind: str = "placed") -> dict[str, object]:
        bare: dict[str, object] = {"portal": None, "supplier_orders": []}
        fulfilments = [{"warehouse": warehouse, "status": status, **bare} for warehouse, status in of]
        return {**UNEVENTFUL, "fulfilments": fulfilments, "timeline": [{"kind": kind}]}

    assert told(parts(("EDI", "delivered"))) == ""
    assert told(parts(("EDI", "delivered"), ("RNO", "delivered"))) == "split: EDI + RNO"
    assert told(parts(("EDI", "rejected"), ("RNO", "shipped"))) == "EDI rejected: RNO"
    assert told(parts(("EDI", "delivered"), kind="backordered")) == "backordered: EDI"


def test_an_order_of_a_supplier_is_told_by_his_number() -> None:
    part = {"warehouse": "NGT", "status": "delivered", "portal": "northgate", "supplier_orders": [{"number": "NG-1"}]}
    assert told({**UNEVENTFUL, "fulfilments": [part]}) == "northgate NG-1: NGT"


def test_what_people_did_about_an_order_is_told_with_the_money_that_was_given_back() -> None:
    part: dict[str, Any] = {"warehouse": "EDI", "status": "delivered", "portal": None, "supplier_orders": []}
    plain = {**UNEVENTFUL, "fulfilments": [part]}
    back = {"money": {"refunded": 6900}}
    asked = [{"kind": "return_requested"}]
    assert told({**plain, "holds": [{"id": "h"}]}) == "held: EDI"
    assert told({**plain, "version": 2, **back}) == "edited, USD 69.00 back: EDI"
    assert told({**plain, "timeline": asked, **back}) == "returned, USD 69.00 back: EDI"
    assert told({**plain, "timeline": asked, "linked_orders": [{"number": "WB-9"}]}) == "exchanged for WB-9: EDI"
    assert told({**plain, "origin": {"order_number": "WB-2"}}) == "sent for WB-2: EDI"


def test_what_is_sent_in_exchange_is_taxed_as_what_comes_back() -> None:
    line = {"quantity": 2, "unit_price": 6900, "tax": 759}
    assert goods_for(WANTED_INSTEAD, line) == {
        "sku": WANTED_INSTEAD.sku,
        "quantity": 1,
        "unit_price": 7900,
        "tax": 434,
    }


def test_without_a_supplier_no_order_is_his() -> None:
    alone, with_him = (list(demo_orders(20, batch="b", supplied=supplied)) for supplied in (False, True))
    assert Story.SUPPLIED not in {order.story for order in alone}
    (his,) = [order for order in with_him if order.story is Story.SUPPLIED]
    assert SUPPLIED.sku in {line["sku"] for line in his.body["lines"]}
    assert [a.body for a, b in zip(alone, with_him, strict=True) if a.body != b.body] != []


def test_the_page_for_the_shops_people_is_behind_the_log_in() -> None:
    placed = Placed("o1", "http://127.0.0.1:8000/orders/o1?token=t.t")
    assert placed.inside == "http://127.0.0.1:8000/console/log-in?next=/console/orders/o1"


def test_the_last_line_is_json() -> None:
    assert Result(20, 19, 31.44, well=False).line == '{"orders": 20, "delivered": 19, "seconds": 31.4}'


def test_a_fresh_start_empties_the_folder(tmp_path: Path) -> None:
    (tmp_path / "demo" / "logs").mkdir(parents=True)
    (tmp_path / "demo" / "logs" / "web.log").touch()
    (tmp_path / "demo" / "pids.json").touch()
    clear(tmp_path / "demo")
    assert [entry.name for entry in (tmp_path / "demo").iterdir()] == ["lock"]


def test_data_in_use_are_neither_emptied_nor_used_twice(tmp_path: Path) -> None:
    (tmp_path / "kept").touch()
    release = hold(tmp_path)
    with pytest.raises(LocalError, match=r"is running already \(pid \d+\)"):
        clear(tmp_path)
    assert (tmp_path / "kept").exists()
    release()
    hold(tmp_path)()
