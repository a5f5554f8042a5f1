"""What is made of many measurements."""

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` (0 to 1) of all values do not exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ranked = sorted(values)
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]


def p50(values: Sequence[float]) -> float:
    """The median, by the nearest rank."""
    return percentile(values, 0.5)
