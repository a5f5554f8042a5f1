"""What is made of many measurements."""

import pytest

from bench.arithmetic import p50, percentile


def test_half_of_the_answers_took_no_longer_than_the_median() -> None:
    assert p50([5, 1, 3]) == 3
    assert p50([4, 1, 3, 2]) == 2


def test_of_a_hundred_answers_one_is_slower_than_the_99th_percentile() -> None:
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0
    assert percentile([1, 2], 0) == 1


def test_nothing_measured_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        p50([])
