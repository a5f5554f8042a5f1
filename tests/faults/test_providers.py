"""Every step of an order in every weather: it goes on by itself, or a person is asked and it goes on after that.

What was done is counted in the books of the provider, the carrier and the mail server.
"""

import asyncio
from collections import Counter
from typing import Any

import pytest

from domain.orders import OrderStatus
from tests.faults.weather import (
    PATIENCE_SECONDS,
    STEPS,
    WEATHERS,
    Step,
    Weather,
    cells,
    clear,
    hand_over,
    see_through,
    turn,
)
from tests.house import House

# One cell of each row and column runs always, where no other test has it; `fuzz` runs them all.
DIAGONAL = [
    ("authorise", "answers_401"),
    ("authorise", "is_away"),
    ("authorise", "times_out_after"),
    ("capture", "answers_404"),
    ("capture", "answers_500"),
    ("capture", "times_out"),
    ("void", "answers_400"),
    ("void", "is_slow"),
    ("refund", "loses_its_answer"),
    ("refund", "answers_500"),
    ("refund", "answers_503"),
    ("create_shipment", "drops_before"),
    ("create_shipment", "answers_429"),
    ("buy_label", "answers_garbage"),
    ("buy_label", "declines"),
    ("void_label", "answers_503"),
    ("track", "answers_409"),
    ("track", "answers_401"),
    ("track", "answers_garbage"),
    ("mail", "drops_before"),
    ("mail", "answers_garbage"),
    ("mail", "declines"),
    ("mail", "is_away"),
]
# After these the mail may have gone, for all that we can know.
_UNSURE = frozenset({"lost_answer_next", "garbage_next", "drop_before_next"})


@pytest.mark.parametrize(("step", "weather"), DIAGONAL)
async def test_an_order_comes_through_and_everything_is_done_once(fair: House, step: str, weather: str) -> None:
    await _come_through(fair, step, weather)


@pytest.mark.fuzz
@pytest.mark.parametrize(("step", "weather"), [cell for cell in cells() if cell not in DIAGONAL])
async def test_any_step_in_any_weather_is_done_once(fair: House, step: str, weather: str) -> None:
    await _come_through(fair, step, weather)


async def test_a_label_is_printed_once_the_carrier_answers_whatever_he_answered_before(fair: House) -> None:
    order = await fair.place()
    await fair.labelled(order)
    fulfilment = (await fair.fulfilments(order))[0].id
    print_label = f"/v1/fulfilments/{fulfilment}/label"
    before = await fair.calls("shipments.buy")
    for name, weather in WEATHERS.items():
        await turn(fair, Step("easypost", "shipments.retrieve", STEPS["buy_label"].asks), weather)
        answer = await fair.http.get(print_label)
        expected = 409 if weather.refused else 200 if name in {"answers_well", "is_slow"} else 503
        assert answer.status_code == expected, f"{name}: {answer.text}"
        assert expected != 503 or int(answer.headers["retry-after"]) >= 1
        await clear(fair)
        again = await fair.http.get(print_label)
        assert again.status_code == 200, name
        assert again.content.startswith(b"%PDF"), name
    assert await fair.calls("shipments.buy") == before
    assert await fair.exceptions(order) == []


async def _come_through(house: House, step_name: str, weather_name: str) -> None:
    step, weather = STEPS[step_name], WEATHERS[weather_name]
    before = await house.deeds(step.operation) if step.operation else 0
    if step_name in {"void", "refund", "void_label"}:
        order = await _cancelled(house, step_name, step, weather)
    elif step_name == "track":
        order = await _delivered(house, step, weather)
    else:
        order = await _shipped(house, step_name, step, weather)
    if step.operation and step_name != "track":
        assert await house.deeds(step.operation) - before == 1
    assert [e.kind for e in await house.exceptions(order)] == ([step.asks] if weather.refused else [])
    assert not (await house.record(order)).needs_attention


async def _shipped(house: House, step_name: str, step: Step, weather: Weather) -> str:
    if step_name != "capture":
        await turn(house, step, weather)
    order = await house.place()
    if step_name != "capture":
        await see_through(house, order, step, weather)
    await house.labelled(order)
    if step_name == "mail":
        await house.noticed(order, "confirmed")
    if step_name == "capture":
        await turn(house, step, weather)
        leaving = asyncio.create_task(hand_over(house, order, patience=PATIENCE_SECONDS * (1 + 3 * weather.hours)))
        if weather.away:
            await see_through(house, order, step, weather)
        await leaving
    else:
        await hand_over(house, order)
    await house.until(order, OrderStatus.SHIPPED)
    await _told(house, order, step_name, weather, "confirmed", "shipped")
    assert await house.charges(order) == [2900]
    assert [i["status"] for i in await house.intents(order)] == ["succeeded"]
    assert [label["refund_status"] for label in await _labels(house, order)] == [None]
    return order


async def _delivered(house: House, step: Step, weather: Weather) -> str:
    order = await house.place()
    await house.labelled(order)
    await hand_over(house, order)
    await turn(house, step, weather)
    await house.advance(order, 9)
    await see_through(house, order, step, weather)
    await house.closed(order, OrderStatus.DELIVERED)
    await _told(house, order, "track", weather, "confirmed", "shipped", "delivered")
    assert len(await house.scans(order)) == 9
    assert await house.charges(order) == [2900]
    return order


async def _cancelled(house: House, step_name: str, step: Step, weather: Weather) -> str:
    paid = step_name == "refund"
    order = await house.place(intent=await house.shop_makes_intent(2900, capture="automatic") if paid else None)
    await house.labelled(order)
    await turn(house, step, weather)
    await house.cancel(order)
    await see_through(house, order, step, weather)
    await house.closed(order, OrderStatus.CANCELLED)
    await _told(house, order, step_name, weather, "confirmed", "cancelled")
    assert await house.charges(order) == ([2900] if paid else [])
    assert not paid or await house.refunds(order) == [2900]
    assert [i["status"] for i in await house.intents(order)] == ["succeeded" if paid else "canceled"]
    [label] = await _labels(house, order)
    assert label["refund_status"] in {"submitted", "refunded"}
    return order


async def _told(house: House, order: str, step_name: str, weather: Weather, *kinds: str) -> None:
    """Each thing is told once; once more, and recorded so, where it cannot be known whether the mail has gone."""
    for kind in kinds:
        await house.noticed(order, kind)
    dials = (weather.mail or {}) if step_name == "mail" else {}
    lost, unsure = "lost_answer_next" in dials, not dials.keys().isdisjoint(_UNSURE)
    assert Counter(await house.mails(order)) == Counter(dict.fromkeys(kinds, 1)) + Counter(kinds[:1] * lost)
    notices = await house.notices(order)
    assert notices == {kind: "repeated" if unsure and kind == kinds[0] else "sent" for kind in kinds}


async def _labels(house: House, order: str) -> list[dict[str, Any]]:
    mine = {parcel.id for parcel in await house.parcels(order)}
    return [label for label in await house.labels() if label["reference"] in mine]
