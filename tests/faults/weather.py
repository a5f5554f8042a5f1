"""Bad weather for one step of an order: what is dialled in, and whether the order gets through it by itself."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from domain.errors import Conflict, NotFound, NotPaid, Unavailable
from domain.exceptions import Action, ExceptionKind
from tests.house import CUSTOMER, House

PATIENCE_SECONDS = 40.0


@dataclass(frozen=True)
class Weather:
    """What befalls the next call: a fault of the sandbox, or a dial of the mail server."""

    fault: dict[str, Any] = field(default_factory=dict)
    mail: dict[str, Any] | None = None
    refused: bool = False
    """repeating cannot help, so a person decides"""
    away: bool = False
    hours: int = 0
    """for how long"""


WEATHERS = {
    "answers_well": Weather(mail={}),
    "declines": Weather({"status": 402, "code": "card_declined"}, {"refuse_recipients": [CUSTOMER["email"]]}, True),
    "answers_400": Weather({"status": 400}, refused=True),
    "answers_401": Weather({"status": 401}, refused=True),
    "answers_404": Weather({"status": 404}, refused=True),
    "answers_409": Weather({"status": 409}),
    "answers_429": Weather({"status": 429, "retry_after": 1}),
    "answers_500": Weather({"status": 500}),
    "answers_503": Weather({"status": 503}, {"temporary_next": 1}),
    "drops_before": Weather({"status": "drop_before"}, {"drop_before_next": 1}),
    "loses_its_answer": Weather({"status": "lost_answer"}, {"lost_answer_next": 1}),
    "answers_garbage": Weather({"status": "garbage"}, {"garbage_next": 1}),
    "is_slow": Weather({"status": "slow", "seconds": 0.8}, {"latency_ms": 800}),
    "times_out": Weather({"status": "timeout"}),
    "times_out_after": Weather({"status": "hang_after"}),
    "is_away": Weather(mail={"away": True}, away=True),
    "is_away_for_an_hour": Weather(mail={"away": True}, away=True, hours=1),
}


@dataclass(frozen=True)
class Step:
    """A call to somebody outside. ``asks`` is the exception that its refusal becomes."""

    provider: str
    operation: str
    asks: ExceptionKind


STEPS = {
    "authorise": Step("stripe", "payment_intents.create", ExceptionKind.PAYMENT_REFUSED),
    "capture": Step("stripe", "payment_intents.capture", ExceptionKind.CAPTURE_FAILED),
    "void": Step("stripe", "payment_intents.cancel", ExceptionKind.UNWIND_FAILED),
    "refund": Step("stripe", "refunds.create", ExceptionKind.UNWIND_FAILED),
    "create_shipment": Step("easypost", "shipments.create", ExceptionKind.CARRIER_REFUSED),
    "buy_label": Step("easypost", "shipments.buy", ExceptionKind.CARRIER_REFUSED),
    "void_label": Step("easypost", "shipments.refund", ExceptionKind.UNWIND_FAILED),
    "track": Step("easypost", "trackers.retrieve", ExceptionKind.STEP_FAILED),
    "mail": Step("mail", "", ExceptionKind.NOTICE_REFUSED),
}
_DECLINED = frozenset({"authorise", "capture", "refund", "buy_label", "mail"})


def cells() -> list[tuple[str, str]]:
    """Every step in every weather that there is for it."""
    return [
        (step, name)
        for step in STEPS
        for name, weather in WEATHERS.items()
        if (step != "mail" or weather.mail is not None) and (name != "declines" or step in _DECLINED)
    ]


async def turn(house: House, step: Step, weather: Weather) -> None:
    """The weather sets in for the next call of ``step``."""
    if step.provider == "mail":
        await house.mail_server(**(weather.mail or {}))
        return
    turn = house.stripe if step.provider == "stripe" else house.easypost
    if weather.away:
        await turn(away=True)
    elif weather.fault:
        # A carrier is asked by the relay first, and by the order where the relay got no answer.
        times = 2 if step.operation == STEPS["track"].operation else 1
        await turn(fail_next=[{"operation": step.operation, **weather.fault}] * times)


async def clear(house: House) -> None:
    """Good weather everywhere. Parcels still move when a test says so, never by the clock."""
    for provider in ("stripe", "easypost"):
        (await house.street.sandbox.delete(f"/control/dials/{provider}")).raise_for_status()
    await house.easypost(label_created_seconds=3600)
    (await house.street.mail.delete("/api/dials")).raise_for_status()


async def see_through(house: House, order: str, step: Step, weather: Weather) -> None:
    """The weather passes: by itself, with time, or with the decision of the person who was asked."""
    if weather.away:
        await _outlast(house, order, step.provider, hours=weather.hours)
    elif weather.refused:
        await decide(house, order, step.asks)


async def _outlast(house: House, order: str, provider: str, *, hours: int) -> None:
    """Nobody answers until the order says so, and then for ``hours``; the weather clears, and the order goes on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while "an answer to" not in (await house.record(order)).waiting["sentence"]:
        assert time.monotonic() < deadline, "the order never said what holds it up"
        await house.pass_time(order, seconds=5)
    if hours:
        await house.pass_time(order, hours=hours)
        sentence = (await house.record(order)).waiting["sentence"]
        assert f"({'smtp' if provider == 'mail' else provider}: " in sentence
        assert "then an operator decides" in sentence
        assert await house.exceptions(order) == []
    deadline = time.monotonic() + PATIENCE_SECONDS
    await clear(house)
    while "an answer to" in (await house.record(order)).waiting["sentence"]:
        assert time.monotonic() < deadline, "the order did not go on in good weather"
        await house.pass_time(order, seconds=15)
        # The breaker's pause is real time: without this hundreds of attempts would be skipped to while it lasts.
        await asyncio.sleep(0.2)


async def decide(house: House, order: str, kind: ExceptionKind) -> None:
    """A person is asked, named what to do, and decides to try again once the weather is good."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (asked := [e for e in await house.exceptions(order) if e.kind == kind]):
        assert time.monotonic() < deadline, f"nobody was asked: {await house.timeline(order)}"
        await asyncio.sleep(0.02)
    assert "retry" in asked[0].actions
    assert "etry" in asked[0].reason, "the reason does not say what retrying does"
    await clear(house)
    try:
        if asked[0].status == "open":
            await house.resolve(order, kind, Action.RETRY)
    except (Conflict, NotFound, AssertionError):
        now = {e.id: e for e in await house.exceptions(order)}[asked[0].id]
        assert now.resolution == "resolved_itself", now.reason


async def hand_over(house: House, order: str, *, patience: float = PATIENCE_SECONDS) -> None:
    """The warehouse tries to hand the parcel over until it may; it repeats what nobody answered under the same key."""
    deadline, key = time.monotonic() + patience, f"{order}:1"
    while time.monotonic() < deadline:
        try:
            await house.hand_over(order, key=key)
            return
        except Unavailable:
            continue
        except NotPaid:
            await decide(house, order, ExceptionKind.CAPTURE_FAILED)
            key += "1"
    raise AssertionError(f"the parcel never left: {await house.timeline(order)}")
