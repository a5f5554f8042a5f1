"""Whatever is held and released in whichever order: what a preview shows to stand still does, and all else goes on."""

import asyncio
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from domain.errors import OnHold
from domain.holds import Hold, HoldReason
from domain.orders import OrderStatus
from tests.house import House
from tests.workflows.test_hold_previews import WISH, do, preview

NUMBERS = (1, 2)
FEW = settings(
    max_examples=2,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@dataclass
class Standing:
    """A hold: which parcel it is on (None: the order), how many must agree to its release, and who does."""

    on: int | None
    approvals: int = 1
    agreed: set[str] = field(default_factory=set)


@dataclass
class Held:
    """An order of two parcels, and what is known of it without asking."""

    house: House
    order: str
    holds: dict[str, Standing] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    unlabelled: set[int] = field(default_factory=lambda: set(NUMBERS))
    planned: bool = False

    @property
    def parcels(self) -> dict[int, tuple[str, list[str]]]:
        """What comes next of each parcel, and the holds that stop it."""
        return {number: (self._next(number), self.stopped(number)) for number in NUMBERS}

    def _next(self, number: int) -> str:
        return "delivery" if number in self.gone else "label" if number in self.unlabelled else "hand_over"

    def stopped(self, number: int) -> list[str]:
        """The holds that stop a parcel."""
        if number in self.gone:
            return []
        return sorted(id for id, hold in self.holds.items() if hold.on in {None, number})

    def possible(self) -> list[tuple[str, Any]]:
        """What can be done next."""
        here = [number for number in NUMBERS if number not in self.gone]
        targets: list[int | None] = [None, *here] if here else []
        releases: list[tuple[str, Any]] = [("release", id) for id, hold in self.holds.items() if "I" not in hold.agreed]
        twos = [("agree", id) for id, hold in self.holds.items() if hold.approvals > 1 and "Ben" not in hold.agreed]
        free = [("leave", number) for number in here if not self.stopped(number)]
        return [*(("hold", on) for on in targets), *(("hold for two", on) for on in targets), *releases, *twos, *free]

    async def happen(self, what: str, of: Any) -> None:
        """Do one of them, as it was shown where it can be, and see that it is so."""
        match what:
            case "hold":
                await self.hold(of)
            case "hold for two":
                id = uuid.uuid4().hex
                on = None if of is None else (await self.house.fulfilments(self.order))[of - 1].id
                wish = Hold(id, HoldReason.FRAUD, "Ann", datetime.now(UTC), "", on, approvals=2)
                await self.house.gateway.hold(self.order, wish, key=id)
                self.holds[id] = Standing(of, 2)
            case "agree":
                await self.house.release(self.order, of, by="Ben")
                self.agree(of, "Ben")
            case "release":
                await self.release(of)
            case "leave":
                await self.house.hand_over(self.order, number=of)
                self.gone.add(of)
        await self.all_else_goes_on()

    async def hold(self, on: int | None) -> None:
        """Somebody holds the order, or a parcel, as a preview has shown it."""
        parts = await self.house.fulfilments(self.order)
        wish = {**WISH, **({} if on is None else {"fulfilment_id": parts[on - 1].id})}
        shown = await preview(self.house, f"orders/{self.order}/holds", wish)
        before = self.parcels
        placed = await do(self.house, f"orders/{self.order}/holds", shown["version"], **wish)
        assert placed.status_code == 201, placed.text
        self.holds[placed.json()["id"]] = Standing(on)
        self.check(shown, before, missing=0)

    async def release(self, id: str) -> None:
        """Somebody agrees to a release, as a preview has shown it."""
        before = self.parcels
        shown = await preview(self.house, f"holds/{id}/release")
        released = await do(self.house, f"holds/{id}/release", shown["version"])
        assert released.status_code == 200, released.text
        missing = self.agree(id, "I")
        assert (released.json()["status"] == "released") is not bool(missing)
        self.check(shown, before, missing=missing)

    def agree(self, id: str, who: str) -> int:
        """How many more must agree; a hold that takes no more is released."""
        hold = self.holds[id]
        hold.agreed.add(who)
        missing = hold.approvals - len(hold.agreed)
        if not missing:
            del self.holds[id]
        return missing

    def check(self, shown: dict[str, Any], before: dict[int, tuple[str, list[str]]], *, missing: int) -> None:
        """What was shown is so: parcel by parcel, by what the order answers to whoever would let it leave."""
        assert (shown["approvals_missing"], shown["late"]) == (missing, False)
        assert shown["goes_on"] == ([] if self.planned else ["payment"])
        assert (shown["money_held_until"] is not None) is (self.planned and self.gone != set(NUMBERS))
        if not self.planned:
            [only] = shown["parcels"]
            assert (only["parcel"], only["next"], only["stopped_after"]) == (None, "label", bool(self.holds))
            return
        assert [one["parcel"] for one in shown["parcels"]] == list(NUMBERS)
        for one in shown["parcels"]:
            comes, was = before[one["parcel"]]
            now = self.stopped(one["parcel"])
            assert (one["next"], one["stopped_before"], one["stopped_after"]) == (comes, bool(was), bool(now))
            assert sorted(one["held_by"]) == sorted(set(now) & set(was))

    async def all_else_goes_on(self) -> None:
        """What is stopped is refused and buys nothing; every other parcel here has its label, or gets it."""
        if not self.planned:
            return
        async with asyncio.timeout(20):
            while True:
                self.unlabelled = set(await self._here("planned"))
                if all(self.stopped(number) for number in self.unlabelled):
                    break
                await asyncio.sleep(0.02)
        for number in set(NUMBERS) - self.gone:
            if self.stopped(number):
                with pytest.raises(OnHold):
                    await self.house.hand_over(self.order, number=number)
        bought = [label for label in await self.house.labels() if label["reference"] in await self._parcels()]
        assert len(bought) == len(NUMBERS) - len(self.unlabelled)

    async def _here(self, status: str) -> list[int]:
        return [row.number for row in await self.house.fulfilments(self.order) if row.status == status]

    async def _parcels(self) -> set[str]:
        return {row.id for row in await self.house.parcels(self.order)}


async def lived(house: House, data: st.DataObject, most: int) -> None:
    """One order, held early or not, and so many things that happen to it."""
    await house.receive("MUG", 1)
    await house.receive("TEE", 1, at="WEST")
    method = data.draw(st.sampled_from(["pm_card_authenticationRequired", "pm_card_visa"]))
    held = Held(house, await house.place({"MUG": 1, "TEE": 1}, method=method))
    if method != "pm_card_visa":
        await house.until(held.order, waiting="confirm the payment with the bank")
        for _ in range(data.draw(st.integers(1, 2))):
            await held.hold(None)
        await house.authenticate(held.order)
        await house.until(held.order, OrderStatus.FULFILLING, waiting="the release of")
    else:
        await house.labelled(held.order)
        await house.until(held.order, waiting="the hand-over")
    held.planned = True
    await held.all_else_goes_on()
    await held.happen("hold", data.draw(st.sampled_from(NUMBERS)))
    for nth in range(most):
        possible = held.possible()
        releases = [one for one in possible if one[0] == "release"]
        if possible:
            await held.happen(*data.draw(st.sampled_from(releases if nth == 1 and releases else possible)))
    for number in sorted(set(NUMBERS) - held.gone):
        if not held.stopped(number):
            await held.happen("leave", number)
    assert len(await house.charges(held.order)) == int(bool(held.gone))


@FEW
@given(data=st.data())
async def test_what_a_preview_shows_to_stand_still_does_and_all_else_goes_on(house: House, data: st.DataObject) -> None:
    await lived(house, data, 4)


@pytest.mark.fuzz
@settings(FEW, max_examples=25)
@given(data=st.data())
async def test_of_very_many_orders_what_is_shown_to_stand_still_does(house: House, data: st.DataObject) -> None:
    await lived(house, data, 7)
