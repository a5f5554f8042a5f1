"""What a return comes to: what its units are worth, what is taken off, and what is given back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from domain.money import Money
from domain.orders import Line
from domain.refunds import Given, RefundLine, worth_of
from domain.return_rules import ReturnReason, ReturnRule
from domain.return_units import ReturnLine


@dataclass(frozen=True)
class Settlement:
    """Minor units of ``currency``. ``amount`` is given back for ``lines``, which are ``worth`` so much.

    ``exchanged`` of it goes into the order of an exchange, the rest to the customer. ``fee`` and ``label`` are taken
    off. It is less than that leaves where no more of the order's money is there.
    """

    currency: str
    worth: int
    fee: int
    label: int
    amount: int
    lines: tuple[RefundLine, ...]
    exchanged: int = 0

    @property
    def refunded(self) -> int:
        """What the customer gets."""
        return self.amount - self.exchanged

    @property
    def words(self) -> str:
        """The same for people."""
        if not self.lines:
            return "nothing is given back"
        less = [f"{self._money(self.fee)} restocking fee"] if self.fee else []
        less += [f"{self._money(self.label)} for the label"] if self.label else []
        worth = f"{self._money(self.worth)}" + (f" less {' and '.join(less)}" if less else "")
        told = f"{self._money(self.amount)} {self._goes}"
        if self.amount < max(0, self.worth - self.fee - self.label):
            return f"{told}, for {worth}: no more of the order's money is there"
        return f"{told}: {worth}" if less else told

    @property
    def _goes(self) -> str:
        if self.exchanged == self.amount > 0:
            return "goes into its exchange"
        into = f" ({self._money(self.exchanged)} of it by its exchange)" if self.exchanged else ""
        return f"is given back{into}"

    def _money(self, minor: int) -> Money:
        return Money(minor, self.currency)


def settle(
    returned: Sequence[ReturnLine],
    *,
    lines: Sequence[Line],
    given: Given,
    rule: ReturnRule,
    reason: ReturnReason,
    currency: str,
    label: Money | None,
    room: int,
) -> Settlement:
    """What is given back for the units of a return that are to be refunded, in one refund.

    Units that were refunded before are not refunded again. ``label`` is the price of the label that was used;
    ``room`` is what of the order's money can be given back at all, in minor units.
    """
    ordered = {line.number: line.quantity for line in lines}
    wanted = tuple(
        RefundLine(line.number, units) for line in returned if (units := _units(line, ordered, given.units)) > 0
    )
    worth = worth_of(wanted, lines=lines, given=given)
    fee = rule.fee(worth, currency, reason)
    charged = label is not None and label.currency == currency and rule.charges_label(reason)
    postage = min(label.minor, worth - fee) if label is not None and charged else 0
    return Settlement(currency, worth, fee, postage, min(worth - fee - postage, room), wanted)


def _units(line: ReturnLine, ordered: Mapping[int, int], given: Mapping[int, int]) -> int:
    return min(line.refunded, ordered[line.number] - given.get(line.number, 0))
