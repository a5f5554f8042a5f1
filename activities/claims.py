"""Claims: grant a refund, have a replacement placed, refuse. Each step is one transaction, made once."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.case_records import decide, event_of, move, note_told, once, trouble, units, write
from activities.case_steps import CaseStep, CaseTold, DecideCase
from activities.claim_records import ClaimCase, find_claim
from activities.linked_orders import first_request, linked_of, place_linked
from activities.refund_grants import given_before, grant, granted
from activities.refusals import Refusal
from db import claims as records
from db.base import Database
from domain.claims import ClaimApproval, ClaimStatus, Remedy, Standing, check_follows, check_undecided
from domain.errors import Conflict
from domain.exceptions import Action, ExceptionKind
from domain.linked_orders import Origin, OriginKind, share_of, total_of
from domain.money import Money
from domain.notifications import NoticeKind
from domain.orders import OrderRequest, OrderStatus, PaymentSource
from domain.refunds import RefundLine, RefundRequest

_S = ClaimStatus


@dataclass(frozen=True)
class ApproveClaim:
    """Somebody grants a claim, for which so many ``replacements`` were placed before, its remedy."""

    case_id: str
    at: datetime
    approval: ClaimApproval
    replacements: int

    @property
    def by(self) -> str:
        """Who grants it."""
        return self.approval.by

    @property
    def why(self) -> str:
        """Why."""
        return self.approval.note


@dataclass(frozen=True)
class ClaimOutcome:
    """Where the claim stands after a step, made or refused."""

    standing: Standing
    refusal: Refusal | None = None


class Claims:
    """Settles what customers did not get, or not as it should be."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def activities(self) -> tuple[Callable[..., Any], ...]:
        """All of them, for a worker."""
        return (self.approve, self.refuse, self.withdraw, self.look, self.decide, self.tell_late, self.told)

    @activity.defn(name="approve_claim")
    async def approve(self, step: ApproveClaim) -> ClaimOutcome:
        """Grant the refund, or have the replacement placed; once, however often it is asked."""

        async def settle(connection: AsyncConnection, case: ClaimCase) -> None:
            replaces = step.approval.remedy is Remedy.REPLACEMENT
            done = case.status in {_S.CLOSED, _S.REPLACING} and case.row.remedy == step.approval.remedy
            overtaken = case.row.replacements > step.replacements  # by this very step, or by another decision
            if done or (overtaken and replaces):
                return
            check_undecided(case.row.number, _S.REPLACING if overtaken else case.status)
            settled = _replace if replaces else _refund
            await settled(connection, case, step)

        return await self._once(step.case_id, settle)

    @activity.defn(name="refuse_claim")
    async def refuse(self, step: CaseStep) -> ClaimOutcome:
        """Settle nothing; the customer is told why."""

        async def decline(connection: AsyncConnection, case: ClaimCase) -> None:
            if case.status is _S.REFUSED:
                return
            check_follows(case.row.number, case.status, _S.REFUSED, "be refused")
            event = event_of("refused", step, f"It was refused: {step.why}")
            await move(connection, case, _S.REFUSED, event, letter=NoticeKind.CLAIM_REFUSED, refusal=step.why)

        return await self._once(step.case_id, decline)

    @activity.defn(name="withdraw_claim")
    async def withdraw(self, step: CaseStep) -> ClaimOutcome:
        """Nothing is claimed any more."""

        async def drop(connection: AsyncConnection, case: ClaimCase) -> None:
            if case.status is _S.WITHDRAWN:
                return
            check_follows(case.row.number, case.status, _S.WITHDRAWN, "be withdrawn")
            event = event_of("withdrawn", step, "It was withdrawn." + (f" {step.why}" if step.why else ""))
            await move(connection, case, _S.WITHDRAWN, event, letters=[])

        return await self._once(step.case_id, drop)

    @activity.defn(name="look_at_replacement")
    async def look(self, step: CaseStep) -> ClaimOutcome:
        """How the replacement has ended: the claim is closed with it, or to be decided anew."""

        async def follow(connection: AsyncConnection, case: ClaimCase) -> None:
            linked = await linked_of(connection, case.row.linked_id)
            if case.status is not _S.REPLACING or linked is None or not linked.closed:
                return
            nth = case.row.replacements
            if linked.status is OrderStatus.DELIVERED:
                event = event_of(f"replaced:{nth}", step, f"Order {linked.number} has arrived in its place.")
                await move(connection, case, _S.CLOSED, event)
                return
            text = f"Order {linked.number}, which was to replace it, was {linked.status}: it is to be decided anew."
            anew = replace(case, replacement=None)
            event = event_of(f"reopened:{nth}", step, text)
            await move(connection, anew, _S.REQUESTED, event, remedy=None, linked_id=None)

        return await self._once(step.case_id, follow)

    @activity.defn(name="decide_claim")
    async def decide(self, step: DecideCase) -> ClaimOutcome:
        """Do what a person decided about a claim that waits too long: wait as long again."""

        async def follow(connection: AsyncConnection, case: ClaimCase) -> None:
            event = await decide(connection, case, step, step.exception_id, step.action)
            if event is not None:
                values = {"trouble": None, "exception_id": None, "patient_since": step.at}
                await write(connection, case, values, event)

        return await self._once(step.case_id, follow)

    @activity.defn(name="tell_late_claim")
    async def tell_late(self, step: CaseStep) -> ClaimOutcome:
        """Have a person see to a claim that has waited too long; nothing where it has moved on meanwhile."""

        async def tell(connection: AsyncConnection, case: ClaimCase) -> None:
            standing = case.standing
            if standing.deadline is None or standing.deadline > step.at:
                return
            since = f"{standing.since:%Y-%m-%d %H:%M} UTC"
            reason = f"Claim {case.row.number} waits for {standing.waiting.what} since {since}. Approve or refuse it;"
            reason += " retry waits as long again."
            event = event_of("late", step, reason)
            await trouble(connection, case, ExceptionKind.CLAIM_LATE, reason, (Action.RETRY,), event)

        return await self._once(step.case_id, tell)

    @activity.defn(name="told_claim")
    async def told(self, step: CaseTold) -> ClaimOutcome:
        """Note that the customer was told, or that a person has to."""

        async def note(connection: AsyncConnection, case: ClaimCase) -> None:
            await note_told(connection, case, step.letter, step.why)

        return await self._once(step.case_id, note)

    async def _once(self, claim_id: str, do: Callable[[AsyncConnection, ClaimCase], Awaitable[None]]) -> ClaimOutcome:
        case, refusal = await once(self._database, find_claim, claim_id, do)
        return ClaimOutcome(case.standing, refusal)


async def _refund(connection: AsyncConnection, case: ClaimCase, step: ApproveClaim) -> None:
    """Grant the refund as every refund is: of what is there, and never of units that were refunded before."""
    row, approval = case.row, step.approval
    lines = tuple(RefundLine(n.line, n.quantity) for n in await records.claimed_lines(connection, row.id))
    reason = f"Claim {row.number}: {row.kind.replace('_', ' ')}." + (f" {approval.note}" if approval.note else "")
    request = RefundRequest(f"claim:{row.number}", reason, lines, amount=approval.amount)
    refund, _ = await grant(connection, row.order_id, request, actor=step.by)
    told = f"A refund of {Money(await granted(connection, refund), row.currency)} was granted."
    event = event_of("refunded", step, told)
    values = {"remedy": Remedy.REFUND.value, "refund_id": refund.id}
    await move(connection, case, _S.CLOSED, event, letter=NoticeKind.CLAIM_REFUNDED, **values)


async def _replace(connection: AsyncConnection, case: ClaimCase, step: ApproveClaim) -> None:
    """Have the same units placed as an order that costs nothing, in the same transaction."""
    row, nth = case.row, case.row.replacements + 1
    request = await _replacement(connection, case, step, nth)
    origin = Origin(OriginKind.CLAIM, row.id, row.number, row.order_id, row.order_number)
    order = await place_linked(connection, request, origin, nth=nth, credit=request.total, at=step.at, actor=step.by)
    count = sum(line.quantity for line in request.lines)
    event = event_of(f"replacing:{nth}", step, f"Order {order.number} replaces {units(count)}, and costs nothing.")
    values = {"remedy": Remedy.REPLACEMENT.value, "linked_id": order.id, "replacements": nth}
    after = replace(case, replacement=order.number)
    link = f"/v1/orders/{order.id}"
    await move(connection, after, _S.REPLACING, event, letter=NoticeKind.CLAIM_REPLACED, link=link, **values)


async def _replacement(connection: AsyncConnection, case: ClaimCase, step: ApproveClaim, nth: int) -> OrderRequest:
    """What is placed. Raises Conflict where money was given back for the same units."""
    first = await first_request(connection, case.row.order_id)
    given = await given_before(connection, case.row.order_id)
    ordered = {line.number: line for line in first.lines}
    claimed = await records.claimed_lines(connection, case.row.id)
    for one in claimed:
        refunded = given.units.get(one.line, 0)
        if one.quantity + refunded > ordered[one.line].quantity:
            told = f"Of line {one.line}'s {ordered[one.line].quantity} units {refunded} were refunded:"
            raise Conflict(f"{told} they are not replaced as well.", field="remedy")
    lines = tuple(
        replace(share_of(ordered[one.line], one.quantity), number=number) for number, one in enumerate(claimed, start=1)
    )
    return replace(
        first,
        external_reference=f"{case.row.number}:{nth}",
        lines=lines,
        shipping_service=step.approval.shipping_service or first.shipping_service,
        shipping_charge=0,
        total=total_of(lines),
        payment=PaymentSource(first.payment.provider),
    )
