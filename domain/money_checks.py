"""The comparison of an order's ledger with its payment provider: what each says, and what can be done about it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields

from domain.exceptions import Action
from domain.ledger import Balance, EntryKind, LedgerEntry, credit_for
from domain.money import Money
from domain.payments import PaymentState, PaymentStatus


@dataclass(frozen=True)
class Sums:
    """What somebody says of an order's money, in minor units."""

    held: int
    captured: int
    refunded: int


def of_ledger(now: Balance) -> Sums:
    """What the ledger says."""
    return Sums(now.held, now.captured, now.refunded)


def of_provider(state: PaymentState) -> Sums:
    """What the provider says."""
    held = state.capturable.minor if state.status is PaymentStatus.AUTHORISED else 0
    return Sums(held, state.captured.minor, state.refunded.minor)


def together(sums: Iterable[Sums]) -> Sums:
    """What is said of several payments in all; of none there is nothing."""
    known = list(sums)
    return Sums(sum(s.held for s in known), sum(s.captured for s in known), sum(s.refunded for s in known))


@dataclass(frozen=True)
class Difference:
    """Where ledger and provider disagree. ``unpaid`` is what is still owed for an order that has ended."""

    provider: str
    currency: str
    ledger: Sums
    told: Sums
    unpaid: int = 0

    @property
    def there_is_one(self) -> bool:
        """Whether a person must look at it."""
        return self.ledger != self.told or self.unpaid > 0

    @property
    def facts(self) -> dict[str, dict[str, int]]:
        """The numbers side by side, of each that differs."""
        found = {
            name: {"ledger": ours, "provider": theirs}
            for name in (field.name for field in fields(Sums))
            if (ours := getattr(self.ledger, name)) != (theirs := getattr(self.told, name))
        }
        return found | ({"owed": {"ledger": self.unpaid, "provider": 0}} if self.unpaid else {})

    @property
    def actions(self) -> tuple[Action, ...]:
        """What can be decided."""
        adopt = (Action.ADOPT,) if self.ledger != self.told else ()
        write_off = (Action.WRITE_OFF,) if self.unpaid and not adopt else ()
        return (Action.RETRY, *adopt, *write_off, Action.SKIP)

    @property
    def reason(self) -> str:
        """What is different, and what each action does."""
        parts = [
            f"{name}: the ledger says {self._money(said['ledger'])}, {self.provider} {self._money(said['provider'])}"
            for name, said in self.facts.items()
            if name != "owed"
        ]
        if self.unpaid:
            parts.append(f"the order has ended, and {self._money(self.unpaid)} of it is not paid")
        return f"Ledger and provider disagree: {'; '.join(parts)}. " + " ".join(_DOES[a] for a in self.actions)

    def _money(self, minor: int) -> Money:
        return Money(minor, self.currency)


_DOES = {
    Action.RETRY: "Retry compares again, now.",
    Action.ADOPT: "Adopt takes the provider's numbers into the ledger.",
    Action.WRITE_OFF: "Write off gives up what is not paid.",
    Action.SKIP: "Skip leaves the difference as it is.",
}


def adopted(
    facts: Mapping[str, Mapping[str, int]], *, now: Balance, order_id: str, currency: str, cause: str, actor: str
) -> list[LedgerEntry]:
    """The entries that make the ledger say what the provider says.

    A refund that somebody made at the provider is credited too: he has decided that the customer need not pay it.
    """
    entries = []
    for name, (more, less) in _CORRECTIONS.items():
        said = facts.get(name)
        change = 0 if said is None else said["provider"] - said["ledger"]
        kinds = [(more if change > 0 else less, abs(change))]
        if name == "refunded" and change > 0:
            kinds.append((EntryKind.CREDITED, credit_for(change, now=now, granted=0)))
        entries += [
            LedgerEntry(f"{kind}:{cause}", order_id, kind, amount, currency, cause, actor=actor)
            for kind, amount in kinds
            if amount
        ]
    return entries


_CORRECTIONS = {
    "held": (EntryKind.AUTHORISED, EntryKind.RELEASED),
    "captured": (EntryKind.CAPTURED, EntryKind.CAPTURE_CORRECTED),
    "refunded": (EntryKind.REFUNDED, EntryKind.REFUND_FAILED),
}
