"""One transfer between two warehouses, from its draft until every unit is accounted for."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.transfers import Cancel, Expect, Outcome, Receive, Send, Step, Transfers
from domain.errors import Conflict
from domain.transfers import (
    ENDED,
    ON_THE_WAY,
    CancelWish,
    ExpectWish,
    OpenTransfer,
    Receipt,
    SendWish,
    Standing,
    TransferStatus,
    Wish,
    check_follows,
    check_rest,
)
from workflows.orders import attributes
from workflows.orders.steps import keep_record

Input = TypeVar("Input")

_TEMPORAL = "an operator in Temporal"
_NOTHING_LEFT = timedelta(0)


@dataclass(frozen=True)
class TransferResult:
    """How a transfer ended."""

    status: TransferStatus


@workflow.defn(name="Transfer")
class TransferWorkflow:
    """One transfer as one durable workflow.

    Updates: `ready`, `send`, `receive`, `cancel`, `expect`. Its record in the database is what holds: every step is one
    transaction there and answers where the transfer stands after it, so that a run which was ended from outside can be
    followed by another at any point. Temporal's own cancellation is a wish to cancel, as long as nothing has left.
    """

    @workflow.init
    def __init__(self, transfer: OpenTransfer) -> None:
        self._transfer = transfer
        self._standing = transfer.standing
        self._one_step = asyncio.Lock()
        self._cancel_wished = False

    @workflow.run
    async def run(self, transfer: OpenTransfer) -> TransferResult:
        """Let the story run to its end, whatever happens around it."""
        story = asyncio.create_task(self._story())
        while not story.done():
            try:
                await workflow.wait_condition(story.done)
            except asyncio.CancelledError:
                self._cancel_wished = True
        story.result()
        await workflow.wait_condition(workflow.all_handlers_finished)
        if self._standing.status not in ENDED:
            workflow.continue_as_new(OpenTransfer(transfer.id, transfer.number, self._standing))
        return TransferResult(self._standing.status)

    async def _story(self) -> None:
        self._show()
        while self._standing.status not in ENDED and not workflow.info().is_continue_as_new_suggested():
            if not await self._moves_in_time():
                summary = "Tell operators that it waits too long"
                await self._do(Transfers.tell_late, self._step("waybill"), summary=summary)
            elif self._cancel_wished:
                self._cancel_wished = False
                await self._cancel_from_temporal()

    async def _moves_in_time(self) -> bool:
        """Wait until something happens to it; False if its deadline passes first."""
        seen = self._standing
        left = None if seen.deadline is None else seen.deadline - workflow.now()
        if left is not None and left <= _NOTHING_LEFT:
            return False
        try:
            await workflow.wait_condition(
                lambda: self._standing != seen or self._cancel_wished or workflow.info().is_continue_as_new_suggested(),
                timeout=left,
                timeout_summary="Until it has waited too long",
            )
        except TimeoutError:
            return False
        return True

    async def _cancel_from_temporal(self) -> None:
        step = self._step(_TEMPORAL)
        if self._standing.status in ON_THE_WAY:
            await self._do(Transfers.note_cancel_refused, step, summary="Note that nobody said where the units are")
        elif self._standing.status not in ENDED:
            wish = Cancel(step.transfer_id, step.at, step.by)
            await self._do(Transfers.cancel, wish, summary="Cancel")

    @workflow.update
    async def ready(self, wish: Wish) -> Standing:
        """Keep the units from sale until they leave."""
        return await self._do(Transfers.hold, self._step(wish.by), summary="Keep its units from sale")

    @ready.validator
    def _may_be_ready(self, wish: Wish) -> None:
        self._check_follows(TransferStatus.READY, "be made ready")

    @workflow.update
    async def send(self, wish: SendWish) -> Standing:
        """The goods leave."""
        step = Send(self._transfer.id, workflow.now(), wish.by, wish.expected_at)
        return await self._do(Transfers.send, step, summary="Send")

    @send.validator
    def _may_leave(self, wish: SendWish) -> None:
        if self._standing.status not in ON_THE_WAY:  # asked again
            self._check_follows(TransferStatus.IN_TRANSIT, "leave")

    @workflow.update
    async def receive(self, receipt: Receipt) -> Standing:
        """Goods have arrived, or are known not to."""
        request = Receive(self._transfer.id, workflow.now(), receipt)
        return await self._do(Transfers.receive, request, summary=f"Receive {receipt.reference}")

    @receive.validator
    def _may_be_received(self, receipt: Receipt) -> None:
        self._check_follows(TransferStatus.RECEIVED, "be received")

    @workflow.update
    async def cancel(self, wish: CancelWish) -> Standing:
        """Give back what is held, or put back or write off what is on its way."""
        step = Cancel(self._transfer.id, workflow.now(), wish.by, wish.reason, wish.rest)
        return await self._do(Transfers.cancel, step, summary="Cancel")

    @cancel.validator
    def _may_be_cancelled(self, wish: CancelWish) -> None:
        self._check_follows(TransferStatus.CANCELLED, "be cancelled")
        try:
            check_rest(self._standing.status, self._standing.units, wish.rest)
        except Conflict as error:
            raise _told(error) from error

    @workflow.update
    async def expect(self, wish: ExpectWish) -> Standing:
        """Expect the goods at another moment."""
        step = Expect(self._transfer.id, workflow.now(), wish.by, wish.expected_at)
        return await self._do(Transfers.expect, step, summary="Expect it later")

    async def _do(
        self, method: Callable[[Any, Input], Coroutine[Any, Any, Outcome]], argument: Input, *, summary: str
    ) -> Standing:
        """Make one step, alone. Raises ApplicationError where it is refused."""
        async with self._one_step:
            outcome = await keep_record(method, argument, summary=summary)
            self._standing = outcome.standing
            self._show()
        refusal = outcome.refusal
        if refusal is not None:
            raise ApplicationError(refusal.text, refusal.field, list(refusal.faults), type=refusal.code)
        return outcome.standing

    def _step(self, by: str) -> Step:
        return Step(self._transfer.id, workflow.now(), by)

    def _check_follows(self, following: TransferStatus, what: str) -> None:
        try:
            check_follows(self._transfer.number, self._standing.status, following, what)
        except Conflict as error:
            raise _told(error) from error

    def _show(self) -> None:
        standing = self._standing
        workflow.set_current_details(
            f"## {self._transfer.number}: {standing.status.replace('_', ' ')}\n\n**{standing.waiting.sentence}**"
        )
        if workflow.info().typed_search_attributes.get(attributes.NEEDS_ATTENTION) != standing.late:
            workflow.upsert_search_attributes([attributes.NEEDS_ATTENTION.value_set(standing.late)])


def _told(error: Conflict) -> ApplicationError:
    return ApplicationError(error.detail, error.field, [], type=error.code)
