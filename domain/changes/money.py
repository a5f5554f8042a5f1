"""What a change does to an order's money: what need not be paid, what is taken of a hold, what is asked for anew."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Paid:
    """One payment of an order, in minor units. ``change_id`` names the change that it pays for; None for the first one.

    ``due`` is what of the order it pays for, ``held`` what its hold can still give, ``taken`` what it has given.
    """

    change_id: str | None
    due: int
    held: int = 0
    taken: int = 0

    @property
    def untaken(self) -> int:
        """What is due of it and was not taken."""
        return max(0, self.due - self.taken)


@dataclass(frozen=True)
class MoneyEffect:
    """What becomes of the money, in minor units of ``currency``.

    ``credited`` is what the customer need not pay; ``capture_less`` of it will not be taken, ``refund`` of it was taken
    and is granted as a refund, to be paid as every refund. ``invoiced`` is what the customer shall pay more; ``asked``
    of it is asked for by a further payment, the rest is held already. ``dues`` is what further payments pay for
    afterwards, by their changes, where that becomes another sum.
    """

    total_before: int
    total_after: int
    currency: str
    credited: int
    capture_less: int
    refund: int
    invoiced: int = 0
    asked: int = 0
    dues: Mapping[str, int] = field(default_factory=dict)


def money_effect(before: int, after: int, currency: str, paid: Sequence[Paid]) -> MoneyEffect:
    """What becomes of the money of an order that came to ``before`` and comes to ``after``.

    ``paid`` are its payments, the first one first. What costs less is taken from holds before it is refunded, of the
    newest first, since that costs nobody anything: a hold of which nothing is due is released.
    """
    credited, invoiced = max(0, before - after), max(0, after - before)
    found = _lowered(paid, credited) if credited else _raised(paid, invoiced)
    moved = sum(now.due - was.due for was, now in zip(paid, found, strict=True))
    dues = {
        now.change_id: now.due
        for was, now in zip(paid, found, strict=True)
        if now.change_id is not None and now.due != was.due
    }
    less = max(0, sum(was.untaken - now.untaken for was, now in zip(paid, found, strict=True)))
    return MoneyEffect(
        before, after, currency, credited, less, credited - less, invoiced, invoiced - max(0, moved), dues
    )


_CHEAPEST_FIRST: tuple[Callable[[Paid], int], ...] = (
    lambda one: one.untaken - one.held,
    lambda one: one.untaken,
    lambda one: one.due,
)


def _lowered(paid: Sequence[Paid], less: int) -> list[Paid]:
    """First what is neither taken nor held any more, then what is only held, then what was taken."""
    found = list(paid)
    for gives in _CHEAPEST_FIRST:
        for index in range(len(found) - 1, -1, -1):
            one = found[index]
            share = min(less, max(0, gives(one)))
            found[index] = replace(one, due=one.due - share)
            less -= share
    return found


def _raised(paid: Sequence[Paid], more: int) -> list[Paid]:
    """What holds can give beyond what is due of them: a change before has made that less."""
    found = []
    for one in paid:
        # One that has given more than is due of it has a refund for the rest: what is taken anew would be short of it.
        room = 0 if one.taken > one.due else one.held - one.untaken
        share = min(more, max(0, room))
        found.append(replace(one, due=one.due + share))
        more -= share
    return found
