"""Exchanges: what follows from how the return and the order of what is sent stand. Each step is one transaction."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.case_records import Stepping, decide, event_of, move, note_told, once, resolve, trouble, write
from activities.case_steps import CaseStep, CaseTold, DecideCase
from activities.exchange_money import give_free, keep_for
from activities.exchange_records import ExchangeCase, find_exchange
from activities.exchange_requests import GOODS, PAYMENT
from activities.linked_orders import first_request, place_linked
from activities.refusals import Refusal
from activities.return_records import find_case
from activities.return_settlements import BY_RULE, expected
from db import exchanges as records
from db.base import Database
from domain.exceptions import Action, ExceptionKind
from domain.exchanges import ExchangeStatus, Move, Ships, Standing, check_withdrawable, next_move, told_of_money
from domain.linked_orders import Origin, OriginKind
from domain.money import Money
from domain.notifications import NoticeKind

_S = ExchangeStatus
_LATE = (Action.RETRY, Action.SKIP)


@dataclass(frozen=True)
class ExchangeOutcome:
    """Where the exchange stands after a step, made or refused."""

    standing: Standing
    refusal: Refusal | None = None


class Exchanges:
    """Sends other goods for what customers send back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them, for a worker."""
        return (self.look, self.withdraw, self.decide, self.tell_late, self.told)

    @activity.defn(name="look_at_exchange")
    async def look(self, step: CaseStep) -> ExchangeOutcome:
        """Do what follows from how the return and the order stand now, and note that they were looked at."""

        async def follow(connection: AsyncConnection, case: ExchangeCase) -> None:
            row = case.row
            seen = {"seen_revision": row.return_revision, "seen_end": row.linked_closed_at is not None}
            await records.CASES.change(connection, row.id, seen)
            if await _told_of_worth(connection, case, step):
                case = await find_exchange(connection, row.id)
            await _advance(connection, case, step)

        return await self._once(step.case_id, follow)

    @activity.defn(name="withdraw_exchange")
    async def withdraw(self, step: CaseStep) -> ExchangeOutcome:
        """Nothing is sent; what comes back is refunded."""

        async def drop(connection: AsyncConnection, case: ExchangeCase) -> None:
            if case.status is _S.ENDED:
                return
            check_withdrawable(case.row.number, case.status)
            told = "It was withdrawn: what comes back is refunded." + (f" {step.why}" if step.why else "")
            await _end(connection, case, step, told)

        return await self._once(step.case_id, drop)

    @activity.defn(name="decide_exchange")
    async def decide(self, step: DecideCase) -> ExchangeOutcome:
        """Do what a person decided: wait as long again, or go on without what does not come back."""

        async def follow(connection: AsyncConnection, case: ExchangeCase) -> None:
            event = await decide(connection, case, step, step.exception_id, step.action)
            if event is None:
                return
            skips = step.action is Action.SKIP
            values: dict[str, Any] = {"trouble": None, "exception_id": None, "patient_since": step.at}
            values |= {"accepted": True} if skips else {}
            await write(connection, case, values, event)
            await _advance(connection, await find_exchange(connection, case.row.id), step)

        return await self._once(step.case_id, follow)

    @activity.defn(name="tell_late_exchange")
    async def tell_late(self, step: CaseStep) -> ExchangeOutcome:
        """Have a person see to an exchange for which nothing came back in time; nothing where it has moved on."""

        async def tell(connection: AsyncConnection, case: ExchangeCase) -> None:
            deadline = case.standing.deadline
            if deadline is None or deadline > step.at:
                return
            await _trouble_late(connection, case, step, _LATE, "Retry waits as long again; skip")

        return await self._once(step.case_id, tell)

    @activity.defn(name="told_exchange")
    async def told(self, step: CaseTold) -> ExchangeOutcome:
        """Note that the customer was told, or that a person has to."""

        async def note(connection: AsyncConnection, case: ExchangeCase) -> None:
            await note_told(connection, case, step.letter, step.why)

        return await self._once(step.case_id, note)

    async def _once(
        self, exchange_id: str, do: Callable[[AsyncConnection, ExchangeCase], Awaitable[None]]
    ) -> ExchangeOutcome:
        case, refusal = await once(self._database, find_exchange, exchange_id, do)
        return ExchangeOutcome(case.standing, refusal)


async def _advance(connection: AsyncConnection, case: ExchangeCase, step: Stepping) -> None:
    match next_move(case.facts):
        case Move.ORDER:
            await _order(connection, case, step)
        case Move.END:
            await _end(connection, case, step, _why_it_ends(case))
        case Move.COMPLETE:
            event = event_of("completed", step, f"Order {case.ordered} has arrived: it is completed.")
            await move(connection, case, _S.COMPLETED, event)
        case Move.TELL_LATE:
            await _trouble_late(connection, case, step, (Action.SKIP,), "Nothing will come back any more: skip")
        case Move.TELL_SHORT:
            await _trouble_short(connection, case, step)
        case None:
            pass


async def _order(connection: AsyncConnection, case: ExchangeCase, step: Stepping) -> None:
    """Have the goods placed as an order, of which what the return comes to need not be paid."""
    row = case.row
    money: dict[str, Any] = {}
    if row.credit is None:
        settlement = await expected(connection, await find_case(connection, row.return_id))
        money = await keep_for(connection, row, min(settlement.amount, row.total), actor=step.by)
    credit = money.get("credit", row.credit)
    request = replace(
        await first_request(connection, row.order_id),
        external_reference=f"{row.number}:1",
        lines=GOODS.validate_python(row.goods),
        shipping_service=row.shipping_service,
        shipping_charge=row.shipping_charge,
        total=row.total,
        payment=PAYMENT.validate_python(row.payment),
    )
    origin = Origin(OriginKind.EXCHANGE, row.id, row.number, row.order_id, row.order_number)
    order = await place_linked(connection, request, origin, nth=1, credit=credit, at=step.at, actor=step.by)
    told = f"Order {order.number} is sent for it, and {told_of_money(credit, row.total, row.currency)}."
    event, link = event_of("ordered", step, told), f"/v1/orders/{order.id}"
    after = replace(case, ordered=order.number)
    letter = NoticeKind.EXCHANGE_ORDERED
    await move(connection, after, _S.ORDERED, event, letter=letter, link=link, linked_id=order.id, **money)


async def _end(connection: AsyncConnection, case: ExchangeCase, step: Stepping, told: str) -> None:
    """Nothing is sent: what was kept for it is kept no longer, and given back as far as it has come."""
    rule = (await find_case(connection, case.row.return_id)).rule
    refund_id = await give_free(connection, case.row, pay=rule.pay, actor=BY_RULE)
    event = event_of("ended", step, told)
    await move(connection, case, _S.ENDED, event, letter=NoticeKind.EXCHANGE_ENDED, refund_id=refund_id)


def _why_it_ends(case: ExchangeCase) -> str:
    facts = case.facts
    if facts.linked is not None:
        return f"Order {facts.linked.number}, which was to be sent for it, was {facts.linked.status}."
    if facts.back.given_up:
        return f"Return {facts.back.number} was {facts.back.status}: nothing is sent for it."
    return f"What came back under return {facts.back.number} is worth nothing: nothing is sent for it."


async def _told_of_worth(connection: AsyncConnection, case: ExchangeCase, step: Stepping) -> bool:
    """Tell the customer what came of a return whose goods were ordered before; whether he is told just now."""
    row = case.row
    event = event_of("settled", step, "")
    known = await records.CASES.find_event(connection, row.id, event["key"])
    if case.status is not _S.ORDERED or row.ships != Ships.AT_ONCE or row.worth is None or known is not None:
        return False
    worth = Money(row.worth, row.currency)
    event["text"] = f"What came back is worth {worth}; {Money(row.credit or 0, row.currency)} were credited."
    values: dict[str, Any] = {}
    if row.trouble == ExceptionKind.EXCHANGE_LATE:
        await resolve(connection, case, "resolved_itself", by="waybill", why="", at=step.at)
        values = {"trouble": None, "exception_id": None}
    # Of what is worth nothing the return has told.
    letter = NoticeKind.EXCHANGE_REFUNDED if row.worth else None
    await move(connection, case, case.status, event, letter=letter, **values)
    return True


async def _trouble_late(
    connection: AsyncConnection, case: ExchangeCase, step: Stepping, actions: tuple[Action, ...], then: str
) -> None:
    row = case.row
    reason = f"Order {case.ordered} was sent at once for exchange {row.number}, and return {row.return_number} has not"
    reason += f" come back. {then} goes on without it, at the shop's loss."
    await trouble(connection, case, ExceptionKind.EXCHANGE_LATE, reason, actions, event_of("late", step, reason))


async def _trouble_short(connection: AsyncConnection, case: ExchangeCase, step: Stepping) -> None:
    row = case.row
    worth, credit = Money(row.worth or 0, row.currency), Money(row.credit or 0, row.currency)
    reason = f"Return {row.return_number} came to {worth}, and {credit} were credited for exchange {row.number}, whose"
    reason += " order was sent at once. Skip goes on, at the shop's loss."
    event = event_of("short", step, reason)
    await trouble(connection, case, ExceptionKind.EXCHANGE_SHORT, reason, (Action.SKIP,), event)
