"""What workflows of cases of orders have in common: one step at a time, letters beside the story, and what is shown."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from activities.notifications import Notice, Notifications
from activities.refusals import Refusal
from domain.errors import Conflict
from domain.exceptions import ExceptionKind
from domain.notifications import NoticeKind, NotificationStatus
from domain.waiting import Waiting
from workflows.orders import attributes
from workflows.orders.steps import keep_record
from workflows.patience import UNCONFIRMED, patiently, reason_of

TEMPORAL = "an operator in Temporal"
WAYBILL = "waybill"
_NOTHING_LEFT = timedelta(0)

Input = TypeVar("Input")


class Stands(Protocol):
    """Where a case stands. ``revision`` rises with every change: of two answers the one that knows more has more."""

    @property
    def status(self) -> StrEnum:
        """Where."""

    @property
    def waiting(self) -> Waiting:
        """What it waits for."""

    @property
    def deadline(self) -> datetime | None:
        """When it has waited too long; None where it may wait, or operators know."""

    @property
    def trouble(self) -> ExceptionKind | None:
        """The exception about it that is open."""

    @property
    def letter(self) -> NoticeKind | None:
        """The e-mail that is to be sent now."""

    @property
    def over(self) -> bool:
        """Whether nothing of it is left to do."""

    @property
    def revision(self) -> int:
        """How often it has changed."""


Standing = TypeVar("Standing", bound=Stands)
Standing_co = TypeVar("Standing_co", bound=Stands, covariant=True)


class Outcome(Protocol[Standing_co]):
    """Where a case stands after a step, made or refused."""

    @property
    def standing(self) -> Standing_co:
        """Where."""

    @property
    def refusal(self) -> Refusal | None:
        """Why the step was refused."""


class Opened(Protocol[Standing_co]):
    """What a case's workflow starts with."""

    @property
    def id(self) -> str:
        """The case's id."""

    @property
    def number(self) -> str:
        """The case's number."""

    @property
    def order_id(self) -> str:
        """The order that it is about."""

    @property
    def standing(self) -> Standing_co:
        """Where it stands by its record."""


class CaseWork(Generic[Standing]):
    """The common part of a case's workflow.

    Its record in the database is what holds: every step is one transaction there and answers where the case stands
    after it, and what is to be done next follows from that alone. So a run that was ended from outside can be followed
    by another at any point. The customer is written to beside the story, so that a mail server which is away holds
    nothing up. Temporal's own cancellation is a wish to withdraw, as long as that is possible.
    """

    def __init__(self, opened: Opened[Standing]) -> None:
        self._case = opened
        self._standing = opened.standing
        self._one_step = asyncio.Lock()
        self._withdraw_wished = False
        self._news = False

    @abstractmethod
    async def _story(self) -> None:
        """Do what is to be done, and wait, until the case is over or the run is to be followed by another."""

    @abstractmethod
    async def _note_told(self, letter: NoticeKind, reason: str) -> None:
        """Note that the customer was sent a letter, or, where there is a ``reason``, that a person has to tell him."""

    async def _live(self) -> None:
        """Let story and letters run to their end, whatever happens around them."""
        parts = [asyncio.create_task(self._story()), asyncio.create_task(self._letters())]
        while not all(part.done() for part in parts):
            try:
                await workflow.wait(parts, return_when=asyncio.FIRST_EXCEPTION)
            except asyncio.CancelledError:
                self._withdraw_wished = True
            for part in parts:
                if part.done():
                    part.result()
        await workflow.wait_condition(workflow.all_handlers_finished)

    async def _moves_in_time(self) -> bool:
        """Wait until something happens to it; False if its deadline passes first."""
        seen = self._standing
        left = None if seen.deadline is None else seen.deadline - workflow.now()
        if left is not None and left <= _NOTHING_LEFT:
            return False
        try:
            await workflow.wait_condition(
                lambda: self._standing != seen or self._news or self._withdraw_wished or self._leaving,
                timeout=left,
                timeout_summary="Until it has waited too long",
            )
        except TimeoutError:
            return False
        return True

    async def _letters(self) -> None:
        """Send what the customer is to be told, one letter after the other."""
        while not self._standing.over and not self._leaving:
            if self._standing.letter is not None:
                await self._tell(self._standing.letter)
            else:
                await workflow.wait_condition(
                    lambda: self._standing.letter is not None or self._standing.over or self._leaving
                )

    async def _tell(self, letter: NoticeKind) -> None:
        notice = Notice(self._case.order_id, letter, self._case.id)
        summary = f"Tell the customer: {letter.replace('_', ' ')}"
        try:
            sent = await patiently(Notifications.notify, notice, summary)
            reason = UNCONFIRMED if sent is NotificationStatus.UNCONFIRMED else ""
        except ActivityError as error:
            reason = reason_of(error)
        await self._note_told(letter, reason)

    async def _do(
        self,
        method: Callable[[Any, Input], Coroutine[Any, Any, Outcome[Standing]]],
        argument: Input,
        *,
        summary: str,
    ) -> Standing:
        """Make one step, alone. Raises ApplicationError where it is refused."""
        async with self._one_step:
            outcome = await keep_record(method, argument, summary=summary)
            self._take(outcome)
        refusal = outcome.refusal
        if refusal is not None:
            raise ApplicationError(refusal.text, refusal.field, list(refusal.faults), type=refusal.code)
        return outcome.standing

    def _take(self, outcome: Outcome[Standing]) -> None:
        # What somebody outside was asked about may be answered after a step that knows more.
        if outcome.standing.revision >= self._standing.revision:
            self._standing = outcome.standing
            self._show()

    @property
    def _leaving(self) -> bool:
        return workflow.info().is_continue_as_new_suggested()

    def _show(self) -> None:
        standing = self._standing
        workflow.set_current_details(
            f"## {self._case.number}: {standing.status.replace('_', ' ')}\n\n**{standing.waiting.sentence}**"
        )
        troubled = standing.trouble is not None
        if workflow.info().typed_search_attributes.get(attributes.NEEDS_ATTENTION) != troubled:
            workflow.upsert_search_attributes([attributes.NEEDS_ATTENTION.value_set(troubled)])


def refused(check: Callable[[], None]) -> None:
    """Make of an error that ``check`` raises one that reaches an update's caller."""
    try:
        check()
    except Conflict as error:
        raise ApplicationError(error.detail, error.field, [], type=error.code) from error
