"""How an order has something done in a supplier's portal: patiently, and saying what holds it up."""

from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, RetryState, TimeoutType
from temporalio.exceptions import TimeoutError as ActivityTimedOut

from activities.failures import BUSY, CLOSED, PAUSED
from domain.waiting import Party
from workflows.orders.journal import Journal
from workflows.orders.outside import Refusal, failure_of

Input = TypeVar("Input")
Result = TypeVar("Result")
Method = Callable[[Any, Input], Coroutine[Any, Any, Result]]

GIVEN_UP = "GivenUp"
"""what was not possible in time"""
PATIENCE = timedelta(hours=8)
"""how long a portal that is open may fail before a person is asked"""
_VISIT = timedelta(minutes=5)
_MISSED_AFTER = timedelta(seconds=10)
"""without a beat: a killed worker's job is given to another this soon"""
_LOOK_AGAIN = timedelta(hours=1)
"""at a portal that is paused: resuming it tells the orders that wait, but words can be lost"""
_A_MOMENT = timedelta(seconds=1)
_NOT_NOW = [CLOSED, PAUSED]
_AT_ONCE = RetryPolicy(initial_interval=timedelta(seconds=1), maximum_attempts=5, non_retryable_error_types=_NOT_NOW)
_PATIENTLY = RetryPolicy(
    initial_interval=timedelta(seconds=10), maximum_interval=timedelta(minutes=1), non_retryable_error_types=_NOT_NOW
)
# An attempt lasts as long as a job waits at the portal's door, and they are begun anew before they count as failures.
_IN_LINE = RetryPolicy(
    initial_interval=timedelta(seconds=5),
    maximum_interval=timedelta(minutes=1),
    maximum_attempts=60,
    non_retryable_error_types=_NOT_NOW,
)


@dataclass(frozen=True)
class Errand:
    """Who asks a portal for what: ``part`` is the fulfilment, ``name`` what people call it."""

    portal: str
    part: str
    name: str


class PortalCalls:
    """Runs the activities on the queue of portals, which may be closed, paused, or without a worker."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._policy = journal.order.policy
        self._woken = 0

    def wake(self) -> None:
        """A portal may be visited again."""
        self._woken += 1

    async def call(
        self,
        method: Method[Input, Result],
        argument: Input,
        errand: Errand,
        *,
        summary: str,
        over: Callable[[], bool] = lambda: False,
        give_up_at: datetime | None = None,
        quiet: bool = False,
    ) -> Result | Refusal | None:
        """Run an activity until it is done or refused for good.

        None once ``over`` comes true: what was begun is broken off before, and nobody is at work on it any more. While
        it cannot be done the waiting sentence says so, until when and on whom. What is not possible by ``give_up_at``
        is a Refusal of the type `GIVEN_UP`. ``quiet``: as long as nothing holds it up, it is not worth a word.
        """
        untaken, policy = False, _AT_ONCE
        while not over():
            woken = self._woken
            if policy is _AT_ONCE and not (untaken or quiet):
                self._say(errand, f"{errand.portal} to be visited for {errand.name}", Party.WAYBILL)
                await self._journal.publish()
            try:
                within = None if give_up_at is None else max(give_up_at - workflow.now(), _A_MOMENT)
                within = PATIENCE if within is None and policy is _PATIENTLY else within
                return await self._try(method, argument, summary, over, policy, untaken=untaken, within=within)
            except ActivityError as error:
                if over():  # it was broken off, or its worker was dead; what it has done is on record
                    return None
                if give_up_at is not None and workflow.now() >= give_up_at:
                    return Refusal(GIVEN_UP, failure_of(error))
                quiet = False
                if _nobody_took(error):
                    untaken = True
                    what = f"a worker of portals to visit {errand.portal} for {errand.name}; none has been free"
                    self._say(errand, what, Party.OPERATOR)
                elif isinstance(error.cause, ApplicationError) and error.cause.type in _NOT_NOW:
                    untaken, policy = False, _AT_ONCE
                    await self._wait(error.cause, errand, over, woken, give_up_at)
                else:
                    after = self._after(error, errand, policy)
                    if after is None:
                        return _refusal(error)
                    policy = after
            await self._journal.publish()
        return None

    def _after(self, error: ActivityError, errand: Errand, policy: RetryPolicy) -> RetryPolicy | None:
        """How the same is tried from now on, which the waiting sentence says; None where a person decides."""
        exhausted = error.retry_state is RetryState.MAXIMUM_ATTEMPTS_REACHED
        late = error.retry_state is RetryState.TIMEOUT and policy is _PATIENTLY
        # Orders that were under way before there was a line have asked a person at that point.
        if _is_full(error) and (exhausted or (late and workflow.patched("portal-line"))):
            what = f"its turn at {errand.portal} for {errand.name}; as many visitors as it may have are before it"
            self._say(errand, what, Party.WAYBILL)
            return _IN_LINE
        if not exhausted:
            return None
        what = f"an answer of {errand.portal} about {errand.name} ({failure_of(error)})"
        self._say(errand, what, Party.SUPPLIER, until=workflow.now() + PATIENCE, then="an operator decides")
        return _PATIENTLY

    async def glance(self, method: Method[Input, Result], argument: Input, *, summary: str) -> Result | None:
        """Run an activity a few times at most; None if it cannot be done now."""
        try:
            return await self._try(method, argument, summary, lambda: False, _AT_ONCE, untaken=False)
        except ActivityError as error:
            _refusal(error)  # passes a cancellation on
            return None

    async def _try(
        self,
        method: Method[Input, Result],
        argument: Input,
        summary: str,
        over: Callable[[], bool],
        policy: RetryPolicy,
        *,
        untaken: bool,
        within: timedelta | None = None,
    ) -> Result:
        running = workflow.start_activity_method(
            method,
            argument,
            task_queue=self._policy.portal_task_queue,
            start_to_close_timeout=_VISIT,
            schedule_to_start_timeout=None if untaken else self._policy.portal_patience,
            schedule_to_close_timeout=within,
            heartbeat_timeout=_MISSED_AFTER,
            retry_policy=policy,
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
            summary=summary,
        )
        await self._journal.until(lambda: running.done() or over())
        if not running.done():
            running.cancel()
        result: Result = await running
        return result

    async def _wait(
        self,
        why: ApplicationError,
        errand: Errand,
        over: Callable[[], bool],
        woken: int,
        give_up_at: datetime | None,
    ) -> None:
        if why.type == CLOSED:
            opens = datetime.fromisoformat(why.details[0])
            what = f"{errand.portal} to open for {errand.name}"
            self._say(errand, what, Party.SUPPLIER, until=opens, then="it is visited")
        else:
            opens = workflow.now() + _LOOK_AGAIN
            self._say(errand, f"{errand.portal} to be resumed for {errand.name} ({why.message})", Party.OPERATOR)
        await self._journal.publish()
        until = min(opens, give_up_at) if give_up_at is not None else opens
        with suppress(TimeoutError):
            await self._journal.until(
                lambda: over() or self._woken != woken,
                timeout=max(until - workflow.now(), _A_MOMENT),
                timeout_summary=f"{errand.portal}, again",
            )

    def _say(
        self, errand: Errand, what: str, on: Party, *, until: datetime | None = None, then: str | None = None
    ) -> None:
        self._journal.wait_for(what, on, until=until, then=then, part=errand.part)


def _nobody_took(error: ActivityError) -> bool:
    return isinstance(error.cause, ActivityTimedOut) and error.cause.type is TimeoutType.SCHEDULE_TO_START


def _is_full(error: ActivityError) -> bool:
    """Whether the portal had as many visitors as it may when it was tried last."""
    cause: BaseException | None = error.cause
    if isinstance(cause, ActivityTimedOut):
        cause = cause.cause
    return isinstance(cause, ApplicationError) and cause.type == BUSY


def _refusal(error: ActivityError) -> Refusal:
    if isinstance(error.cause, ApplicationError):
        return Refusal(error.cause.type or "ApplicationError", error.cause.message)
    if isinstance(error.cause, ActivityTimedOut):
        return Refusal("Timeout", f"it did not succeed in time; the last failure was: {failure_of(error)}")
    raise error
