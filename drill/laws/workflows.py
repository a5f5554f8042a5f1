"""No workflow fails again and again, and orders move soon after what was broken is mended."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from drill.injector import Injected
from drill.laws.case import Breach, Case

MOST_FAILURES = 1
SOON = timedelta(seconds=60)


@dataclass(frozen=True)
class Recovery:
    """A fault, and how long after its mending the first order moved; None where none had to move any more."""

    injected: Injected
    took: timedelta | None


def workflow_tasks_do_not_fail(case: Case) -> Iterator[Breach]:
    """By the histories and by Temporal's description: no order's next step fails repeatedly."""
    law = "no workflow task fails repeatedly"
    for order_id, story in case.books.stories.items():
        if sum(story.failures.values()) > MOST_FAILURES:
            yield Breach(law, f"failed workflow tasks: {dict(story.failures)}", order_id)
        if story.failing > MOST_FAILURES:
            yield Breach(law, f"its next workflow task has failed {story.failing} times in a row", order_id)


def recoveries(case: Case) -> list[Recovery]:
    """How soon after each fault orders moved again, by Temporal's histories."""
    moved = sorted(at for story in case.books.stories.values() for at in story.moved)
    return [Recovery(each, _took(moved, each.mended)) for each in case.injected if each.mended and not each.skipped]


def _took(moved: list[datetime], mended: datetime | None) -> timedelta | None:
    if mended is None:
        return None
    place = bisect_left(moved, mended)
    return moved[place] - mended if place < len(moved) else None


def orders_move_soon_again(case: Case) -> Iterator[Breach]:
    """Within a minute of the mending, unless something else was broken by then."""
    for recovery in recoveries(case):
        mended, took = recovery.injected.mended, recovery.took
        if took is None or mended is None or took <= SOON:
            continue
        if not any(_meanwhile(other, mended, took) for other in case.injected if other is not recovery.injected):
            told = f"after “{recovery.injected.fault.told}” nothing moved for {took.total_seconds():.0f} s"
            yield Breach("orders move soon after a fault", told, at=mended)


def _meanwhile(other: Injected, mended: datetime, took: timedelta) -> bool:
    return other.began < mended + took and (other.mended is None or other.mended > mended)
