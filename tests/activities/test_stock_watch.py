"""The watch over stock: people are told once of each crossing, and waiting orders of every unit that comes free."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from activities.projections import ship_fulfilment
from activities.stock import Release, StockKeeper
from activities.stock_check import CheckAfter, StockCheck
from activities.stock_entries import enter
from activities.stock_news import StockLinks, StockNews
from activities.stock_watch import StockWatch
from db import stock as stock_records
from db.base import Database
from domain.errors import Unavailable
from domain.stock_alerts import Thresholds
from domain.stock_entries import Entry, EntryKind, EntryLine
from integrations.mail.mailer import AboutTo, Mail, at_once
from templates.render import Templates
from tests.activities.world import World, reserve_for


@dataclass
class Ears:
    """Whoever is told: orders and operators."""

    woken: list[str] = field(default_factory=list)
    mails: list[Mail] = field(default_factory=list)
    away: bool = False

    async def wake(self, order_ids: Sequence[str]) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer right now.")
        self.woken.extend(order_ids)

    async def send(self, mail: Mail, *, about_to: AboutTo = at_once) -> None:
        await about_to()
        self.mails.append(mail)


@pytest.fixture
def ears() -> Ears:
    return Ears()


@pytest.fixture
def watch(database: Database, ears: Ears) -> StockWatch:
    return StockWatch(database, ears.wake, Thresholds())


@pytest.fixture
def news(database: Database, ears: Ears) -> StockNews:
    links = StockLinks(
        alert=lambda a: f"http://shop/alerts/{a}",
        transfer=lambda t: f"http://shop/transfers/{t}",
        movements=lambda s, w: f"http://shop/{s}/{w}",
    )
    return StockNews(
        database, ears, Templates(), links, shop_name="Shop", mail_domain="shop.example", operators="ops@shop.example"
    )


async def entered(world: World, kind: EntryKind, units: int, reference: str = "1") -> None:
    """An entry about mugs in Edison."""
    entry = Entry(kind, "EDI", reference, "because", "Ann", (EntryLine("MUG", units),))
    async with world.database.transaction() as connection:
        await enter(connection, entry)


async def limits(world: World, **wanted: Any) -> None:
    async with world.database.transaction() as connection:
        await stock_records.set_alerts(connection, "MUG", "EDI", **{"low_at": None, "cover_days": None, **wanted})


async def alerts(world: World) -> list[tuple[str, str]]:
    rows = await world.rows("SELECT kind, status FROM stock_alerts ORDER BY opened_at, kind")
    return [(row.kind, row.status) for row in rows]


async def test_low_stock_is_told_once_per_crossing(
    world: World, watch: StockWatch, news: StockNews, ears: Ears
) -> None:
    await world.receive("MUG", "EDI", 6)
    await limits(world, low_at=5)
    await watch.look()
    assert await alerts(world) == []
    for number, change in enumerate((-1, -1, -2), 1):
        await entered(world, EntryKind.ADJUSTMENT, change, f"a{number}")
        await watch.look()
        await news.tell()
    assert [mail.subject for mail in ears.mails] == ["Low stock: MUG at EDI"]
    await entered(world, EntryKind.ADJUSTMENT, 9, "more")
    await watch.look()
    assert await alerts(world) == [("low_stock", "resolved")]
    await entered(world, EntryKind.ADJUSTMENT, -9, "fewer")
    await watch.look()
    await news.tell()
    assert [mail.subject for mail in ears.mails] == ["Low stock: MUG at EDI"] * 2
    assert len({mail.message_id for mail in ears.mails}) == 2


async def test_what_is_sold_out_is_told_as_that_alone(
    world: World, watch: StockWatch, news: StockNews, ears: Ears
) -> None:
    await world.receive("MUG", "EDI", 1)
    await limits(world, low_at=5)
    stock = StockKeeper(world.database)
    oid = await world.order("1")
    await stock.reserve(reserve_for(oid))
    await watch.look()
    await news.tell()
    assert [mail.subject for mail in ears.mails] == ["Sold out: MUG at EDI"]
    assert "http://shop/alerts/" in ears.mails[0].text
    await stock.release(Release(oid, "cancelled"))
    await watch.look()
    assert await alerts(world) == [("out_of_stock", "resolved"), ("low_stock", "open")]


async def test_what_lasts_for_fewer_days_than_wished_at_the_rate_of_sale_is_told(
    world: World, watch: StockWatch
) -> None:
    await world.receive("MUG", "EDI", 58)
    await limits(world, cover_days=20)
    await world.execute(
        "INSERT INTO stock_sales SELECT 'MUG', 'EDI', current_date - n, 3 FROM generate_series(1, 60) n"
    )
    await watch.look()
    assert await alerts(world) == []  # 87 in 30 days: 58 last for 20
    await entered(world, EntryKind.ADJUSTMENT, -1)
    await watch.look()
    (row,) = await world.rows("SELECT kind, reason, facts FROM stock_alerts")
    assert (row.kind, row.facts["sold_in_30_days"]) == ("low_cover", 87)
    assert "lasts for 19 days" in row.reason


async def test_a_rate_of_sale_that_sinks_as_days_pass_ends_the_alert(world: World, watch: StockWatch) -> None:
    await world.receive("MUG", "EDI", 5)
    await limits(world, cover_days=20)
    await world.execute("INSERT INTO stock_sales VALUES ('MUG', 'EDI', current_date - 29, 30)")
    await watch.look()
    assert await alerts(world) == [("low_cover", "open")]
    await world.execute("UPDATE stock_sales SET day = current_date - 30")
    await watch.look()
    assert await alerts(world) == [("low_cover", "open")]
    await StockCheck(world.database).check(CheckAfter())
    await watch.look()
    assert await alerts(world) == [("low_cover", "resolved")]


async def test_a_parcel_that_leaves_counts_as_sold_that_day(world: World) -> None:
    oid, fulfilment = await world.paid_order("1", ("MUG", 2))
    for _ in range(2):
        async with world.database.transaction() as connection:
            await ship_fulfilment(connection, oid, fulfilment.id)
    (row,) = await world.rows("SELECT units, day = current_date AS today FROM stock_sales")
    assert tuple(row) == (2, True)


async def test_a_count_below_what_is_promised_names_the_orders_that_go_short_last_promised_first(
    world: World, watch: StockWatch, news: StockNews, ears: Ears
) -> None:
    await world.receive("MUG", "EDI", 6)
    stock = StockKeeper(world.database)
    for number in ("1", "2", "3"):
        await stock.reserve(reserve_for(await world.order(number, ("MUG", 2)), ("MUG", 2)))
    await entered(world, EntryKind.COUNT, 3)
    await watch.look()
    await news.tell()
    (row,) = await world.rows("SELECT facts FROM stock_alerts WHERE kind = 'promised_missing'")
    assert [(order["number"], order["units"]) for order in row.facts["orders"]] == [("WB-3", 2), ("WB-2", 1)]
    assert any("WB-3: 2" in mail.text for mail in ears.mails)
    await entered(world, EntryKind.COUNT, 6, "found")
    await watch.look()
    assert ("promised_missing", "resolved") in await alerts(world)


async def test_a_parcel_of_units_that_were_counted_as_missing_can_still_leave(world: World) -> None:
    oid, fulfilment = await world.paid_order("1", ("MUG", 2))
    await entered(world, EntryKind.COUNT, 0)
    async with world.database.transaction() as connection:
        await ship_fulfilment(connection, oid, fulfilment.id)
    assert await world.level("MUG", "EDI") == (-2, 0)


async def test_units_that_another_order_gives_back_wake_those_that_wait(
    world: World, watch: StockWatch, ears: Ears
) -> None:
    await world.receive("MUG", "EDI", 1)
    stock = StockKeeper(world.database)
    first, second = await world.order("1"), await world.order("2")
    await stock.reserve(reserve_for(first))
    assert (await stock.reserve(reserve_for(second))).shortages
    await watch.look()
    assert ears.woken == []
    await stock.release(Release(first, "cancelled"))
    ears.away = True
    with pytest.raises(Unavailable):
        await watch.look()
    ears.away = False
    for _ in range(2):
        await watch.look()
    assert ears.woken == [second]


async def test_units_on_their_way_wake_nobody_and_those_that_a_count_finds_do(
    world: World, watch: StockWatch, ears: Ears
) -> None:
    oid = await world.order("1")
    assert (await StockKeeper(world.database).reserve(reserve_for(oid))).shortages
    await entered(world, EntryKind.ANNOUNCEMENT, 5)
    await watch.look()
    assert ears.woken == []
    await entered(world, EntryKind.COUNT, 2)
    await watch.look()
    assert ears.woken == [oid]


async def test_units_for_many_orders_wake_all_of_them(world: World, watch: StockWatch, ears: Ears) -> None:
    stock = StockKeeper(world.database)
    orders = [await world.order(f"{number}") for number in range(101)]
    for oid in orders:
        assert (await stock.reserve(reserve_for(oid))).shortages
    await world.receive("MUG", "EDI", 101)
    await watch.look()
    assert ears.woken == orders


async def test_units_taken_and_given_back_between_two_looks_are_a_rise_all_the_same(
    world: World, watch: StockWatch, ears: Ears
) -> None:
    await world.receive("MUG", "EDI", 1)
    await watch.look()
    stock = StockKeeper(world.database)
    first, second = await world.order("1"), await world.order("2")
    await stock.reserve(reserve_for(first))
    assert (await stock.reserve(reserve_for(second))).shortages
    await stock.release(Release(first, "cancelled"))
    await watch.look()
    assert ears.woken == [second]


async def test_what_moves_while_the_watch_looks_is_looked_at_again(world: World, database: Database) -> None:
    oid = await world.order("1")
    await StockKeeper(world.database).reserve(reserve_for(oid))
    await world.receive("MUG", "EDI", 1)

    async def moves(_: Sequence[str]) -> None:
        await entered(world, EntryKind.ADJUSTMENT, -1)

    await StockWatch(database, moves, Thresholds()).look()
    assert (await world.row("SELECT changed FROM stock_levels")).changed
    await StockWatch(database, Ears().wake, Thresholds()).look()
    assert await alerts(world) == [("out_of_stock", "open")]


async def test_what_is_not_sold_any_more_is_not_missed(world: World, watch: StockWatch) -> None:
    await world.receive("MUG", "EDI", 1)
    await world.execute("UPDATE skus SET active = false")
    await entered(world, EntryKind.ADJUSTMENT, -1)
    await watch.look()
    assert await alerts(world) == []
