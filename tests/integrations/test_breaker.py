"""The circuit breaker: when it leaves a provider alone, and when it tries again."""

import pytest

from integrations.breaker import Breaker, BreakerState
from integrations.errors import OutcomeUnknown, ProviderDown, ProviderError, Rejected, Unreachable


class Line:
    """A provider behind a breaker that opens at the third failure, for ten seconds at first."""

    def __init__(self) -> None:
        self.now = 0.0
        self.calls = 0
        self.heard: list[BreakerState] = []
        self.breaker = Breaker(
            "p",
            threshold=3,
            pause=10,
            longest_pause=15,
            on_change=lambda _, state: self.heard.append(state),
            clock=lambda: self.now,
        )

    def call(self, error: Exception | None = None) -> None:
        with self.breaker.guarding():
            self.calls += 1
            if error is not None:
                raise error

    def fail(self, times: int = 1, error: ProviderError | None = None) -> None:
        for _ in range(times):
            with pytest.raises(ProviderError):
                self.call(error or ProviderDown("p", "HTTP 503"))


def test_failures_in_a_row_open_it_and_calls_then_fail_without_being_made() -> None:
    line = Line()
    line.fail(3, OutcomeUnknown("p", "no answer"))
    with pytest.raises(Unreachable, match="tried again in 10 s"):
        line.call()
    assert (line.calls, line.heard) == (3, [BreakerState.CLOSED, BreakerState.OPEN])


def test_a_success_or_a_refusal_between_them_keeps_it_closed() -> None:
    line = Line()
    for answer in (None, Rejected("p", "HTTP 400", status=400)):
        line.fail(2)
        if answer is None:
            line.call()
        else:
            line.fail(1, answer)
    line.fail(2)
    assert line.breaker.state is BreakerState.CLOSED


def test_a_failure_replayed_under_its_key_or_about_one_request_alone_does_not_count() -> None:
    line = Line()
    line.fail(5, ProviderDown("p", "HTTP 500", replayed=True))
    line.fail(5, ProviderDown("p", "450 recipient", this_one=True))
    assert line.breaker.state is BreakerState.CLOSED


def test_after_the_pause_one_call_is_tried_and_its_success_closes_it() -> None:
    line = Line()
    line.fail(3)
    line.now = 10
    line.call()
    assert line.heard[-2:] == [BreakerState.HALF_OPEN, BreakerState.CLOSED]
    line.fail(2)
    assert line.breaker.state is BreakerState.CLOSED


def test_while_one_call_is_on_trial_the_others_are_refused() -> None:
    line = Line()
    line.fail(3)
    line.now = 10
    with line.breaker.guarding(), pytest.raises(Unreachable):
        line.call()


def test_a_failed_trial_makes_the_pause_longer_up_to_the_longest() -> None:
    line = Line()
    line.fail(3)
    for pause in (10, 15, 15):
        line.now += pause - 1
        with pytest.raises(Unreachable, match="left alone"):
            line.call()
        line.now += 1
        line.fail()
    assert line.calls == 6
